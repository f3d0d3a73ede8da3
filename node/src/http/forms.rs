//! Forms for acts: described once, shown on many pages, turned into commands in one place.
//!
//! A form is data: which act, which fields, which kinds. The same description renders it, decodes what comes back, and
//! says which field is wrong. What was typed is in hand at every step, so that an error never loses it.

use linli_domain::commands::Command;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::acts::{ACT_FIELD, CLOCK_FIELD};
use super::error::HttpError;
use super::input::{Fields, json_error};
use super::session::Operator;
use crate::outside::Outside;
use crate::words::{Lang, Word};

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// One line of text.
    Line,
    /// Several lines.
    Text,
    /// The text of a plan: many lines.
    LongText,
    /// A whole number of at least the given one.
    Number(i64),
    /// A day.
    Date,
    /// One of fixed values.
    Choice(&'static [(&'static str, Word)]),
    /// One of what the record or the node has, asked of the page that shows the form.
    Among(Source),
    /// Yes or no.
    Tick,
    /// Lines that become a list.
    Lines,
    /// Lines of a name and a number.
    Quantities,
    /// Degrees with decimals, kept as ten-millionths.
    Degrees,
}

/// Where the values of a field come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Supply points of this node.
    SupplyPoints,
    /// Items that a supply point holds, all lots together.
    Items,
    /// Transfers on their way to a supply point. The value names transfer and sender.
    Transits,
    /// Lots of items that a supply point holds. The value names item and lot.
    Bins,
    /// Teams of this node.
    Teams,
    /// Open incidents of this node.
    Incidents,
    /// Incidents that are closed.
    ClosedIncidents,
    /// Open hazards of this node.
    Hazards,
    /// Hazards that are closed.
    ClosedHazards,
    /// Incidents that a team is deployed to.
    Deployments,
    /// Plans of this node.
    Plans,
    /// Sides of a conflict.
    Sides,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: Word,
    pub(crate) hint: Option<Word>,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

impl Field {
    /// A field that must be filled in.
    pub(crate) const fn new(name: &'static str, label: Word, kind: Kind) -> Self {
        Self { name, label, hint: None, kind, required: true }
    }

    /// A field that may stay empty.
    pub(crate) const fn optional(name: &'static str, label: Word, kind: Kind) -> Self {
        Self { name, label, hint: None, kind, required: false }
    }

    /// With a line that says what to enter.
    pub(crate) const fn hint(mut self, hint: Word) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// A form for one act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// The act's name, as in the API's `do`.
    pub(crate) act: &'static str,
    pub(crate) title: Word,
    /// The navigation entry that it belongs to.
    pub(crate) section: &'static str,
    /// Names of values that the page fixes, such as the record.
    pub(crate) fixed: &'static [&'static str],
    pub(crate) fields: &'static [Field],
}

/// The record that is chosen first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct First {
    pub(crate) name: &'static str,
    pub(crate) label: Word,
    pub(crate) source: Source,
}

/// What a form is shown with.
pub(crate) struct Shown<'f> {
    pub(crate) lang: Lang,
    pub(crate) operator: &'f Operator,
    /// What was typed, or what stands now; also the fixed values.
    pub(crate) values: &'f Fields,
    /// The field that was refused.
    pub(crate) wrong: Option<&'f HttpError>,
    /// The page to return to.
    pub(crate) back: &'f str,
    /// Value and label of each choice of a source.
    pub(crate) options: &'f dyn Fn(Source) -> Vec<(String, String)>,
    /// Makes the ids of this form's fields unique on its page.
    pub(crate) id: String,
    /// Whose record it is, where this node does not speak for it: said before anything is typed.
    pub(crate) outside: Option<&'f Outside>,
}

