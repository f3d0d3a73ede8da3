//! A street's year in an hour: the sample imported, acts of every kind, a cut in which both streets act on the same
//! things without hearing each other, every class of conflict, and its settlement.

use std::collections::BTreeSet;
use std::sync::Arc;

use linli::node::Node;
use linli_core::id::RecordId;
use linli_core::testkit::District;
use linli_domain::events::kind_table;
use linli_domain::state::RecordKind;
use linli_store::Store;
use serde_json::json;

use crate::district::{self, done, import_sample, logs_of, meet};

/// Both nodes after everything, holding and showing the same.
pub struct CutStreet {
    /// The district.
    pub district: District,
    /// The node of the sample's street, and its store.
    pub here: (Arc<Node>, Store),
    /// Another node of the same street, and its store.
    pub there: (Arc<Node>, Store),
    /// The node of the street beside it, and its store. What it does about this street waits until it is adopted.
    pub beside: (Arc<Node>, Store),
}

impl CutStreet {
    /// Plays all of it.
    pub fn after_everything() -> Self {
        let district = District::with_nodes(&[district::STREET, district::STREET, district::NEXT_STREET]);
        let [here, there, beside] = [0, 1, 2].map(|i| district::node(&district, i));
        let street = Self { district, here, there, beside };
        import_sample(&street.here.0);
        let things = street.before_the_cut();
        street.meet();
        street.during_the_cut(&things);
        street.meet();
        street.settle_everything();
        street.explain_and_adopt(&things);
        street.after_the_settlements(&things);
        street.meet();
        street.assert_every_kind_was_written();
        street
    }

    fn meet(&self) {
        meet(&self.here.1, &self.there.1);
        meet(&self.there.1, &self.beside.1);
        meet(&self.here.1, &self.there.1);
        for (node, _) in [&self.here, &self.there, &self.beside] {
            node.rebuild().unwrap();
        }
    }

    fn all(&self, kind: RecordKind) -> Vec<RecordId> {
        self.here.0.summaries().into_iter().filter(|summary| summary.kind == kind).map(|summary| summary.id).collect()
    }

    fn before_the_cut(&self) -> Things {
        let node = &*self.here.0;
        let report = |place: &str| {
            let report = json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水"});
            done(node, "值班", report)
        };
        let hazard =
            json!({"do": "report_hazard", "category": "电线裸露", "grade": "major", "place": "7幢", "summary": "楼道"});
        let twin = |text: &str| {
            let draft =
                json!({"do": "draft_plan", "tier": "community", "scope": "水上", "title": "水上预案", "text": text});
            let plan = done(node, "甲", draft);
            done(node, "乙", json!({"do": "approve_plan", "plan": plan}));
            plan
        };
        let things = Things {
            incident: report("东门"),
            other_incident: report("西门"),
            third_incident: report("南门"),
            hazard: done(node, "甲", hazard),
            team: self.all(RecordKind::Team)[0],
            plan: self.all(RecordKind::Plan)[0],
            other_plan: self.all(RecordKind::Plan)[1],
            point: self.all(RecordKind::SupplyPoint)[0],
            other_point: self.all(RecordKind::SupplyPoint)[1],
            twins: [twin("甲岸集合"), twin("乙岸集合")],
        };
        let Things { incident, other_incident, hazard, team, plan, point, other_point, .. } = things;
        for act in [
            json!({"do": "verify_incident", "incident": incident}),
            json!({"do": "assign_incident", "incident": incident, "team": team, "task": "排水"}),
            json!({"do": "update_incident", "incident": incident, "text": "水深半米", "injured": 1}),
            json!({"do": "link_incident", "incident": other_incident, "duplicate_of": incident}),
            json!({"do": "check_in_team", "team": team, "place": "东门", "readiness": "ready"}),
            json!({"do": "set_team", "team": team, "lead": "队长岗"}),
            json!({"do": "file_hazard", "hazard": hazard}),
            json!({"do": "dispatch_hazard", "hazard": hazard, "to": "物业"}),
            json!({"do": "handle_hazard", "hazard": hazard, "what": "已包扎"}),
            json!({"do": "answer_hazard", "hazard": hazard, "text": "已处理"}),
            json!({"do": "receive_supplies", "point": point, "item": "应急担架", "unit": "条", "quantity": 20, "from": "区仓库"}),
            json!({"do": "issue_supplies", "point": point, "item": "应急担架", "quantity": 2, "to": "居民"}),
            json!({"do": "send_supplies", "point": point, "item": "应急担架", "quantity": 3, "to_point": other_point}),
            json!({"do": "count_supplies", "point": point, "item": "应急担架", "quantity": 15}),
            json!({"do": "adjust_supplies", "point": point, "item": "应急担架", "delta": -1, "reason": "damaged"}),
            json!({"do": "edit_plan", "plan": plan, "text": "一、东门集合。\n二、走南路。"}),
        ] {
            done(node, "甲", act);
        }
        let transit = node.desk().in_transit.into_iter().find(|line| line.from_point == point).unwrap();
        let arrival = json!({"do": "arrive_supplies", "point": other_point, "from_point": point, "transfer": transit.transfer.transfer, "quantity": 2});
        done(node, "丁", arrival);
        done(node, "乙", json!({"do": "approve_plan", "plan": plan}));
        done(node, "乙", json!({"do": "close_hazard", "hazard": hazard, "finding": "合格"}));
        things
    }

