//! Whole lives of small districts, each from a seed. `LINLI_TEST_SEEDS` sets how many, `LINLI_TEST_SEED` the first.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Instant;

use linli_core::testkit::simulation::run;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn whole_lives_hold_what_must_hold_on_every_seed() {
    let (first, count) = (number("LINLI_TEST_SEED", 0), number("LINLI_TEST_SEEDS", 1_000));
    let started = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let violations: Vec<String> = std::thread::scope(|scope| {
        let share = move |worker| (first..first + count).filter(move |seed| seed % workers == worker);
        let live = move |worker| share(worker).filter_map(|seed| run(seed).err()).take(3).collect::<Vec<_>>();
        let lives: Vec<_> = (0..workers).map(|worker| scope.spawn(move || live(worker))).collect();
        lives.into_iter().flat_map(|life| life.join().unwrap()).map(|violation| violation.to_string()).collect()
    });
    println!("{count} seeds from {first}, {:.0} a minute", count as f64 / started.elapsed().as_secs_f64() * 60.0);
    assert!(violations.is_empty(), "LINLI_TEST_SEED=<seed> LINLI_TEST_SEEDS=1 replays: {violations:#?}");
}

#[test]
fn a_life_is_a_function_of_its_seed() {
    for seed in (0..1_000).step_by(20) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(3).unwrap().trace, run(14).unwrap().trace);
}

#[test]
fn some_lives_have_payloads_that_come_later_than_their_events() {
    let filled = (0..40).filter(|seed| run(*seed).unwrap().filled_payloads > 0).count();
    assert!(filled > 10, "{filled} of 40");
}