impl Form {
    /// The form.
    pub(crate) fn show(&self, shown: &Shown<'_>) -> Markup {
        html! {
            form.act method="post" action={ "/act/" (self.act) } {
                input type="hidden" name="_token" value=(shown.operator.form_token());
                input type="hidden" name=(ACT_FIELD) value=(act_of(shown.values));
                input type="hidden" name="_back" value=(shown.back);
                @for name in self.fixed { input type="hidden" name=(name) value=(shown.values.text(name)); }
                @if let Some(outside) = shown.outside { p.note.warn { (outside.beforehand(shown.lang)) } }
                @for field in self.fields { (field.show(shown)) }
                @if shown.wrong.is_some_and(|error| error.code == "clock_wrong") { (clock_tick(shown.lang, &shown.id)) }
                div { button type="submit" { (shown.lang.t(self.title)) } }
            }
        }
    }

    /// The form folded behind its title.
    pub(crate) fn folded(&self, shown: &Shown<'_>, open: bool) -> Markup {
        html! {
            details.fold-out id={ "do-" (shown.id) } open[open] {
                summary { (shown.lang.t(self.title)) }
                div.inside { (self.show(shown)) }
            }
        }
    }

    /// Whether a field that is sent empty is emptied: the form shows the whole of what stands there.
    fn empties(&self) -> bool {
        matches!(self.act, "set_point" | "set_team")
    }

    /// The command that the fields say.
    ///
    /// # Errors
    /// Names the field that is missing or wrong.
    pub(crate) fn command(&self, fields: &Fields) -> Result<Command, HttpError> {
        let mut body = Map::from_iter([("do".to_owned(), Value::from(self.act))]);
        for name in self.fixed {
            match (*name, fields.text(name)) {
                // A form that showed a document before anybody wrote says so: what others wrote meanwhile is not taken back.
                ("heads", "") if fields.has("heads") => drop(body.insert("heads".to_owned(), Value::Array(vec![]))),
                (_, "") => {}
                (name @ ("heads" | "events"), ids) => drop(body.insert(name.to_owned(), ids.split(' ').collect())),
                (name, text) => drop(body.insert(name.to_owned(), Value::from(text))),
            }
        }
        for field in self.fields {
            match (field.kind, field.value(fields.text(field.name))?) {
                (_, None) => {}
                (Kind::Among(Source::Bins), Some(value)) => put_two(&mut body, [field.name, "lot"], &value),
                (Kind::Among(Source::Transits), Some(value)) => put_two(&mut body, [field.name, "from_point"], &value),
                (_, Some(value)) => drop(body.insert(field.name.to_owned(), value)),
            }
        }
        if self.empties() {
            let emptied = |field: &&Field| {
                // A list that is sent is the whole list: what is not on it any more goes.
                !field.required && (fields.text(field.name).is_empty() || matches!(field.kind, Kind::Quantities))
            };
            let clear: Vec<&str> = self.fields.iter().filter(emptied).map(|field| field.name).collect();
            body.insert("clear".to_owned(), Value::from(clear));
        }
        serde_json::from_value(Value::Object(body)).map_err(|error| json_error(&error.to_string()))
    }
}

/// Stands between item and lot in the value of a bin: no keyboard types it.
pub(crate) const BIN_SEPARATOR: char = '\u{1f}';

/// One choice that says two things.
fn put_two(body: &mut Map<String, Value>, names: [&str; 2], value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let (first, second) = text.split_once(BIN_SEPARATOR).unwrap_or((text, ""));
    for (name, part) in names.into_iter().zip([first, second]) {
        if !part.is_empty() {
            body.insert(name.to_owned(), Value::from(part));
        }
    }
}

/// The tick by which a person says that they have looked at the clock.
pub(crate) fn clock_tick(lang: Lang, id: &str) -> Markup {
    html! {
        label.tick for={ (id) "-clock" } {
            input id={ (id) "-clock" } type="checkbox" name=(CLOCK_FIELD) value="yes";
            (lang.t(Word::ClockChecked))
        }
    }
}

/// The id of the act that this showing of the form is for: sending it twice records one act.
fn act_of(values: &Fields) -> String {
    match values.text(ACT_FIELD) {
        "" => crate::node::new_act().to_string(),
        again => again.to_owned(),
    }
}

