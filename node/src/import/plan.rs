//! Plans: Markdown with a front matter of `key: value` lines between two `---`.
//!
//! The Markdown itself is carried, not interpreted. The front matter is no YAML: seven-odd plain lines that people
//! type need neither nesting nor types, and a smaller grammar has fewer ways to surprise.

use super::cell::{choice, text};
use super::date::{CalendarDate, date};
use super::finding::{Finding, Findings, Message, quoted};
use super::header::{Column, nearest_column};
use super::identifier::{AreaCode, BuildingId, PlanId, identifier};
use super::limits::{CELL_CHARS_MAX, PLAN_BYTES_MAX};
use super::record::{Plan, PlanScope, PlanTier};
use super::register::Referents;
use super::source::Source;

const FENCE: &str = "---";

const ID: Column = Column { zh: "编号", en: "id" };
const TIER: Column = Column { zh: "层级", en: "tier" };
const SCOPE: Column = Column { zh: "范围", en: "scope" };
const TITLE: Column = Column { zh: "标题", en: "title" };
const HAZARDS: Column = Column { zh: "灾种", en: "hazards" };
const VALID_UNTIL: Column = Column { zh: "有效期至", en: "valid_until" };
const KEYS: &[Column] = &[ID, TIER, SCOPE, TITLE, HAZARDS, VALID_UNTIL];

const TIERS: &[(PlanTier, &str, &str)] = &[
    (PlanTier::Household, "家庭", "household"),
    (PlanTier::Building, "楼栋", "building"),
    (PlanTier::Estate, "小区", "estate"),
];

/// Plans by id, to tell where one was used before: unlike a table's rows they stand in different files.
#[derive(Debug, Default)]
pub(super) struct PlansSeen {
    files: std::collections::BTreeMap<PlanId, (String, u64)>,
}

/// Reads one plan.
pub(super) fn plan(
    source: &Source,
    buildings: &Referents<BuildingId>,
    seen: &mut PlansSeen,
    findings: &mut Findings,
) -> Option<Plan> {
    let file = source.name.as_str();
    if source.text.len() > PLAN_BYTES_MAX {
        findings.add(|| Finding::in_file(file, too_long()));
        return None;
    }
    let text = source.text.replace("\r\n", "\n").replace('\r', "\n");
    let Some(front) = FrontMatter::split(&text) else {
        findings.add(|| Finding::on_line(file, 1, no_front_matter()));
        return None;
    };
    let entries = front.entries(file, findings);
    let id = entries.read(ID, findings, identifier::<PlanId>);
    if let Some(id) = &id {
        entries.report_reused_id(id, seen, findings);
    }
    let tier = entries.read(TIER, findings, choice(TIERS));
    let scope = tier.and_then(|tier| entries.read(SCOPE, findings, |value| scope(value, tier, buildings)));
    let title = entries.read(TITLE, findings, super::cell::text);
    let hazards = entries.read(HAZARDS, findings, hazards);
    let valid_until: Option<CalendarDate> = entries.read(VALID_UNTIL, findings, date);
    let body = front.body(file, findings);
    Some(Plan {
        id: id?,
        tier: tier?,
        scope: scope?,
        title: title?,
        hazards: hazards?,
        valid_until: valid_until?,
        body: body?,
    })
}

/// A plan's text cut at its two fences.
struct FrontMatter<'a> {
    lines: Vec<&'a str>,
    body: &'a str,
}

impl<'a> FrontMatter<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let mut rest = text;
        let mut lines = Vec::new();
        for number in 0.. {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let fence = line.trim_end() == FENCE;
            match (number, fence) {
                (0, false) => return None,
                (0, true) => {}
                (_, true) => return Some(Self { lines, body: after }),
                (_, false) if after.is_empty() => return None,
                (_, false) => lines.push(line),
            }
            rest = after;
        }
        None
    }

    fn entries<'b>(&self, file: &'b str, findings: &mut Findings) -> Entries<'a, 'b> {
        let mut found: Vec<(Column, u64, &'a str)> = Vec::new();
        // The first line is the fence.
        for (line, written) in (2_u64..).zip(self.lines.iter().copied()) {
            if written.trim().is_empty() {
                continue;
            }
            let Some((key, value)) = written.split_once([':', '\u{ff1a}']) else {
                findings.add(|| Finding::on_line(file, line, no_colon(written)));
                continue;
            };
            let Some(column) = KEYS.iter().copied().find(|known| known.is_called(key)) else {
                findings.add(|| Finding::on_line(file, line, unknown_key(key)));
                continue;
            };
            if let Some((_, first, _)) = found.iter().find(|(known, ..)| *known == column) {
                let message = super::register::duplicate(column.zh, *first, line);
                findings
                    .add(|| Finding { column_name: Some(column.zh.into()), ..Finding::on_line(file, line, message) });
                continue;
            }
            found.push((column, line, value.trim()));
        }
        Entries { file, found }
    }

    fn body(&self, file: &str, findings: &mut Findings) -> Option<String> {
        let body = self.body.trim_matches('\n');
        if body.trim().is_empty() {
            findings.add(|| {
                Finding::in_file(
                    file,
                    Message::new("预案没有正文。请写上要做的事", "the plan has no text. Write what is to be done"),
                )
            });
            return None;
        }
        // Line by line, so that the finding has a line; the front matter and both fences come before the body.
        let skipped = self.body.bytes().take_while(|&byte| byte == b'\n').count();
        let first_line = self.lines.len() + skipped + 3;
        let mut clean = true;
        for (line, written) in (first_line as u64..).zip(body.lines()).filter(|(_, written)| !written.is_empty()) {
            if let Err(message) = text(written) {
                clean = false;
                findings.add(|| Finding::on_line(file, line, message));
            }
        }
        clean.then(|| format!("{body}\n"))
    }
}

