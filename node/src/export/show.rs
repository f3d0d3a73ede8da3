//! What an export file says, event by event, for people and programs, on a machine without a node: who did what, where,
//! when, on whose authority, and what they had not seen when they did it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use linli_core::area::Area;
use linli_core::charter::{Charter, Role};
use linli_core::event::{ReceivedEvent, VerifiedEvent};
use linli_core::export::{ExportReader, Known};
use linli_core::id::{EventId, Kind, LogId, RecordId, Stream};
use linli_core::time::Hlc;
use linli_domain::causality::Sight;
use linli_domain::date::Date;
use linli_domain::fold::fold_record;
use linli_domain::summary::Summary;
use serde::Serialize;

use super::read_through;
use crate::cli::outcome::Failure;
use crate::history::{self, HistoryLine, Wanted};
use crate::http::ZONE_MINUTES;
use crate::projector::fold_event;

/// Events that are held to be told in the order of time, those of their records included. More are told in the order of
/// the file, which holds none.
pub const HELD_EVENTS_MAX: usize = 200_000;

/// Which events are wanted. What is empty asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The first day, in the time zone of the pages.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
    /// The record.
    pub record: Option<RecordId>,
    /// The operator for whom a node signed.
    pub by: Option<String>,
    /// The author: the first digits of a key, or the public label of its grant.
    pub author: Option<String>,
    /// What happened.
    pub kind: Option<Kind>,
    /// What it is about.
    pub stream: Option<Stream>,
    /// Where: this area and those within.
    pub area: Option<Area>,
}

/// An event as it is told.
#[derive(Debug, Serialize)]
pub struct Told {
    /// What it says.
    #[serde(flatten)]
    pub line: HistoryLine,
    /// The record that it is about.
    pub record: Option<RecordId>,
    /// What people call that record at the end of the file. Empty in the order of the file.
    pub about: String,
    /// The grant that it names, where the file holds it.
    pub grant: Option<Authority>,
}

/// The right under which an event was written.
#[derive(Debug, Clone, Serialize)]
pub struct Authority {
    /// The grant's event.
    pub id: EventId,
    /// What its holder is.
    pub role: Role,
    /// The public name of its holder.
    pub label: String,
    /// Where it holds.
    pub area: Area,
}

impl Selection {
    fn fits(&self, event: &ReceivedEvent, charter: &Charter) -> bool {
        let header = event.header();
        let day = || Date::from_unix_ms(header.time.unix_ms(), ZONE_MINUTES);
        self.record.is_none_or(|record| header.record == Some(record))
            && self.kind.as_ref().is_none_or(|kind| header.kind == *kind)
            && self.stream.is_none_or(|stream| header.stream == stream)
            && self.area.as_ref().is_none_or(|area| area.contains(&header.area))
            && self.from.is_none_or(|from| day().is_some_and(|day| from <= day))
            && self.to.is_none_or(|to| day().is_some_and(|day| day <= to))
            && self.author.as_ref().is_none_or(|author| is_by(author, event, charter))
            && self.by.as_ref().is_none_or(|by| history::operator_of(event).as_deref() == Some(by))
    }
}

/// Whether an event is by a key that begins so, or whose grant bears this label.
fn is_by(author: &str, event: &ReceivedEvent, charter: &Charter) -> bool {
    let header = event.header();
    let label = || header.grant.and_then(|grant| charter.grant(&grant)).map(|grant| grant.label.as_str());
    header.author.to_string().starts_with(author) || label() == Some(author)
}

/// The kinds of events that a file holds, with their streams.
pub type Kinds = BTreeSet<(Stream, Kind)>;

/// Tells the events of a file that are wanted, by time. Each is proven, and the file is whole.
///
/// # Errors
/// When the file is wrong, or more events than [`HELD_EVENTS_MAX`] would have to be held.
pub fn by_time(file: &Path, wanted: &Selection, tell: &mut dyn FnMut(&Told)) -> Result<Kinds, Failure> {
    let (mut held, mut records, mut kinds) = (Held::default(), BTreeSet::new(), Kinds::new());
    let mut select = |event: VerifiedEvent, charter: &Charter| {
        note(&mut kinds, event.event());
        if wanted.fits(event.event(), charter) {
            match event.event().header().record {
                Some(record) => drop(records.insert(record)),
                None => held.take(event, charter),
            }
        }
    };
    read_through(file, ExportReader::new(Known::default()).by_tails(), &mut select)?;
    // What a record is called and what its authors had seen is known from all of its events only.
    let mut gather = |event: VerifiedEvent, charter: &Charter| {
        if event.event().header().record.is_some_and(|record| records.contains(&record)) {
            held.take(event, charter);
        }
    };
    read_through(file, ExportReader::new(Known::default()).by_tails(), &mut gather)?;
    if held.too_many {
        let next = "ask for less (--day, --record, --kind, --area, --by), or for --file-order, which holds nothing";
        return Err(Failure::usage(format!("more than {HELD_EVENTS_MAX} events would have to be sorted"), next));
    }
    held.told(wanted).iter().for_each(|(_, told)| tell(told));
    Ok(kinds)
}

