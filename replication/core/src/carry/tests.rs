//! Tests of what is inside a carried file: it survives its form, and nothing else passes for it.

use proptest::prelude::*;

use super::*;
use crate::frontier::Frontier;
use crate::id::{BundleId, Head, Stream};
use crate::sign::{Purpose, SecretKey};
use crate::testkit::{Author, District};

const CREATED_MS: u64 = 1_790_000_000_000;

fn district() -> District {
    District::with_nodes(&["320508005", "320508006"])
}

fn header(number: u64) -> VolumeHeader {
    let district = district();
    VolumeHeader {
        federation: district.federation(),
        bundle: BundleId::from_bytes([5; 16]),
        number,
        sender: district.nodes[0].key.public(),
        created_ms: CREATED_MS,
        credentials: vec![district.genesis.clone(), district.grants[0].clone()],
    }
}

fn volume_by(key: &SecretKey, header: &VolumeHeader, frames: &[Vec<u8>], last: bool) -> Vec<u8> {
    let (mut writer, mut bytes) = VolumeWriter::start(header, key);
    for frame in frames {
        bytes.extend(writer.frame(frame));
    }
    assert_eq!(writer.frames(), frames.len() as u64);
    bytes.extend(writer.finish(last, key));
    bytes
}

fn volume(number: u64, frames: &[Vec<u8>], last: bool) -> Vec<u8> {
    volume_by(&district().nodes[0].key, &header(number), frames, last)
}

/// What a reader hands out, and its verdict.
fn read(bytes: &[u8], piece: usize) -> (Vec<Item>, Result<(), CarryProblem>) {
    let (mut reader, mut items) = (VolumeReader::new(district().federation()), vec![]);
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error.problem)),
            }
        }
    }
    (items, reader.finish().map_err(|error| error.problem))
}

fn frames_of(items: &[Item]) -> Vec<Vec<u8>> {
    items.iter().filter_map(|item| if let Item::Frame(frame) = item { Some(frame.clone()) } else { None }).collect()
}

fn standing_of(i: usize, frontier: Frontier) -> (Standing, SecretKey) {
    let district = district();
    let node = district.nodes[i].key.clone();
    let credentials = vec![district.genesis.clone(), district.grants[i].clone()];
    let federation = district.federation();
    (Standing { federation, node: node.public(), created_ms: CREATED_MS, credentials, frontier }, node)
}

fn some_frontier() -> Frontier {
    let mut author = Author::new(3, "320508005", None);
    let mut events = author.write_many(Stream::INCIDENTS, 4, 20);
    events.extend(author.write_many(Stream::TEAMS, 2, 20));
    events.iter().map(|event| (event.header().log_id(), event.head())).collect()
}

proptest! {
    #[test]
    fn a_volume_gives_back_its_frames_in_any_pieces(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
        last in any::<bool>(),
        piece in 1usize..400,
    ) {
        let (items, verdict) = read(&volume(3, &frames, last), piece);
        prop_assert_eq!(verdict, Ok(()));
        prop_assert_eq!(&items[0], &Item::Header(Box::new(header(3))));
        prop_assert_eq!(frames_of(&items), frames.clone());
        prop_assert_eq!(items.last(), Some(&Item::End { last, frames: frames.len() as u64 }));
    }

    #[test]
    fn a_flipped_bit_is_never_a_whole_volume(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = volume(1, &[vec![0; 30], vec![7; 90]], true);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&bytes, 64).1.is_err());
    }

    #[test]
    fn a_flipped_bit_is_never_a_standing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (standing, key) = standing_of(0, some_frontier());
        let mut bytes = standing.encode(&key);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Standing::decode(&bytes, standing.federation).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes, 50).1.is_err());
        prop_assert!(Standing::decode(&bytes, district().federation()).is_err());
    }
}

