//! An act happens once: the ledger of impatient clients in small. `linli-chaos ledger` is the same in large.

use linli_chaos::ledger::Ledger;

/// What the tests ask for, with the seed of `LINLI_TEST_SEED`, if it is given.
fn small() -> Ledger {
    let seed = std::env::var("LINLI_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    Ledger { acts: 60, clients: 4, kills: 2, power_cuts: 0, cuts: 1, seed }
}

/// Runs it and sees that it proved something: acts were sent again, and answered from the log.
fn prove(ledger: &Ledger) {
    let report = ledger.prove().unwrap();
    println!("{report}");
    assert!(report.retries() > 0 && report.acknowledged() > ledger.acts as usize / 2, "{report}");
    assert_eq!(report.answered_from_log(), 3 * report.acknowledged(), "{report}");
}

#[test]
fn acts_that_are_sent_again_and_elsewhere_count_once_although_nodes_are_killed_and_cut_off() {
    prove(&small());
}

#[test]
#[ignore = "needs root: loop devices"]
fn acts_that_are_sent_again_and_elsewhere_count_once_although_the_power_fails() {
    prove(&Ledger { power_cuts: 1, ..small() });
}
