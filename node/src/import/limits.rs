//! Bounds on what an import reads, each with its reason.
//!
//! A directory comes from somebody's desk or USB stick: it may hold the wrong file, a huge one or a hostile one.

/// Largest file in bytes. A city of a million people fits in a tenth of it; more than that is not a street's list.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most rows with content in one table. The largest streets of the country have fewer buildings, lots or certificates
/// by an order of magnitude, and the duplicates' index of so many rows still fits into the memory of a small node.
pub const TABLE_ROWS_MAX: usize = 100_000;

/// Most columns of a header. The widest table has seven; the rest is room for a spreadsheet's empty ones.
pub const TABLE_COLUMNS_MAX: usize = 64;

/// Longest cell in characters. The longest honest one is an address; more is a quotation mark left open.
pub const CELL_CHARS_MAX: usize = 500;

/// Longest id in characters, so that it fits on a label and in a log line.
pub const IDENTIFIER_CHARS_MAX: usize = 64;

/// Largest plan in bytes of UTF-8. Half of what one event may carry, so that a plan always fits into one with its
/// envelope.
pub const PLAN_BYTES_MAX: usize = 32 * 1024;

/// Most entries read of a directory: a street has tens of plans; thousands mean that it is the wrong directory.
pub const DIRECTORY_ENTRIES_MAX: usize = 1_000;

/// Most findings kept. Nobody reads more in one sitting; the others are counted.
pub const FINDINGS_MAX: usize = 200;

/// Most undecodable places named in one file. More of them mean that the file is in another encoding altogether, and
/// going on would cost minutes on a large file of noise.
pub const UNDECODABLE_PLACES_MAX: usize = 20;

/// Most characters of a cell repeated in a message.
pub const QUOTED_CHARS_MAX: usize = 40;

/// Most ids compared to suggest the one that was meant. An import of the largest files in which every finding is about
/// a reference then still takes about a second.
pub const SUGGESTION_CANDIDATES_MAX: usize = 500;