impl Field {
    fn value(&self, text: &str) -> Result<Option<Value>, HttpError> {
        let wrong_with = |why: Word, arguments: &[&dyn std::fmt::Display]| {
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            let mut error = HttpError::filled(status, "field", why, arguments, Word::ErrFieldNext).about(self.name);
            error.prefix(self.label);
            error
        };
        let wrong = |why: Word| wrong_with(why, &[]);
        match (self.kind, text) {
            (Kind::Tick, text) => Ok((!text.is_empty()).then(|| Value::from(true))),
            (_, "") if self.required => Err(wrong(Word::ErrFieldMissing)),
            (_, "") => Ok(None),
            (Kind::Number(min), text) => {
                let plain: String = text.chars().map(ordinary_digit).collect();
                match plain.parse::<i64>() {
                    Ok(n) if n >= min => Ok(Some(Value::from(n))),
                    Ok(_) => Err(wrong_with(Word::ErrFieldAtLeast, &[&min])),
                    Err(_) => Err(wrong(Word::ErrFieldNumber)),
                }
            }
            (Kind::Lines, text) => {
                Ok(Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect()))
            }
            (Kind::Quantities, text) => quantities(text).map(Some).ok_or_else(|| wrong(Word::ErrFieldQuantities)),
            (Kind::Degrees, text) => {
                ten_millionths(text).map(|n| Some(Value::from(n))).ok_or_else(|| wrong(Word::ErrFieldDegrees))
            }
            (_, text) => Ok(Some(Value::from(text))),
        }
    }

    fn show(&self, shown: &Shown<'_>) -> Markup {
        let lang = shown.lang;
        let id = format!("{}-{}", shown.id, self.name);
        let (hint_id, wrong_id) = (format!("{id}-hint"), format!("{id}-wrong"));
        let wrong = shown.wrong.filter(|error| error.field.as_deref() == Some(self.name));
        let mut described = vec![];
        self.hint.is_some().then(|| described.push(hint_id.as_str()));
        wrong.is_some().then(|| described.push(wrong_id.as_str()));
        let described = (!described.is_empty()).then(|| described.join(" "));
        let value = shown.values.text(self.name);
        if matches!(self.kind, Kind::Tick) {
            return html! {
                label.tick for=(id) {
                    input id=(id) type="checkbox" name=(self.name) value="yes" checked[!value.is_empty()];
                    (lang.t(self.label))
                }
            };
        }
        let control = Control { id: &id, described: described.as_deref(), wrong: wrong.is_some(), value };
        let above = html! {
            @if let Some(hint) = self.hint { span.hint id=(hint_id) { (lang.t(hint)) } }
            @if let Some(error) = wrong { span.wrong id=(wrong_id) { (error.what(lang)) " " (error.next(lang)) } }
        };
        let optional = html! { @if !self.required { " " span.soft { (lang.t(Word::Optional)) } } };
        if let Kind::Choice(choices) = self.kind {
            return html! {
                fieldset.field aria-describedby=[control.described] {
                    legend { (lang.t(self.label)) (optional) }
                    (above)
                    (self.choices(lang, choices, &control))
                }
            };
        }
        html! {
            div.field {
                label for=(id) { (lang.t(self.label)) (optional) }
                (above)
                (self.control(shown, &control))
            }
        }
    }

    /// A few fixed values stand side by side: one touch instead of three, and all of them can be read.
    fn choices(&self, lang: Lang, choices: &[(&str, Word)], control: &Control<'_>) -> Markup {
        html! {
            div.choices { @for (i, (key, word)) in choices.iter().enumerate() {
                label.tick {
                    input id=[(i == 0).then_some(control.id)] type="radio" name=(self.name) value=(key) required[self.required]
                        checked[*key == control.value] autofocus[control.wrong && i == 0];
                    (lang.t(*word))
                }
            } }
        }
    }

    fn control(&self, shown: &Shown<'_>, control: &Control<'_>) -> Markup {
        let Control { id, described, wrong, value } = *control;
        let invalid = wrong.then_some("true");
        let input = |kind: &str, mode: Option<&str>| {
            html! {
                input id=(id) name=(self.name) type=(kind) value=(value) inputmode=[mode] required[self.required]
                    autocomplete="off" aria-describedby=[described] aria-invalid=[invalid] autofocus[wrong];
            }
        };
        let area = |rows: &str, class: Option<&str>| {
            html! {
                textarea id=(id) name=(self.name) rows=(rows) class=[class] required[self.required]
                    aria-describedby=[described] aria-invalid=[invalid] autofocus[wrong] { "\n" (value) }
            }
        };
        let select = |options: Vec<(String, String)>| {
            html! {
                select id=(id) name=(self.name) required[self.required] aria-describedby=[described] aria-invalid=[invalid]
                    autofocus[wrong] {
                    option value="" { (shown.lang.t(Word::Choose)) }
                    @for (key, label) in &options { option value=(key) selected[key == value] { (label) } }
                }
            }
        };
        match self.kind {
            Kind::Line => input("text", None),
            Kind::Date => input("date", None),
            // A number field of a browser throws away what it cannot read, such as full-width digits; the keypad of
            // some phones has no minus.
            Kind::Number(min) => input("text", (min >= 0).then_some("numeric")),
            Kind::Text => area("3", None),
            Kind::Degrees => input("text", Some("decimal")),
            Kind::Lines | Kind::Quantities => area("4", None),
            Kind::LongText => area("16", Some("text")),
            Kind::Among(source) => select((shown.options)(source)),
            Kind::Choice(_) | Kind::Tick => html! {},
        }
    }
}

