//! Bounds on what acts may take of a node, each with its reason.

/// Most events of one act that are noted of one author: an act writes one event, or one for each lot that it draws on. What
/// somebody piles up under an id costs no more than this, and takes nothing from what others wrote.
pub const ACT_EVENTS_MAX: usize = 256;
/// Most acts that a node has in hand at once, those that wait for their turn included: four times as many clients as a
/// district's busiest street has, and half of the threads that wait for the disk, so that pages are still answered.
pub const ACTS_IN_HAND_MAX: usize = 256;
/// Most batches in hand at once: they go one after the other, and each is megabytes.
pub const BATCHES_IN_HAND_MAX: usize = 4;