#[test]
fn a_volume_cut_anywhere_breaks_off_and_keeps_the_frames_before() {
    let frames = vec![vec![1; 40], vec![2; 50]];
    let bytes = volume(1, &frames, true);
    for len in 0..bytes.len() {
        let (items, verdict) = read(&bytes[..len], 33);
        assert_eq!(verdict, Err(CarryProblem::BreaksOff), "{len}");
        assert!(frames.starts_with(&frames_of(&items)), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(read(&longer, 4096).1, Err(CarryProblem::TrailingBytes));
    assert_eq!(read(&bytes.repeat(2), 4096).1, Err(CarryProblem::TrailingBytes));
}

#[test]
fn frames_left_out_doubled_or_swapped_are_noticed_at_the_end() {
    let frames = [vec![1; 40], vec![2; 50]];
    let whole = volume(1, &frames, true);
    let end = whole.len() - volume_end_len();
    let items: Vec<Vec<u8>> = frames.iter().map(|frame| [&[0x58, frame.len() as u8][..], frame].concat()).collect();
    let start = end - items.concat().len();
    let with = |items: &[&Vec<u8>]| {
        let items: Vec<u8> = items.iter().flat_map(|item| item.iter().copied()).collect();
        read(&[&whole[..start], &items, &whole[end..]].concat(), 4096).1
    };
    assert_eq!(with(&[&items[0], &items[1]]), Ok(()));
    assert_eq!(with(&[&items[0]]), Err(CarryProblem::WrongCount { announced: 2, found: 1 }));
    assert_eq!(with(&[&items[0], &items[1], &items[1]]), Err(CarryProblem::WrongCount { announced: 2, found: 3 }));
    assert_eq!(with(&[&items[1], &items[0]]), Err(CarryProblem::WrongDigest));
}

/// Length of an end record whose count is below 24.
fn volume_end_len() -> usize {
    let fields = 1 + 1 + 1 + 2 + 32;
    1 + 4 + 2 + fields + 2 + 64
}

#[test]
fn a_volume_of_a_stranger_is_refused_before_its_first_frame() {
    let stranger = crate::testkit::key(77);
    let frames = [vec![1; 40]];
    let forged = volume_by(&stranger, &header(1), &frames, true);
    assert!(matches!(read(&forged, 64), (items, Err(CarryProblem::Signature(_))) if items.is_empty()));
    let own_name = VolumeHeader { sender: stranger.public(), ..header(1) };
    let claimed = volume_by(&stranger, &own_name, &frames, true);
    assert_eq!(read(&claimed, 64), (vec![], Err(CarryProblem::NotAMember)));
    let other = VolumeHeader { federation: EventId::from_bytes([1; 32]), ..header(1) };
    let elsewhere = volume_by(&district().nodes[0].key, &other, &frames, true);
    assert_eq!(read(&elsewhere, 64), (vec![], Err(CarryProblem::OtherFederation)));
    let uncredited = VolumeHeader { credentials: vec![], ..header(1) };
    assert_eq!(
        read(&volume_by(&district().nodes[0].key, &uncredited, &frames, true), 64).1,
        Err(CarryProblem::NotAMember)
    );
}

#[test]
fn an_end_signed_by_another_node_is_refused() {
    let district = district();
    let (header, frames) = (header(1), [vec![1; 40]]);
    let ours = volume_by(&district.nodes[0].key, &header, &frames, true);
    let (mut writer, mut bytes) = VolumeWriter::start(&header, &district.nodes[0].key);
    bytes.extend(writer.frame(&frames[0]));
    bytes.extend(writer.finish(true, &district.nodes[1].key));
    assert_eq!(ours.len(), bytes.len());
    assert!(matches!(read(&bytes, 64).1, Err(CarryProblem::Signature(_))));
}

#[test]
fn lengths_and_numbers_beyond_their_bounds_are_refused_by_their_announcement() {
    let (_, start) = VolumeWriter::start(&header(1), &district().nodes[0].key);
    let huge = [&start[..], &[0x5b, 0, 0, 0, 1, 0, 0, 0, 0]].concat();
    assert!(matches!(read(&huge, 4096).1, Err(CarryProblem::Cbor(Problem::OutOfRange(_)))));
    let many_fields = [&[0x83, 0x6d][..], b"linli/carry/1", &[0x5a, 0x7f, 0xff, 0xff, 0xff]].concat();
    assert!(matches!(read(&many_fields, 4096).1, Err(CarryProblem::Cbor(Problem::OutOfRange(_)))));
    for number in [0, limits::CARRY_VOLUMES_MAX + 1] {
        let verdict = read(&volume(number, &[], true), 4096).1;
        assert_eq!(verdict, Err(CarryProblem::Cbor(Problem::OutOfRange("number of a volume"))));
    }
}

#[test]
fn a_standing_survives_its_form_and_says_what_its_node_lacks() {
    let frontier = some_frontier();
    let (standing, key) = standing_of(1, frontier.clone());
    assert_eq!(Standing::decode(&standing.encode(&key), standing.federation).unwrap(), standing);
    let (log, head) = frontier.iter().next().unwrap();
    assert_eq!(standing.lacks(log, *head), None);
    assert_eq!(standing.lacks(log, Head { seq: head.seq + 5, ..*head }), Some(head.seq + 1));
    assert_eq!(standing.lacks(log, Head { id: EventId::from_bytes([1; 32]), ..*head }), Some(head.seq));
    let unknown = Author::new(9, "320508006", None).log_id(Stream::ALERTS);
    assert_eq!(standing.lacks(&unknown, *head), Some(1));
}

#[test]
fn a_standing_cut_anywhere_of_a_stranger_or_of_elsewhere_is_refused() {
    let (standing, key) = standing_of(1, some_frontier());
    let bytes = standing.encode(&key);
    for len in 0..bytes.len() {
        assert!(Standing::decode(&bytes[..len], standing.federation).is_err(), "{len}");
    }
    let verdict = |bytes: &[u8], federation| Standing::decode(bytes, federation).unwrap_err().problem;
    assert_eq!(verdict(&bytes, EventId::from_bytes([3; 32])), CarryProblem::OtherFederation);
    let stranger = crate::testkit::key(50);
    let claimed = Standing { node: stranger.public(), ..standing.clone() };
    assert_eq!(verdict(&claimed.encode(&stranger), standing.federation), CarryProblem::NotAMember);
    assert!(matches!(verdict(&standing.encode(&stranger), standing.federation), CarryProblem::Signature(_)));
}

#[test]
fn a_standing_is_no_volume_and_its_signature_none_for_events() {
    let (standing, key) = standing_of(0, Frontier::new());
    let bytes = standing.encode(&key);
    assert!(read(&bytes, 64).1.is_err());
    let mut r = Reader::new(&bytes);
    r.array_of(3, "").unwrap();
    r.text().unwrap();
    let fields = r.bytes().unwrap();
    let signature = crate::sign::Signature::from_bytes(r.byte_array().unwrap());
    assert!(crate::sign::verify(&key.public(), Purpose::CarryStanding, fields, &signature).is_ok());
    assert!(crate::sign::verify(&key.public(), Purpose::CarryVolume, fields, &signature).is_err());
}
