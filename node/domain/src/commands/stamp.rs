//! What an act is recorded as: its content, the record that it is about, and the stamp in each of its events.

use std::cell::Cell;

use linli_core::event::domain_hash;
use linli_core::id::RecordId;
use serde_json::Value;

use super::Command;
use crate::act::{ActId, ActStamp};

/// Stamps the events of one act, one after the other.
#[derive(Debug)]
pub struct Stamps {
    id: ActId,
    content: [u8; 8],
    next: Cell<u8>,
}

impl Stamps {
    /// For an act of this id and content; see [`Command::content`].
    pub const fn new(id: ActId, content: [u8; 8]) -> Self {
        Self { id, content, next: Cell::new(0) }
    }

    pub(super) fn next(&self) -> ActStamp {
        let ordinal = self.next.get();
        self.next.set(ordinal.saturating_add(1));
        ActStamp { id: self.id, content: self.content, ordinal }
    }
}

impl Command {
    /// The first eight bytes of a hash over what is asked and by whom: the same act sent twice has the same content,
    /// whichever program sent it. What is absent, empty or false is left out, so that a particular which a later version
    /// adds does not make an older act another one.
    pub fn content(&self, operator: &str) -> [u8; 8] {
        // A command is made of texts, numbers, lists and maps: all of that has a JSON form.
        let said = serde_json::to_value(self).unwrap_or_default();
        let mut text = String::new();
        write_plain(&said, &mut text);
        let digest = domain_hash("linli/act-content/1", &[operator.as_bytes(), text.as_bytes()]);
        let mut content = [0u8; 8];
        content.copy_from_slice(&digest[..8]);
        content
    }

    /// The record that it is about: the one it names, or the one that it begins.
    pub fn subject(&self, new_id: RecordId) -> RecordId {
        let named = match self {
            Self::ReportIncident(c) => c.record,
            Self::VerifyIncident(c) => Some(c.incident),
            Self::AssignIncident(c) => Some(c.incident),
            Self::UpdateIncident(c) => Some(c.incident),
            Self::CloseIncident(c) => Some(c.incident),
            Self::ReopenIncident(c) => Some(c.incident),
            Self::LinkIncident(c) => Some(c.incident),
            Self::FormTeam(c) => c.record,
            Self::SetTeam(c) => Some(c.team),
            Self::CertifyMember(c) => Some(c.team),
            Self::CheckInTeam(c) => Some(c.team),
            Self::DeployTeam(c) => Some(c.team),
            Self::ReleaseTeam(c) => Some(c.team),
            Self::FormPoint(c) => c.record,
            Self::SetPoint(c) => Some(c.point),
            Self::ReceiveSupplies(c) => Some(c.point),
            Self::IssueSupplies(c) => Some(c.point),
            Self::SendSupplies(c) => Some(c.point),
            Self::ArriveSupplies(c) => Some(c.point),
            Self::CountSupplies(c) => Some(c.point),
            Self::AdjustSupplies(c) => Some(c.point),
            Self::DraftPlan(c) => c.record,
            Self::EditPlan(c) => Some(c.plan),
            Self::ApprovePlan(c) => Some(c.plan),
            Self::IssuePlan(c) => Some(c.plan),
            Self::SupersedePlan(c) => Some(c.plan),
            Self::ReportHazard(c) => c.record,
            Self::FileHazard(c) => Some(c.hazard),
            Self::DispatchHazard(c) => Some(c.hazard),
            Self::HandleHazard(c) => Some(c.hazard),
            Self::AnswerHazard(c) => Some(c.hazard),
            Self::CloseHazard(c) => Some(c.hazard),
            Self::ReopenHazard(c) => Some(c.hazard),
            Self::SurveyBuilding(c) => c.record,
            Self::ListContact(c) => c.record,
            Self::SettleConflict(c) => Some(c.record),
            Self::AdoptActs(c) => Some(c.record),
            Self::ExplainCheck(c) => Some(c.record),
        };
        named.unwrap_or(new_id)
    }
}

