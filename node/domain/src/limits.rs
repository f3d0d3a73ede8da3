//! Every bound of the domain, each with its reason. Text is counted in characters, because that is what people type.

/// Longest name, title, place, post or item. A screen line of a phone holds about twenty; a hundred is generous.
pub const LINE_CHARS_MAX: usize = 120;

/// Longest free text of a fact (summary, outcome, decision, note). Longer texts belong into documents.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// Longest text given to a document in one edit, in bytes: with its overhead one change stays below 64 KiB.
pub const DOCUMENT_TEXT_BYTES_MAX: usize = 48 * 1024;

/// Largest quantity or head count of one fact: a district stores millions of things at most, and sums of a lifetime
/// of such facts stay far inside 64 bits.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Largest service radius of a supply point, in metres.
pub const RADIUS_M_MAX: i64 = 100_000;

/// Most hazards that one plan names.
pub const HAZARDS_MAX: usize = 32;

/// Most document heads that an approval names. More concurrent edits are merged before anybody approves.
pub const DOCUMENT_HEADS_MAX: usize = 32;

/// Most lines of a timeline or a list of movements that a view carries. The rest is counted here and read from the
/// log where history is shown; without a bound every new fact would rewrite an ever longer view.
pub const RECENT_MAX: usize = 100;

/// Most unsettled events, missing parents and marks that a view lists. All are counted.
pub const LISTED_MAX: usize = 64;

/// How far back, in events of one record, concurrency is looked for. Events of one record that are further apart count
/// as seen. Sixteen thousand facts about one thing on one side of a cut are beyond any district; the bound keeps the
/// ancestor sets of a hostile record below 2 KiB each.
pub const CONCURRENT_WINDOW: usize = 16_384;

/// Most events that one line of a history lists as not seen by its author. All are counted; after a long cut each line
/// would otherwise list the whole other side.
pub const UNSEEN_LISTED_MAX: usize = 10;

/// Lots that expire within so many days are shown on the desk.
pub const EXPIRING_DAYS: i64 = 45;

/// People with a valid certificate that make a team ready (每队配备3名持证培训人员): three people, not three certificates.
pub const CERTIFIED_FOR_READY: usize = 3;

/// Most records that one contradiction is reported between. Of more records that claim the same, each is held against the
/// first: the list grows with the records and not with their square.
pub const CROSSCHECKS_MAX: usize = 1_000;