    fn during_the_cut(&self, things: &Things) {
        let (here, there) = (&*self.here.0, &*self.there.0);
        let Things { incident, other_incident, hazard, team, plan, point, .. } = *things;
        let receive = |item: &str, unit: &str| json!({"do": "receive_supplies", "point": point, "item": item, "unit": unit, "quantity": 9, "from": "区仓库"});
        let left = [
            ("调度", json!({"do": "deploy_team", "team": team, "incident": incident, "people": 4})),
            (
                "仓管",
                json!({"do": "issue_supplies", "point": point, "item": "应急担架", "quantity": 10, "to": "一号楼"}),
            ),
            ("乙", json!({"do": "issue_plan", "plan": plan})),
            ("丙", json!({"do": "reopen_hazard", "hazard": hazard, "reason": "又露出"})),
            ("网格员", json!({"do": "dispatch_hazard", "hazard": hazard, "to": "物业"})),
            ("网格员", json!({"do": "handle_hazard", "hazard": hazard, "what": "再次包扎"})),
            ("丙", json!({"do": "close_hazard", "hazard": hazard, "finding": "再次合格"})),
            (
                "值班",
                json!({"do": "close_incident", "incident": incident, "outcome": "已排干", "even_if_teams_there": true}),
            ),
            ("乙", json!({"do": "issue_plan", "plan": things.twins[0]})),
            ("仓管", json!({"do": "count_supplies", "point": point, "item": "雨靴", "quantity": 5})),
            ("仓管", receive("哨子", "个")),
        ];
        let right = [
            ("调度", json!({"do": "deploy_team", "team": team, "incident": other_incident, "people": 3})),
            (
                "仓管",
                json!({"do": "issue_supplies", "point": point, "item": "应急担架", "quantity": 9, "to": "二号楼"}),
            ),
            ("甲", json!({"do": "edit_plan", "plan": plan, "text": "一、西门集合。\n二、走南路。"})),
            ("乙", json!({"do": "approve_plan", "plan": plan})),
            ("乙", json!({"do": "issue_plan", "plan": plan})),
            ("丁", json!({"do": "reopen_hazard", "hazard": hazard, "reason": "居民来电"})),
            (
                "值班",
                json!({"do": "close_incident", "incident": incident, "outcome": "转移居民", "even_if_teams_there": true}),
            ),
            ("乙", json!({"do": "issue_plan", "plan": things.twins[1]})),
            ("仓管", json!({"do": "count_supplies", "point": point, "item": "雨靴", "quantity": 6})),
            ("仓管", receive("哨子", "盒")),
        ];
        let outside = [
            json!({"do": "update_incident", "incident": incident, "text": "邻街也有积水"}),
            json!({"do": "check_in_team", "team": team, "place": "邻街", "readiness": "limited"}),
            json!({"do": "count_supplies", "point": things.other_point, "item": "手电", "quantity": 4}),
            json!({"do": "answer_hazard", "hazard": hazard, "text": "邻街居民已告知"}),
            json!({"do": "approve_plan", "plan": things.other_plan}),
        ];
        for (by, act) in left {
            done(here, by, act);
        }
        for (by, act) in right {
            done(there, by, act);
        }
        for act in outside {
            done(&self.beside.0, "邻街", act);
        }
    }