/// JSON with sorted names and without what says nothing: null, false, and what is empty.
fn write_plain(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut said: Vec<_> = fields.iter().filter(|(_, value)| says_something(value)).collect();
            said.sort_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (name, value) in said {
                write_text(name, out);
                out.push(':');
                write_plain(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_plain(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        plain => out.push_str(&plain.to_string()),
    }
}

/// A text as JSON. Most need no escapes, and are written as they are.
fn write_text(text: &str, out: &mut String) {
    if text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.push_str(&Value::from(text).to_string());
        return;
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use linli_core::id::EventId;

    use super::*;
    use crate::commands::{CommandContext, Refused, Unreadable, Views, prepare};
    use crate::events::Fact;
    use crate::record::RecordView;
    use crate::scenario::{EPOCH_MS, Known, author, day, record, street};
    use crate::summary::Summary;

    fn command(json: &str) -> Command {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_content_is_what_is_asked_and_by_whom_however_it_is_spelt() {
        let base = r#"{"do":"issue_supplies","point":"018f3c1e-0000-7000-8000-000000000000","item":"饼干","quantity":3,"to":"居民"}"#;
        let spelt = r#"{"to":"居民","quantity":3,"item":"饼干","lot":null,"even_if_short":false,"do":"issue_supplies","point":"018f3c1e-0000-7000-8000-000000000000"}"#;
        assert_eq!(command(base).content("甲"), command(spelt).content("甲"));
        assert_ne!(command(base).content("甲"), command(base).content("乙"));
        assert_ne!(command(base).content("甲"), command(&base.replace('3', "4")).content("甲"));
        assert_ne!(command(base).content("甲"), command(&base.replace("居民", r#"居民\",\"x"#)).content("甲"));
        // The bytes stand in signed events, so they never change.
        assert_eq!(data_encoding::HEXLOWER.encode(&command(base).content("甲")), "b5b0e7c9cc16e7b3");
    }

    #[test]
    fn each_event_of_an_act_is_stamped_and_numbered() {
        // given a plan that begins with a text, which takes two events
        let draft = command(r#"{"do":"draft_plan","tier":"building","scope":"3幢","title":"防汛","text":"甲地集合"}"#);
        let id = ActId::from_bytes([7; 16]);
        let stamps = Stamps::new(id, draft.content("甲"));
        // when it is drafted
        let (known, area) = (Known::default(), street());
        let ctx = CommandContext {
            views: &known,
            operator: "甲",
            area: &area,
            act: Some(&stamps),
            new_id: id.new_record(draft.content("甲")),
            today: day("2026-09-21"),
            now_ms: EPOCH_MS,
            writer: (author(1), 1),
        };
        let drafts = prepare(draft.clone(), &ctx).unwrap();
        // then both bear the act, each its number, and the record is the act's
        let stamped: Vec<ActStamp> = drafts
            .iter()
            .map(|d| Fact::decode(d.stream, &d.kind, &d.op).unwrap().said().unwrap().act.unwrap())
            .collect();
        let stamp = |ordinal| ActStamp { id, content: draft.content("甲"), ordinal };
        assert_eq!(stamped, [stamp(0), stamp(1)]);
        assert!(drafts.iter().all(|d| d.record == draft.subject(id.new_record(draft.content("甲")))));
    }

    struct Broken;

    impl Views for Broken {
        fn view(&self, _: &RecordId) -> Result<Option<RecordView>, Unreadable> {
            Err(Unreadable)
        }

        fn as_seen(&self, _: &RecordId, _: &[EventId]) -> Result<Option<RecordView>, Unreadable> {
            Err(Unreadable)
        }

        fn matching(&self, _: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
            vec![]
        }
    }

    #[test]
    fn a_view_that_cannot_be_read_is_neither_an_unknown_record_nor_a_beginning() {
        let area = street();
        let ctx = CommandContext {
            views: &Broken,
            operator: "甲",
            area: &area,
            act: None,
            new_id: record(1),
            today: day("2026-09-21"),
            now_ms: EPOCH_MS,
            writer: (author(1), 1),
        };
        let point = record(2);
        for json in [
            format!(r#"{{"do":"form_point","record":"{point}","name":"东区"}}"#),
            format!(r#"{{"do":"set_point","point":"{point}","name":"东区"}}"#),
            format!(
                r#"{{"do":"arrive_supplies","point":"{point}","from_point":"{point}","transfer":"{point}","item":"饼干","quantity":1,"even_if_unknown":true}}"#
            ),
            format!(r#"{{"do":"settle_conflict","record":"{point}","conflict":"{point}","decision":"甲"}}"#),
        ] {
            let refused = prepare(command(&json), &ctx).unwrap_err();
            assert!(Refused::is_unreadable(&refused), "{json}: {refused}");
        }
    }
}
