//! Teams, their members' certificates, and who holds which post.

use super::cell::{choice, telephone, text};
use super::date::date;
use super::finding::{Findings, Message};
use super::header::Column;
use super::identifier::{AreaCode, BuildingId, CertificateNumber, PostName, TeamId, identifier};
use super::record::{Certificate, Contact, Team, TeamKind};
use super::register::{Referents, Register, duplicate};
use super::source::Source;
use super::table::{Row, read_rows};

pub(super) const TEAMS_FILE: &str = "teams.csv";
pub(super) const CERTIFICATES_FILE: &str = "certificates.csv";
pub(super) const CONTACTS_FILE: &str = "contacts.csv";

const TEAM_ID: Column = Column { zh: "队伍编号", en: "id" };
const TEAM_NAME: Column = Column { zh: "名称", en: "name" };
const TEAM_KIND: Column = Column { zh: "类型", en: "kind" };
const TEAM_BUILDING: Column = Column { zh: "楼栋编号", en: "building" };
const TEAM_COLUMNS: &[Column] = &[TEAM_ID, TEAM_NAME, TEAM_KIND, TEAM_BUILDING];

const TEAM_KINDS: &[(TeamKind, &str, &str)] = &[
    (TeamKind::MicroFireStation, "微型消防站", "micro_fire_station"),
    (TeamKind::MutualAidGroup, "邻里互助组", "mutual_aid_group"),
    (TeamKind::BuildingTeam, "楼栋队", "building_team"),
];

const CERTIFICATE_TEAM: Column = Column { zh: "队伍编号", en: "team" };
const HOLDER: Column = Column { zh: "姓名", en: "holder" };
const CERTIFICATE_KIND: Column = Column { zh: "证书类型", en: "kind" };
const NUMBER: Column = Column { zh: "证书编号", en: "number" };
const ISSUER: Column = Column { zh: "发证单位", en: "issuer" };
const VALID_UNTIL: Column = Column { zh: "有效期至", en: "valid_until" };
const CERTIFICATE_COLUMNS: &[Column] = &[CERTIFICATE_TEAM, HOLDER, CERTIFICATE_KIND, NUMBER, ISSUER, VALID_UNTIL];

const POST: Column = Column { zh: "岗位", en: "post" };
const CONTACT_NAME: Column = Column { zh: "姓名", en: "name" };
const TELEPHONE: Column = Column { zh: "电话", en: "telephone" };
const AREA: Column = Column { zh: "辖区", en: "area" };
const CONTACT_COLUMNS: &[Column] = &[POST, CONTACT_NAME, TELEPHONE, AREA];

/// Reads the teams, and what others may refer to.
pub(super) fn teams(
    source: Option<&Source>,
    buildings: &Referents<BuildingId>,
    findings: &mut Findings,
) -> (Vec<Team>, Referents<TeamId>) {
    let (mut records, mut register) = (Vec::new(), Register::default());
    let layout = source.and_then(|source| {
        read_rows(source, TEAM_COLUMNS, findings, |row, findings| {
            records.extend(team(row, buildings, &mut register, findings));
        })
    });
    let complete = layout.is_some_and(|layout| layout.has(TEAM_ID));
    (records, Referents::new(TEAMS_FILE, register, complete))
}

fn team(
    row: &Row<'_>,
    buildings: &Referents<BuildingId>,
    register: &mut Register<TeamId>,
    findings: &mut Findings,
) -> Option<Team> {
    let id = row.read(TEAM_ID, findings, identifier::<TeamId>);
    if let Some(id) = &id
        && let Some(first) = register.enter(id.clone(), row.line())
    {
        row.report(TEAM_ID, findings, || duplicate(id.as_str(), first, row.line()));
    }
    let name = row.read(TEAM_NAME, findings, text);
    let kind = row.read(TEAM_KIND, findings, choice(TEAM_KINDS));
    let building = row.read(TEAM_BUILDING, findings, |cell| match cell {
        "" if kind == Some(TeamKind::BuildingTeam) => Err(homeless()),
        "" => Ok(None),
        cell => identifier::<BuildingId>(cell).map(Some),
    });
    if let Some(Some(building)) = &building
        && buildings.dangling(building)
    {
        row.report(TEAM_BUILDING, findings, || buildings.explain_dangling(building));
    }
    Some(Team { id: id?, name: name?, kind: kind?, building: building? })
}

fn homeless() -> Message {
    Message::new("楼栋队必须写明楼栋。请填楼栋编号", "a building team must name its building. Write the building's id")
}

/// Reads the certificates.
pub(super) fn certificates(
    source: Option<&Source>,
    teams: &Referents<TeamId>,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let (mut records, mut register) = (Vec::new(), Register::default());
    if let Some(source) = source {
        read_rows(source, CERTIFICATE_COLUMNS, findings, |row, findings| {
            records.extend(certificate(row, teams, &mut register, findings));
        });
    }
    records
}

fn certificate(
    row: &Row<'_>,
    teams: &Referents<TeamId>,
    register: &mut Register<CertificateNumber>,
    findings: &mut Findings,
) -> Option<Certificate> {
    let team = row.read(CERTIFICATE_TEAM, findings, identifier::<TeamId>);
    if let Some(team) = &team
        && teams.dangling(team)
    {
        row.report(CERTIFICATE_TEAM, findings, || teams.explain_dangling(team));
    }
    let holder = row.read(HOLDER, findings, text);
    let kind = row.read(CERTIFICATE_KIND, findings, text);
    let number = row.read(NUMBER, findings, identifier::<CertificateNumber>);
    if let Some(number) = &number
        && let Some(first) = register.enter(number.clone(), row.line())
    {
        row.report(NUMBER, findings, || duplicate(number.as_str(), first, row.line()));
    }
    let issuer = row.read(ISSUER, findings, text);
    let valid_until = row.read(VALID_UNTIL, findings, date);
    Some(Certificate {
        team: team?,
        holder: holder?,
        kind: kind?,
        number: number?,
        issuer: issuer?,
        valid_until: valid_until?,
    })
}

/// Reads who holds which post, and the posts that others may refer to.
pub(super) fn contacts(source: Option<&Source>, findings: &mut Findings) -> (Vec<Contact>, Referents<PostName>) {
    let (mut records, mut posts, mut held) = (Vec::new(), Register::default(), Register::default());
    let layout = source.and_then(|source| {
        read_rows(source, CONTACT_COLUMNS, findings, |row, findings| {
            records.extend(contact(row, &mut posts, &mut held, findings));
        })
    });
    let complete = layout.is_some_and(|layout| layout.has(POST));
    (records, Referents::new(CONTACTS_FILE, posts, complete))
}

fn contact(
    row: &Row<'_>,
    posts: &mut Register<PostName>,
    held: &mut Register<(PostName, AreaCode)>,
    findings: &mut Findings,
) -> Option<Contact> {
    let post = row.read(POST, findings, identifier::<PostName>);
    if let Some(post) = &post {
        // The same post may stand in several areas; what counts as twice is decided below.
        posts.enter(post.clone(), row.line());
    }
    let name = row.read(CONTACT_NAME, findings, text);
    let telephone = row.read(TELEPHONE, findings, telephone);
    let area = row.read(AREA, findings, identifier::<AreaCode>);
    if let (Some(post), Some(area)) = (&post, &area)
        && let Some(first) = held.enter((post.clone(), area.clone()), row.line())
    {
        row.report(POST, findings, || duplicate(&format!("{post} {area}"), first, row.line()));
    }
    Some(Contact { post: post?, name: name?, telephone: telephone?, area: area? })
}
