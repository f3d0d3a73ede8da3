//! Whole directories: the sample street, copies of it with one thing changed, and arbitrary bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/street")
}

/// A copy of the sample that a test may damage.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        fs::create_dir(copy.path("plans")).unwrap();
        for name in TABLE_FILES {
            fs::copy(sample().join(name), copy.path(name)).unwrap();
        }
        for plan in fs::read_dir(sample().join("plans")).unwrap() {
            let plan = plan.unwrap();
            fs::copy(plan.path(), copy.path("plans").join(plan.file_name())).unwrap();
        }
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn rewrite(&self, name: &str, change: impl FnOnce(String) -> Vec<u8>) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        fs::write(self.path(name), change(text)).unwrap();
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        self.rewrite(name, |text| {
            assert!(text.contains(from), "{name} does not contain {from}");
            text.replacen(from, to, 1).into_bytes()
        });
    }

    fn read(&self) -> Result<Street, ImportReport> {
        read_street(self.0.path())
    }

    /// The only finding, as `file:line:column [name]: text`.
    fn only_finding(&self) -> String {
        let report = self.read().unwrap_err();
        assert_eq!(report.findings.len(), 1, "{report}");
        report.findings[0].to_string()
    }
}

fn gbk(text: &str) -> Vec<u8> {
    let (bytes, _, lossy) = encoding_rs::GBK.encode(text);
    assert!(!lossy);
    bytes.into_owned()
}

