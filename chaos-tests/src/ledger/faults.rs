//! What happens to the district while the clients of the ledger act: kills, power cuts, cuts of the mesh.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fastrand::Rng;

use super::client::Turnstile;
use crate::district::District;
use crate::lab::disk::Disk;
use crate::lab::interrupted;

/// Longest wait for the clients to take the acts that lie before a fault. Some may be waiting for answers.
const ACTS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after a fault is due it happens, in milliseconds: acts are on their way by then.
const AMID_MS: std::ops::Range<u64> = 0..60;
/// How long a node stays down, in milliseconds.
const DOWN_MS: std::ops::Range<u64> = 0..400;

/// Something that goes wrong, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9` of a node, and a new start.
    Kill(usize),
    /// The power of a node's machine goes, and comes back.
    PowerCut(usize),
    /// A node is cut off from the others.
    Cut(usize),
    /// The cut ends.
    Heal(usize),
}

/// Draws an order of so many faults. Each cut lasts for one to three of the others, and there is one at a time.
pub(super) fn plan(kills: usize, power_cuts: usize, cuts: usize, nodes: usize, random: &mut Rng) -> Vec<Fault> {
    let mut falls: Vec<bool> = [vec![false; kills], vec![true; power_cuts]].concat();
    random.shuffle(&mut falls);
    let mut faults = vec![];
    let every = falls.len().checked_div(cuts).unwrap_or(falls.len()).max(1);
    let (mut cut, mut begun) = (None, 0);
    for (number, power) in falls.iter().enumerate() {
        if number % every == 0 && begun < cuts {
            faults.extend(cut.take().map(|(node, _)| Fault::Heal(node)));
            let node = random.usize(..nodes);
            (cut, begun) = (Some((node, random.usize(1..=3))), begun + 1);
            faults.push(Fault::Cut(node));
        }
        let node = random.usize(..nodes);
        faults.push(if *power { Fault::PowerCut(node) } else { Fault::Kill(node) });
        cut = cut.and_then(|(node, left)| match left {
            1 => {
                faults.push(Fault::Heal(node));
                None
            }
            _ => Some((node, left - 1)),
        });
    }
    faults.extend(cut.map(|(node, _)| Fault::Heal(node)));
    for _ in begun..cuts {
        let node = random.usize(..nodes);
        faults.extend([Fault::Cut(node), Fault::Heal(node)]);
    }
    faults
}

/// The district as it is mishandled.
pub(super) struct Hand<'a> {
    /// The nodes and their lines.
    pub district: &'a mut District,
    /// Each node's own disk; none where no power can be cut.
    pub disks: &'a [Disk],
    /// Lets acts pass between the faults.
    pub turnstile: &'a Turnstile,
    /// Its own chance.
    pub random: Rng,
}

impl Hand<'_> {
    /// Does everything that was planned, spread evenly over `acts`.
    ///
    /// # Errors
    /// When a node does not come back.
    pub(super) fn run(&mut self, faults: &[Fault], acts: usize) -> anyhow::Result<()> {
        let windows = faults.len() + 1;
        for (number, fault) in faults.iter().enumerate() {
            self.turnstile.open_until(acts * (number + 1) / windows);
            self.wait_for_acts(acts * number / windows);
            ensure!(!interrupted(), "interrupted");
            std::thread::sleep(Duration::from_millis(self.random.u64(AMID_MS)));
            self.happen(*fault).with_context(|| format!("fault {number}, {fault:?}"))?;
        }
        self.turnstile.open_until(acts);
        Ok(())
    }

    fn wait_for_acts(&self, taken: usize) {
        let began = Instant::now();
        while self.turnstile.taken() < taken && began.elapsed() < ACTS_TIMEOUT && !interrupted() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn happen(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(node) => self.district.nodes[node].kill(),
            Fault::PowerCut(node) => self.cut_power(node)?,
            Fault::Cut(node) => return self.district.cut_off(node),
            Fault::Heal(node) => return self.district.heal(node),
        }
        std::thread::sleep(Duration::from_millis(self.random.u64(DOWN_MS)));
        let node = match fault {
            Fault::Kill(node) | Fault::PowerCut(node) | Fault::Cut(node) | Fault::Heal(node) => node,
        };
        self.district.nodes[node].start()
    }

    /// The disk as it is at this moment is all that is left of the machine.
    fn cut_power(&mut self, node: usize) -> anyhow::Result<()> {
        let disk = self.disks.get(node).context("the node has no disk of its own")?;
        self.district.nodes[node].freeze()?;
        let photograph = disk.photograph()?;
        self.district.nodes[node].kill();
        disk.put_back(&photograph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_all_that_was_asked_for_and_one_cut_at_a_time() {
        for seed in 0..500 {
            let mut random = Rng::with_seed(seed);
            let (kills, power_cuts, cuts) = (random.usize(..20), random.usize(..5), random.usize(..8));
            let faults = plan(kills, power_cuts, cuts, 3, &mut random);
            let count = |wanted: fn(&Fault) -> bool| faults.iter().filter(|fault| wanted(fault)).count();
            assert_eq!(count(|fault| matches!(fault, Fault::Kill(_))), kills, "seed {seed}");
            assert_eq!(count(|fault| matches!(fault, Fault::PowerCut(_))), power_cuts, "seed {seed}");
            let mut cut = None;
            for fault in &faults {
                match fault {
                    Fault::Cut(node) => assert_eq!(cut.replace(*node), None, "seed {seed}"),
                    Fault::Heal(node) => assert_eq!(cut.take(), Some(*node), "seed {seed}"),
                    _ => {}
                }
            }
            assert_eq!((cut, count(|fault| matches!(fault, Fault::Cut(_)))), (None, cuts), "seed {seed}");
        }
    }
}