/// The front matter's values with their lines.
struct Entries<'a, 'b> {
    file: &'b str,
    found: Vec<(Column, u64, &'a str)>,
}

impl Entries<'_, '_> {
    fn read<T>(
        &self,
        column: Column,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Result<T, Message>,
    ) -> Option<T> {
        let Some((_, line, value)) = self.found.iter().find(|(known, ..)| *known == column) else {
            let (zh, en) = (column.zh, column.en);
            let message = Message::new(
                format!("开头缺少“{zh}”。请在两行 --- 之间加上一行“{zh}: …”"),
                format!("“{zh}” ({en}) is missing at the top. Add a line “{zh}: …” between the two ---"),
            );
            findings.add(|| Finding { column_name: Some(zh.to_owned()), ..Finding::in_file(self.file, message) });
            return None;
        };
        let parsed = if value.chars().nth(CELL_CHARS_MAX).is_some() { Err(over_long()) } else { parse(value) };
        parsed.map_err(|message| findings.add(|| self.finding(column, *line, message))).ok()
    }

    fn finding(&self, column: Column, line: u64, message: Message) -> Finding {
        Finding { column_name: Some(column.zh.to_owned()), ..Finding::on_line(self.file, line, message) }
    }

    fn report_reused_id(&self, id: &PlanId, seen: &mut PlansSeen, findings: &mut Findings) {
        let line = self.found.iter().find(|(column, ..)| *column == ID).map_or(1, |(_, line, _)| *line);
        let Some((first_file, first_line)) = seen.files.get(id) else {
            seen.files.insert(id.clone(), (self.file.to_owned(), line));
            return;
        };
        findings.add(|| {
            let shown = quoted(id.as_str());
            self.finding(
                ID,
                line,
                Message::new(
                    format!("{shown} 已用于 {first_file} 第 {first_line} 行。请给这份预案另一个编号"),
                    format!("{shown} is already used on line {first_line} of {first_file}. Give this plan another id"),
                ),
            )
        });
    }
}

fn scope(value: &str, tier: PlanTier, buildings: &Referents<BuildingId>) -> Result<PlanScope, Message> {
    let area = identifier::<AreaCode>(value);
    match (tier, area) {
        (PlanTier::Estate, area) => area.map(PlanScope::Area),
        (PlanTier::Household, Ok(area)) => Ok(PlanScope::Area(area)),
        (PlanTier::Building, _) | (PlanTier::Household, Err(_)) => {
            let building = identifier::<BuildingId>(value)?;
            if buildings.dangling(&building) {
                return Err(buildings.explain_dangling(&building));
            }
            Ok(PlanScope::Building(building))
        }
    }
}

fn hazards(value: &str) -> Result<Vec<String>, Message> {
    let value = text(value)?;
    let named =
        value.split(['、', ',', '\u{ff0c}', ';', '\u{ff1b}']).map(str::trim).filter(|hazard| !hazard.is_empty());
    let mut hazards: Vec<String> = Vec::new();
    for hazard in named {
        if !hazards.iter().any(|known| known == hazard) {
            hazards.push(hazard.to_owned());
        }
    }
    if hazards.is_empty() {
        return Err(Message::new(
            "没有写灾种。请至少写一种，用、隔开",
            "no hazard is named. Write at least one, separated by 、",
        ));
    }
    Ok(hazards)
}

fn too_long() -> Message {
    let kib = PLAN_BYTES_MAX / 1024;
    Message::new(
        format!("预案超过 {kib} KiB。请拆成几份，或删去图片和附表"),
        format!("the plan is longer than {kib} KiB. Split it, or remove pictures and annexes"),
    )
}

fn no_front_matter() -> Message {
    Message::new(
        "开头不是 --- 围起的说明。请让第一行是 ---，然后写编号、层级、范围、标题、灾种、有效期至，再写一行 ---",
        "does not begin with a front matter. Make the first line ---, then the lines 编号, 层级, 范围, 标题, 灾种, 有效期至, then --- again",
    )
}

fn no_colon(written: &str) -> Message {
    let shown = quoted(written.trim());
    Message::new(
        format!("{shown} 里没有冒号。请写成“名称: 内容”，或用一行 --- 结束开头部分"),
        format!("{shown} has no colon. Write “name: value”, or end the front matter with ---"),
    )
}

fn unknown_key(key: &str) -> Message {
    let (shown, similar) = (quoted(key.trim()), nearest_column(key, KEYS));
    Message::new(
        format!("不认识 {shown}。最接近的是“{similar}”，请改成它，或删去此行"),
        format!("unknown key {shown}. The nearest is “{similar}”: rename it to that, or delete the line"),
    )
}

fn over_long() -> Message {
    Message::new(
        format!("此项超过 {CELL_CHARS_MAX} 个字。请改短，细节写进正文"),
        format!("this value has more than {CELL_CHARS_MAX} characters. Shorten it; details belong into the text"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::register::Register;

    const FRONT: &str =
        "编号: P1\n层级: 小区\n范围: 320508005012\n标题: 暴雨\n灾种: 暴雨、内涝、暴雨\n有效期至: 2028年5月31日\n";

    fn read(text: &str) -> (Option<Plan>, Vec<Finding>) {
        let mut buildings = Register::default();
        buildings.enter("B001".parse().unwrap(), 2);
        let buildings = Referents::new("buildings.csv", buildings, true);
        let mut findings = Findings::default();
        let source = Source { name: "plans/p.md".into(), text: text.into() };
        let plan = plan(&source, &buildings, &mut PlansSeen::default(), &mut findings);
        (plan, findings.into_report().map(|report| report.findings).unwrap_or_default())
    }

    #[test]
    fn reads_a_plan_whatever_its_line_ends_and_colons() {
        let text = format!("---\n{}---\n\n# 步骤\n做\n", FRONT.replace(": ", "\u{ff1a}")).replace('\n', "\r\n");
        let (plan, findings) = read(&text);
        assert_eq!(findings, []);
        let plan = plan.unwrap();
        assert_eq!((plan.hazards.join("+").as_str(), plan.body.as_str()), ("暴雨+内涝", "# 步骤\n做\n"));
        assert_eq!(plan.scope, PlanScope::Area("320508005012".parse().unwrap()));
    }

    #[test]
    fn a_rule_inside_the_text_is_part_of_the_text() {
        let (plan, _) = read(&format!("---\n{FRONT}---\n一\n---\n二\n"));
        assert_eq!(plan.unwrap().body, "一\n---\n二\n");
    }

    #[test]
    fn names_missing_unknown_and_repeated_keys_together() {
        let (plan, findings) = read("---\n编号: P1\n编号: P2\n等级: 小区\n标题 暴雨\n---\n做\n");
        assert!(plan.is_none());
        let all = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in ["line 2 and again on line 3", "nearest is “层级”", "has no colon", "“灾种” (hazards) is missing"]
        {
            assert!(all.contains(part), "{part} not in\n{all}");
        }
    }

    #[test]
    fn a_building_plan_must_name_a_known_building() {
        let front = FRONT.replace("小区", "楼栋");
        let (_, findings) = read(&format!("---\n{}---\n做\n", front.replace("320508005012", "B01")));
        assert!(findings[0].message.en.contains("Did you mean “B001”"), "{}", findings[0]);
        let (plan, _) = read(&format!("---\n{}---\n做\n", front.replace("320508005012", "B001")));
        assert_eq!(plan.unwrap().scope, PlanScope::Building("B001".parse().unwrap()));
    }

    #[test]
    fn text_without_front_matter_or_content_is_refused() {
        for text in ["", "---", "---\n编号: P1\n", "# 步骤\n"] {
            assert!(read(text).1[0].message.en.contains("front matter"), "{text:?}");
        }
        assert!(read(&format!("---\n{FRONT}---\n\n \n")).1[0].message.en.contains("no text"));
    }

    #[test]
    fn a_plan_over_the_bound_is_refused() {
        let (plan, findings) = read(&format!("---\n{FRONT}---\n{}\n", "长".repeat(PLAN_BYTES_MAX / 3)));
        assert!(plan.is_none() && findings[0].message.en.contains("32 KiB"));
    }

    #[test]
    fn hidden_characters_in_the_text_are_found_on_their_line() {
        let (_, findings) = read(&format!("---\n{FRONT}---\n\n一\n二\u{202e}\n"));
        assert_eq!(findings[0].line, Some(11));
    }
}