#[test]
fn the_sample_street_reads_clean_and_is_what_a_pilot_street_is() {
    let street = read_street(&sample()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((street.buildings.len(), street.supply_points.len(), street.teams.len()), (132, 8, 20));
    let mut certified: BTreeMap<&TeamId, BTreeSet<&str>> = BTreeMap::new();
    for certificate in &street.certificates {
        assert!((2028..=2029).contains(&certificate.valid_until.year()));
        certified.entry(&certificate.team).or_default().insert(&certificate.holder);
    }
    assert!(street.teams.iter().all(|team| certified.get(&team.id).is_some_and(|people| people.len() == 3)));
    let tiers = |tier| street.plans.iter().filter(|plan| plan.tier == tier).count();
    assert!(tiers(PlanTier::Estate) >= 1 && tiers(PlanTier::Building) >= 2 && tiers(PlanTier::Household) >= 1);
}

#[test]
fn the_samples_stock_has_lots_about_to_expire_and_items_below_their_minimum() {
    let street = read_street(&sample()).unwrap();
    let (from, to) = (CalendarDate::new(2026, 12, 1).unwrap(), CalendarDate::new(2027, 1, 31).unwrap());
    let expiring = street.stock.iter().filter(|lot| lot.expires.is_some_and(|day| (from..=to).contains(&day))).count();
    let mut held: BTreeMap<(&SupplyPointId, &str), (u32, u32)> = BTreeMap::new();
    for lot in &street.stock {
        held.entry((&lot.supply_point, &lot.item)).or_insert((0, lot.minimum)).0 += lot.quantity;
    }
    let short = held.values().filter(|(quantity, minimum)| quantity < minimum).count();
    let items: BTreeSet<&str> = street.stock.iter().map(|lot| lot.item.as_str()).collect();
    assert!(expiring >= 5 && short >= 4 && items.len() >= 12, "{expiring} {short} {}", items.len());
}

#[test]
fn the_samples_points_reach_at_least_ninety_per_cent_but_not_all() {
    let street = read_street(&sample()).unwrap();
    let reached = street.buildings.iter().filter(|building| {
        let near = |point: &SupplyPoint| metres(building.position, point.position) <= f64::from(point.service_radius_m);
        street.supply_points.iter().any(near)
    });
    assert_eq!(reached.count(), 124);
}

/// Equirectangular distance: exact enough over a street.
fn metres(a: Position, b: Position) -> f64 {
    const METRES_PER_DEGREE: f64 = 111_320.0;
    let degrees = |e7: i64| e7 as f64 / 1e7;
    let middle = degrees(a.latitude_e7() + b.latitude_e7()) / 2.0;
    let east = degrees(a.longitude_e7() - b.longitude_e7()) * middle.to_radians().cos();
    let north = degrees(a.latitude_e7() - b.latitude_e7());
    east.hypot(north) * METRES_PER_DEGREE
}

#[test]
fn other_encodings_of_the_same_files_read_identically() {
    // Given copies of the sample as spreadsheets and text editors save them
    let original = read_street(&sample()).unwrap();
    let with_mark = |text: String| format!("\u{feff}{text}").replace('\n', "\r\n").into_bytes();
    let utf16 = |text: String| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let tabbed = |text: String| {
        format!("\u{feff}{}", text.replace(',', "\t")).encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let encodings: [&dyn Fn(String) -> Vec<u8>; 4] = [&|text| gbk(&text), &with_mark, &utf16, &tabbed];
    for encode in encodings {
        let copy = Copy::new();
        for name in TABLE_FILES {
            copy.rewrite(name, encode);
        }
        copy.rewrite("plans/jiating.md", |text| gbk(&text));
        // When they are read, then nothing tells them apart
        assert_eq!(copy.read().as_ref(), Ok(&original));
    }
}

#[test]
fn english_headers_and_other_forms_of_dates_read_identically() {
    let original = read_street(&sample()).unwrap();
    let copy = Copy::new();
    copy.replace(
        "certificates.csv",
        "队伍编号,姓名,证书类型,证书编号,发证单位,有效期至",
        "team,holder,kind,number,issuer,valid_until",
    );
    copy.replace("teams.csv", "楼栋队", "building_team");
    copy.rewrite("stock.csv", |text| {
        text.replace("2026-12-18", "２０２６年１２月１８日").replace("2026-12-27", "2026/12/27").into_bytes()
    });
    assert_eq!(copy.read(), Ok(original));
}

#[test]
fn a_day_that_february_does_not_have_is_explained() {
    let copy = Copy::new();
    copy.replace("stock.csv", "2026-12-18", "2026/2/30");
    let finding = copy.only_finding();
    assert!(finding.contains("[有效期]") && finding.contains("February 2026 has 28 days"), "{finding}");
}

#[test]
fn a_repeated_id_names_both_lines() {
    let copy = Copy::new();
    copy.replace("buildings.csv", "\nB005,", "\nB002,");
    copy.replace("plans/loudong-b001.md", "YA-LD-B001", "YA-XQ-01");
    let report = copy.read().unwrap_err().to_string();
    assert!(
        report.contains("buildings.csv:6:1 [楼栋编号]") && report.contains("line 3 and again on line 6"),
        "{report}"
    );
    assert!(report.contains("already used on line 2 of plans/loudong-b001.md"), "{report}");
}

#[test]
fn a_certificate_counted_twice_is_found() {
    let copy = Copy::new();
    copy.replace("certificates.csv", "XY-示例-0002", "XF-示例-0001");
    assert!(copy.only_finding().contains("line 2 and again on line 3"));
}

#[test]
fn one_lot_twice_and_two_minimums_or_units_of_one_item_are_found() {
    let copy = Copy::new();
    let rows = "P01,帐篷,顶,ZP2024-01A,,1,20\nP01,帐篷,顶,ZP-2,,1,21\nP01,帐篷,套,ZP-3,,1,20\n";
    copy.rewrite("stock.csv", |text| format!("{text}{rows}").into_bytes());
    let report = copy.read().unwrap_err();
    let names: Vec<_> = report.findings.iter().filter_map(|finding| finding.column_name.as_deref()).collect();
    assert_eq!(names, ["批次", "最低库存", "单位"], "{report}");
}

#[test]
fn only_a_building_team_must_name_its_building() {
    let copy = Copy::new();
    copy.replace("teams.csv", "微型消防站,B007", "微型消防站,");
    assert!(copy.read().is_ok_and(|street| street.teams[1].building.is_none()));
    copy.replace("teams.csv", "楼栋队,B001", "楼栋队,");
    assert!(copy.only_finding().contains("teams.csv:2:4 [楼栋编号]: 楼栋队必须写明楼栋"));
}

#[test]
fn one_post_stands_once_in_each_area() {
    // Given the liaison's post, which the sample already has in four communities
    let copy = Copy::new();
    // When one community has it twice
    copy.rewrite("contacts.csv", |text| format!("{text}社区应急联络员,何汀,199-0000-0099,320508005012\n").into_bytes());
    // Then only that one is found
    let finding = copy.only_finding();
    assert!(finding.contains("“社区应急联络员 320508005012” stands on line"), "{finding}");
}

#[test]
fn swapped_coordinates_are_called_swapped_and_far_ones_outside() {
    let copy = Copy::new();
    copy.replace("buildings.csv", "120.6982758,31.2991017", "31.2991017,120.6982758");
    assert!(copy.only_finding().contains("buildings.csv:2:5 [经度]: 经度和纬度写反了"));
    copy.replace("buildings.csv", "31.2991017,120.6982758", "-0.1276,51.5072");
    assert!(copy.only_finding().contains("outside China (73 to 136 degrees)"));
}

#[test]
fn references_that_lead_nowhere_name_the_likely_target() {
    let copy = Copy::new();
    copy.replace("stock.csv", "\nP01,", "\nP1,");
    copy.replace("teams.csv", ",B001", ",B1001");
    copy.replace("certificates.csv", "\nT01,", "\nT99,");
    copy.replace("supply_points.csv", "湖滨新村储备点管理员", "湖滨新村储备管理员");
    let report = copy.read().unwrap_err();
    let text = report.to_string();
    for similar in ["“P01”", "“B001”", "“T09”", "“湖滨新村储备点管理员”"] {
        assert!(text.contains(similar), "{similar} not in\n{text}");
    }
    assert_eq!(report.findings.len(), 4);
}

#[test]
fn a_missing_file_is_one_finding_and_not_one_for_each_reference_to_it() {
    let copy = Copy::new();
    fs::remove_file(copy.path("supply_points.csv")).unwrap();
    let finding = copy.only_finding();
    assert!(finding.contains("supply_points.csv is missing. Add it"), "{finding}");
}

#[test]
fn an_empty_directory_lists_every_missing_file() {
    let directory = tempfile::tempdir().unwrap();
    let report = read_street(directory.path()).unwrap_err();
    assert_eq!(report.findings.len(), TABLE_FILES.len() + 1, "{report}");
}

#[test]
fn headers_alone_are_a_street_that_is_only_beginning() {
    let copy = Copy::new();
    for name in TABLE_FILES {
        copy.rewrite(name, |text| text.lines().next().unwrap_or_default().into());
    }
    fs::remove_dir_all(copy.path("plans")).unwrap();
    fs::create_dir(copy.path("plans")).unwrap();
    assert!(copy.read().unwrap().buildings.is_empty());
}

#[test]
fn everything_wrong_is_reported_at_once_and_bounded() {
    let copy = Copy::new();
    copy.rewrite("buildings.csv", |text| format!("{text}{}", "B900,,-1,x,9,9\n".repeat(1_000)).into_bytes());
    let report = copy.read().unwrap_err();
    assert_eq!(report.findings.len(), limits::FINDINGS_MAX);
    // Name, households, residents and longitude a thousand times; the id from its second use on.
    assert_eq!(report.omitted, 4_999 - limits::FINDINGS_MAX);
}

#[test]
fn a_broken_byte_names_its_line() {
    let copy = Copy::new();
    copy.rewrite("contacts.csv", |text| {
        let mut bytes = text.into_bytes();
        let at = bytes.iter().rposition(|&byte| byte > 0x80).unwrap();
        bytes.remove(at);
        bytes
    });
    let finding = copy.only_finding();
    assert!(finding.starts_with("contacts.csv:28:") && finding.contains("UTF-8"), "{finding}");
}

#[test]
fn findings_show_no_personal_data_of_other_cells() {
    let copy = Copy::new();
    copy.replace("contacts.csv", "199-0000-0001", "1.99E+10");
    let finding = copy.only_finding();
    assert!(finding.contains("[电话]") && !finding.contains("何砚林"), "{finding}");
}

/// Bytes that look like a file more often than chance would have it.
fn file_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<Vec<u8>>(),
        prop::sample::select(vec![
            "楼栋编号,名称,户数,人口,经度,纬度\n",
            "储备点编号,物资,单位,批次,有效期,数量,最低库存\n",
            "id",
            ",",
            "\"",
            "\r\n",
            "\r",
            "\n",
            "---\n",
            "编号: ",
            "B001",
            "2026/2/30",
            "2026年",
            "-",
            "１",
            "120.7",
            "\u{feff}",
            "\0",
            "3.2E+11",
            ":",
            "\t",
            "𠮷",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::sample::select(vec![
            vec![0xff, 0xfe],
            vec![0xfe, 0xff],
            vec![0x81, 0x30],
            vec![0xb5],
            gbk("储备点编号,")
        ]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_in_any_file_never_panic(
        which in 0..TABLE_FILES.len() + 1,
        after_header in any::<bool>(),
        bytes in file_bytes(),
    ) {
        let copy = Copy::new();
        let name = TABLE_FILES.get(which).copied().unwrap_or("plans/jiating.md");
        copy.rewrite(name, |text| {
            let kept = text.lines().next().filter(|_| after_header).map(|header| format!("{header}\n")).unwrap_or_default();
            [kept.as_bytes(), &bytes].concat()
        });
        if let Err(report) = copy.read() {
            prop_assert!(!report.findings.is_empty() && report.findings.len() <= limits::FINDINGS_MAX);
            prop_assert!(report.to_string().lines().count() <= report.findings.len() + 2);
        }
    }

    #[test]
    fn a_date_that_is_read_is_shown_in_a_form_that_reads_the_same(year in 1900_u16..2200, month in 1_u8..13, day in 1_u8..32) {
        for form in [format!("{year}/{month}/{day}"), format!("{year}年{month}月{day}日"), format!("{year}.{month:02}.{day:02}")] {
            if let Ok(date) = form.parse::<CalendarDate>() {
                prop_assert_eq!(date.to_string().parse(), Ok(date));
            } else {
                prop_assert!(day > 28);
            }
        }
    }
}
