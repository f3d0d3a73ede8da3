//! Places for connections and bodies: so many in all, so many from one address, and some that no stranger can take.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::limits::{self, network_of};

/// Places of one sort. Each address, or IPv6 network, has at most a share of them.
#[derive(Clone)]
pub(crate) struct Places {
    taken: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    all_max: usize,
    share_max: usize,
    /// The share once half of all places are taken, so that a few addresses cannot take all.
    share_under_pressure: usize,
}

impl Places {
    /// So many, and so many for one address.
    pub(crate) fn new(all_max: usize, share_max: usize) -> Self {
        Self { taken: Arc::default(), all_max, share_max, share_under_pressure: share_max }
    }

    /// With a smaller share once half of them are taken.
    pub(crate) fn under_pressure(self, share_under_pressure: usize) -> Self {
        Self { share_under_pressure, ..self }
    }

    /// Takes a place; `None` when there is none for this address.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = network_of(address);
        let mut taken = self.lock();
        let all: usize = taken.values().sum();
        let share = if all * 2 >= self.all_max { self.share_under_pressure } else { self.share_max };
        if taken.get(&network).copied().unwrap_or(0) >= share || all >= self.all_max {
            return None;
        }
        *taken.entry(network).or_insert(0) += 1;
        Some(Place { places: self.clone(), network })
    }

    /// Whether half of them are taken.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.lock().values().sum::<usize>() * 2 >= self.all_max
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place; free again when it is dropped.
pub(crate) struct Place {
    places: Places,
    network: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

/// Places for bodies that are on their way.
pub(crate) struct Bodies {
    pub(crate) strangers: Places,
    pub(crate) operators: Places,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            strangers: Places::new(limits::STRANGERS_BODIES_MAX, limits::STRANGERS_BODIES_PER_ADDRESS_MAX),
            operators: Places::new(limits::OPERATORS_BODIES_MAX, limits::OPERATORS_BODIES_PER_ADDRESS_MAX),
        }
    }
}

/// Addresses from which somebody signed in, or this machine's command line, has asked lately. A connection comes before
/// its request says who it is; where it comes from is known at once.
#[derive(Clone, Default)]
pub(crate) struct Regulars(Arc<Mutex<BTreeMap<IpAddr, Instant>>>);

impl Regulars {
    /// Somebody who may act asks from here.
    pub(crate) fn note(&self, address: IpAddr) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network_of(address);
        if known.len() >= limits::REGULARS_MAX && !known.contains_key(&network) {
            let longest_unheard = known.iter().min_by_key(|(_, heard)| **heard).map(|(network, _)| *network);
            if let Some(network) = longest_unheard {
                known.remove(&network);
            }
        }
        known.insert(network, Instant::now());
    }

    fn knows(&self, address: IpAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&network_of(address)).is_some_and(|heard| heard.elapsed() < limits::REGULAR_TIME_MAX)
    }
}

/// Whether somebody asks from this machine itself, by the two addresses that nobody else can have.
pub(crate) fn is_this_machine(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST))
}

/// Places for connections: for this machine, for regulars, for everybody.
#[derive(Clone)]
pub(crate) struct Doors {
    local: Places,
    regular: Places,
    open: Places,
    regulars: Regulars,
}

impl Doors {
    /// With so many places for everybody.
    pub(crate) fn new(open_max: usize, regulars: Regulars) -> Self {
        let share = limits::CONNECTIONS_PER_ADDRESS_MAX;
        Self {
            local: Places::new(limits::LOCAL_CONNECTIONS_MAX, limits::LOCAL_CONNECTIONS_MAX),
            regular: Places::new(limits::REGULAR_CONNECTIONS_MAX, share),
            open: Places::new(open_max, share).under_pressure(limits::CONNECTIONS_PER_ADDRESS_UNDER_PRESSURE),
            regulars,
        }
    }

    /// A place for a connection from an address: one of its own sort, else one of everybody's.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let own = match address {
            _ if is_this_machine(address) => self.local.take(address),
            _ if self.regulars.knows(address) => self.regular.take(address),
            _ => None,
        };
        own.or_else(|| self.open.take(address))
    }

    /// Whether connections should not be kept after an answer.
    pub(crate) fn are_crowded(&self) -> bool {
        self.open.is_under_pressure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn one_address_cannot_take_all_places_and_gives_them_back() {
        let places = Places::new(100, 10);
        let held: Vec<_> = (0..10).map(|_| places.take(address(7)).unwrap()).collect();
        assert!(places.take(address(7)).is_none() && places.take(address(8)).is_some());
        drop(held);
        assert!(places.take(address(7)).is_some());
    }

    #[test]
    fn a_few_addresses_leave_half_of_the_places_and_none_of_those_for_regulars_and_this_machine() {
        let regulars = Regulars::default();
        regulars.note(address(1));
        let doors = Doors::new(limits::CONNECTIONS_MAX, regulars);
        // when eight addresses take what they get
        let held: Vec<Place> = (100..108)
            .flat_map(|n| (0..200).map_while(move |_| Some(n)))
            .filter_map(|n| doors.enter(address(n)))
            .collect();
        // then a newcomer, a regular and this machine still enter
        assert!(held.len() < limits::CONNECTIONS_MAX * 2 / 3, "{}", held.len());
        assert!(doors.are_crowded() && doors.enter(address(9)).is_some());
        // and when a thousand addresses take the rest, the last two still do
        let more: Vec<Place> =
            (0..1_000).filter_map(|n: u16| doors.enter(IpAddr::from([198, 51, (n >> 8) as u8, n as u8]))).collect();
        assert!(doors.enter(address(9)).is_none(), "{}", more.len());
        assert!(doors.enter(address(1)).is_some() && doors.enter(IpAddr::V4(Ipv4Addr::LOCALHOST)).is_some());
    }
}