fn note(kinds: &mut Kinds, event: &ReceivedEvent) {
    kinds.insert((event.header().stream, event.header().kind.clone()));
}

/// Tells the events of a file that are wanted, log by log, while it is read: an error at its end says that it is not whole.
///
/// # Errors
/// When the file is wrong.
pub fn in_file_order(file: &Path, wanted: &Selection, tell: &mut dyn FnMut(&Told)) -> Result<Kinds, Failure> {
    let (mut names, mut kinds) = (None, Kinds::new());
    let mut each = |event: VerifiedEvent, charter: &Charter| {
        note(&mut kinds, event.event());
        let names = names.get_or_insert_with(|| history::names_of(charter));
        if wanted.fits(event.event(), charter) {
            let line = history::line(event.event(), charter, names, Sight::default());
            tell(&told(line, event.event(), String::new(), charter));
        }
    };
    read_through(file, ExportReader::new(Known::default()).by_tails(), &mut each)?;
    Ok(kinds)
}

fn told(line: HistoryLine, event: &ReceivedEvent, about: String, charter: &Charter) -> Told {
    let header = event.header();
    let grant = header.grant.and_then(|id| Some((id, charter.grant(&id)?)));
    let grant = grant.map(|(id, grant)| Authority {
        id,
        role: grant.role,
        label: grant.label.clone(),
        area: grant.area.clone(),
    });
    Told { line, record: header.record, about, grant }
}

/// Events that wait to be told, by record.
#[derive(Default)]
struct Held {
    charter: Option<Charter>,
    events: BTreeMap<Option<RecordId>, Vec<ReceivedEvent>>,
    count: usize,
    too_many: bool,
}

impl Held {
    fn take(&mut self, event: VerifiedEvent, charter: &Charter) {
        self.charter.get_or_insert_with(|| charter.clone());
        self.count += 1;
        self.too_many |= self.count > HELD_EVENTS_MAX;
        if !self.too_many {
            let event = event.into_event();
            self.events.entry(event.header().record).or_default().push(event);
        }
    }

    fn told(&self, wanted: &Selection) -> BTreeMap<(Hlc, EventId), Told> {
        let Some(charter) = &self.charter else { return BTreeMap::new() };
        let told = |(record, events): (&Option<RecordId>, &Vec<ReceivedEvent>)| match record {
            Some(record) => told_of(*record, events, charter, wanted),
            None => alone(events, charter),
        };
        self.events.iter().flat_map(told).collect()
    }
}

/// Events that are about no record, such as grants: nobody says what their authors had seen.
fn alone(events: &[ReceivedEvent], charter: &Charter) -> Vec<((Hlc, EventId), Told)> {
    let names = history::names_of(charter);
    let one = |event: &ReceivedEvent| {
        let line = history::line(event, charter, &names, Sight::default());
        ((event.header().time, event.id()), told(line, event, String::new(), charter))
    };
    events.iter().map(one).collect()
}

fn told_of(
    record: RecordId,
    events: &[ReceivedEvent],
    charter: &Charter,
    wanted: &Selection,
) -> Vec<((Hlc, EventId), Told)> {
    let by_place: BTreeMap<(LogId, u64), &ReceivedEvent> =
        events.iter().map(|event| ((event.header().log_id(), event.header().seq), event)).collect();
    let read = |log: &LogId, seq: u64| {
        Ok::<_, std::convert::Infallible>(by_place.get(&(log.clone(), seq)).map(|event| (*event).clone()))
    };
    let places: Vec<(LogId, u64)> = by_place.keys().cloned().collect();
    let Ok(history) = history::tell(&places, read, charter, &Wanted::From(0, usize::MAX), &[]);
    let folded = fold_record(record, events.iter().map(|event| fold_event(event, charter)));
    let about = folded.as_ref().map(|view| Summary::from(view).title).unwrap_or_default();
    let history = folded.iter().fold(history, |told, view| told.with_outside(view));
    let by_id: BTreeMap<EventId, &ReceivedEvent> = events.iter().map(|event| (event.id(), event)).collect();
    let lines = history.lines.into_iter().filter_map(|line| Some((*by_id.get(&line.id)?, line)));
    lines
        .filter(|(event, _)| wanted.fits(event, charter))
        .map(|(event, line)| ((event.header().time, event.id()), told(line, event, about.clone(), charter)))
        .collect()
}