    /// Every class of conflict came up, and a person settles each.
    fn settle_everything(&self) {
        let node = &*self.here.0;
        let open = node.desk().conflicts;
        let classes: BTreeSet<&str> = open.iter().map(|line| line.conflict.class.code()).collect();
        let all = [
            "closed_and_reopened",
            "double_deployment",
            "overdraw",
            "two_closings",
            "two_counts",
            "two_issued",
            "two_units",
        ];
        assert_eq!(classes, BTreeSet::from(all));
        for line in open {
            let conflict = line.conflict.id;
            let mut settle =
                json!({"do": "settle_conflict", "record": line.record, "conflict": conflict, "decision": "依现场"});
            if line.conflict.class.asks_for_a_count() {
                settle["counted"] = json!(3);
            }
            done(node, "主任", settle);
        }
        assert!(node.desk().conflicts.is_empty());
    }

    /// What contradicts between the records, and what came from outside.
    fn explain_and_adopt(&self, things: &Things) {
        let node = &*self.here.0;
        let teams = self.all(RecordKind::Team);
        for incident in [things.other_incident, things.third_incident] {
            done(
                node,
                "值班",
                json!({"do": "assign_incident", "incident": incident, "team": teams[1], "task": "转移"}),
            );
        }
        for number in ["99", "99-1"] {
            let survey = json!({"do": "survey_building", "building": number, "name": "码头99号", "households": 1, "residents": 2});
            done(node, "网格员", survey);
        }
        let open = node.desk().crosschecks;
        let classes: BTreeSet<&str> = open.iter().map(|line| line.check.class.code()).collect();
        let all = [
            "lost_on_the_way",
            "one_address_two_buildings",
            "one_team_two_tasks",
            "team_at_closed_incident",
            "two_plans_in_force",
        ];
        assert_eq!(classes, BTreeSet::from(all));
        for line in open {
            let by_team = |record: &&RecordId| **record == things.team;
            let record = line.check.records.iter().find(by_team).unwrap_or(&line.check.records[0]);
            let explain =
                json!({"do": "explain_check", "record": record, "check": line.check.id, "explanation": "已核实"});
            done(node, "主任", explain);
        }
        assert!(node.desk().crosschecks.is_empty());
        let waiting = node.desk().adoptions;
        assert_eq!(waiting.len(), 5, "{waiting:?}");
        for line in waiting {
            let seen: Vec<_> = node.view(&line.record).unwrap().unwrap().outside().collect();
            done(node, "主任", json!({"do": "adopt_acts", "record": line.record, "events": seen}));
        }
        assert!(node.desk().adoptions.is_empty());
    }

    fn after_the_settlements(&self, things: &Things) {
        let (here, there) = (&*self.here.0, &*self.there.0);
        let Things { incident, team, plan, other_plan, .. } = *things;
        done(here, "调度", json!({"do": "release_team", "team": team, "incident": incident}));
        done(here, "值班", json!({"do": "reopen_incident", "incident": incident, "reason": "复涨"}));
        done(here, "主任", json!({"do": "supersede_plan", "plan": plan, "by_plan": other_plan}));
        done(
            there,
            "甲",
            json!({"do": "draft_plan", "tier": "community", "scope": "邻街", "title": "邻街联防预案", "text": "集合"}),
        );
    }

    fn assert_every_kind_was_written(&self) {
        let logs = logs_of(&self.here.1);
        let events = logs.values().flatten();
        let written: BTreeSet<String> =
            events.map(|event| format!("{}.{}", event.header().stream, event.header().kind)).collect();
        for kind in kind_table() {
            let name = format!("{}.{}", kind.stream, kind.word);
            assert!(written.contains(&name), "no act of the kind {name}");
        }
    }
}

/// What the acts are about.
struct Things {
    incident: RecordId,
    other_incident: RecordId,
    hazard: RecordId,
    team: RecordId,
    plan: RecordId,
    other_plan: RecordId,
    point: RecordId,
    other_point: RecordId,
    third_incident: RecordId,
    twins: [RecordId; 2],
}