#[derive(Clone, Copy)]
struct Control<'c> {
    id: &'c str,
    described: Option<&'c str>,
    wrong: bool,
    value: &'c str,
}

/// Chinese input methods leave full-width digits behind.
fn ordinary_digit(c: char) -> char {
    match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c),
        '－' => '-',
        _ => c,
    }
}

/// `帐篷 20` on each line: a name, then a whole number.
fn quantities(text: &str) -> Option<Value> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let plain: String = line.chars().map(ordinary_digit).collect();
        let (name, number) = plain.rsplit_once([' ', '\u{3000}', '=', '：', ':', '\t'])?;
        Some((name.trim().to_owned(), Value::from(number.trim().parse::<i64>().ok()?)))
    });
    pairs.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

/// `31.29901` as 312990100, without the rounding of floats.
fn ten_millionths(text: &str) -> Option<i64> {
    let plain: String = text.chars().map(ordinary_digit).collect();
    let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || fraction.len() > 7 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<7}").parse::<i64>().ok().map(|n| sign * n)
}

/// The text in which [`ten_millionths`] reads a number back.
pub(crate) fn degrees(e7: i64) -> String {
    let (sign, e7) = (if e7 < 0 { "-" } else { "" }, e7.unsigned_abs());
    let fraction = format!("{:07}", e7 % 10_000_000);
    format!("{sign}{}.{}", e7 / 10_000_000, fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_read_without_floats() {
        assert_eq!(ten_millionths("31.29901"), Some(312_990_100));
        assert_eq!(ten_millionths("-0.5"), Some(-5_000_000));
        assert_eq!(ten_millionths("１２０"), Some(1_200_000_000));
        for wrong in ["", ".", "1e3", "31,2", "31.123456789", "1234", "--1"] {
            assert_eq!(ten_millionths(wrong), None, "{wrong}");
        }
        assert_eq!(ten_millionths(&degrees(-312_990_100)), Some(-312_990_100));
    }

    #[test]
    fn minimums_are_a_name_and_a_number_on_each_line() {
        let read = quantities("折叠床 ２０\n\n水泵（大）=2").unwrap();
        assert_eq!(read, serde_json::json!({"折叠床": 20, "水泵（大）": 2}));
        assert_eq!(quantities("折叠床"), None);
        assert_eq!(quantities("折叠床 许多"), None);
    }
}
