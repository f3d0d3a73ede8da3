//! Messages of the sync protocol: deterministic CBOR, one encoding each, bounded, read strictly.
//!
//! A message is an array whose first item is its number. Numbers that this version does not know are skipped and
//! counted, so that later versions can say more. Normative text: `docs/sync.md`.

use crate::cbor::{CborError, Problem, Reader, Writer};
use crate::frame::{read_log_id, write_log_id};
use crate::id::{EventId, Head, LogId};
use crate::limits;
use crate::sync::ranges::{Item, Key, Range};

/// What one peer says to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// 0: a hash over all heads of the sender. Where it differs from the receiver's own, they find out in which logs.
    Digest {
        /// [`crate::frontier::Frontier::digest`].
        digest: [u8; 32],
        /// How many logs it covers: decides how the two find out.
        logs: u64,
    },
    /// 1: heads that the sender has. A hint: it may be late, repeated or wrong, and costs then only time.
    Heads {
        /// What the entries stand for.
        coverage: Coverage,
        /// Logs with their heads, at most [`limits::SYNC_HEADS_PER_MESSAGE_MAX`].
        entries: Vec<(LogId, Head)>,
    },
    /// 2: asks for the events of a log from `from_seq` on, as frames, up to `credit` bytes for now.
    Want {
        /// Names this want on this connection. Answers carry it, so that none is taken for that to a later want.
        want: u64,
        /// The log.
        log: LogId,
        /// Position of the first event asked for.
        from_seq: u64,
        /// Bytes of frames that may be sent before more credit arrives.
        credit: u64,
    },
    /// 3: more credit for a want that is open.
    Credit {
        /// The want.
        want: u64,
        /// Bytes on top of what was given before.
        bytes: u64,
    },
    /// 4: a frame of a log that the receiver of this message wants, or the end of one whose beginning came in parts.
    Frame {
        /// The want that it answers.
        want: u64,
        /// Whether the sender has no more of this log; the want is then closed.
        last: bool,
        /// A frame as [`crate::frame`] defines it, or [`crate::payloads`] for a [`Message::Fill`]; or its end.
        frame: Vec<u8>,
    },
    /// 5: the sender has nothing to send for a want; the want is then closed.
    Unavailable {
        /// The want.
        want: u64,
    },
    /// 6: what the sender holds in some ranges, as fingerprints or as lists; see [`crate::sync::ranges`].
    Ranges {
        /// Fingerprints of ranges that lie side by side.
        sums: Vec<Sums>,
        /// All that the sender holds in a range.
        lists: Vec<List>,
    },
    /// 7: asks for the heads of the logs with these keys; with no key for all heads.
    Tell {
        /// Keys of logs.
        keys: Vec<Key>,
    },
    /// 8: a part of a frame that is too long to hold the line at once. More follows with the same want.
    Part {
        /// The want that it answers.
        want: u64,
        /// The next bytes of the frame, at least [`limits::SYNC_PART_BYTES_MIN`].
        bytes: Vec<u8>,
    },
    /// 9: how many messages 4 and 8 the sender of this one has read on this connection. Answers each of them.
    Received {
        /// All since the connection began.
        pieces: u64,
    },
    /// 10: asks for the personal payloads of these events of a log, which the sender holds without them. Answered by one
    /// [`crate::payloads`] frame, or by [`Message::Unavailable`].
    Fill {
        /// Names this want on this connection, as that of a [`Message::Want`] does.
        want: u64,
        /// The log.
        log: LogId,
        /// Positions of the events, strictly ascending, 1 to [`limits::FILL_EVENTS_MAX`].
        seqs: Vec<u64>,
        /// Bytes that may be sent; a frame may overrun them.
        credit: u64,
    },
    /// Any other number. Never sent.
    Unknown {
        /// The number.
        number: u64,
    },
}

/// Fingerprints of ranges that lie side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// The first of them.
    pub first: Range,
    /// One for each.
    pub fingerprints: Vec<u64>,
}

/// What the sender holds in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The range.
    pub range: Range,
    /// Its logs.
    pub items: Vec<Item>,
}

/// What the entries of a [`Message::Heads`] stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// These logs have grown.
    Hint = 0,
    /// A part of all heads; more follow.
    Part = 1,
    /// The last part of all heads.
    End = 2,
}

impl Message {
    /// The one encoding of this message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Digest { digest, logs } => drop(w.array(3).uint(0).bytes(digest).uint(*logs)),
            Self::Heads { coverage, entries } => {
                w.array(3).uint(1).uint(*coverage as u64).array(entries.len());
                for (log, head) in entries {
                    w.array(3);
                    write_log_id(&mut w, log);
                    w.uint(head.seq).bytes(head.id.as_bytes());
                }
            }
            Self::Want { want, log, from_seq, credit } => {
                w.array(5).uint(2).uint(*want);
                write_log_id(&mut w, log);
                w.uint(*from_seq).uint(*credit);
            }
            Self::Credit { want, bytes } => drop(w.array(3).uint(3).uint(*want).uint(*bytes)),
            Self::Frame { want, last, frame } => {
                w = Writer::with_capacity(frame.len() + 24);
                w.array(4).uint(4).uint(*want).bool(*last).bytes(frame);
            }
            Self::Unavailable { want } => drop(w.array(2).uint(5).uint(*want)),
            Self::Ranges { sums, lists } => {
                w.array(3).uint(6).array(sums.len());
                for Sums { first, fingerprints } in sums {
                    w.array(3).uint(first.depth().into()).uint(first.prefix()).bytes(&eights(fingerprints));
                }
                w.array(lists.len());
                for List { range, items } in lists {
                    let numbers: Vec<u64> = items.iter().flat_map(|item| [item.key, item.head]).collect();
                    w.array(3).uint(range.depth().into()).uint(range.prefix()).bytes(&eights(&numbers));
                }
            }
            Self::Tell { keys } => drop(w.array(2).uint(7).bytes(&eights(keys))),
            Self::Part { want, bytes } => {
                w = Writer::with_capacity(bytes.len() + 24);
                w.array(3).uint(8).uint(*want).bytes(bytes);
            }
            Self::Received { pieces } => drop(w.array(2).uint(9).uint(*pieces)),
            Self::Fill { want, log, seqs, credit } => {
                w.array(5).uint(10).uint(*want);
                write_log_id(&mut w, log);
                w.array(seqs.len());
                for seq in seqs {
                    w.uint(*seq);
                }
                w.uint(*credit);
            }
            Self::Unknown { number } => drop(w.array(1).uint(*number)),
        }
        w.into_bytes()
    }

    /// Reads one message that fills `bytes`.
    ///
    /// # Errors
    /// Says what is wrong and at which byte. Whoever sent such bytes does not speak this protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > limits::SYNC_MESSAGE_BYTES_MAX {
            return Err(Reader::error(0, Problem::OutOfRange("length of a message")));
        }
        let mut r = Reader::new(bytes);
        let fields = r.array_of_at_most(16, "number of fields of a message")?;
        let number = r.uint()?;
        let expected = match number {
            5 | 7 | 9 => 2,
            0 | 1 | 3 | 6 | 8 => 3,
            4 => 4,
            2 | 10 => 5,
            _ => return Ok(Self::Unknown { number }),
        };
        if fields != expected {
            return Err(Reader::error(0, Problem::Expected("as many fields as this message has")));
        }
        let message = match number {
            0 => Self::Digest { digest: r.byte_array()?, logs: r.uint()? },
            1 => read_heads(&mut r)?,
            2 => read_want(&mut r)?,
            3 => Self::Credit { want: r.uint()?, bytes: read_credit(&mut r)? },
            4 => Self::Frame { want: r.uint()?, last: r.bool()?, frame: read_frame(&mut r)? },
            5 => Self::Unavailable { want: r.uint()? },
            6 => read_ranges(&mut r)?,
            7 => Self::Tell { keys: read_eights(&mut r)? },
            8 => Self::Part { want: r.uint()?, bytes: read_part(&mut r)? },
            9 => Self::Received { pieces: r.uint()? },
            _ => read_fill(&mut r)?,
        };
        r.finish()?;
        Ok(message)
    }
}

fn read_heads(r: &mut Reader<'_>) -> Result<Message, CborError> {
    let start = r.offset();
    let coverage = match r.uint()? {
        0 => Coverage::Hint,
        1 => Coverage::Part,
        2 => Coverage::End,
        _ => return Err(Reader::error(start, Problem::OutOfRange("coverage of heads"))),
    };
    let len = r.array_of_at_most(limits::SYNC_HEADS_PER_MESSAGE_MAX, "number of heads in a message")?;
    let mut entries = Vec::new();
    for _ in 0..len {
        r.array_of(3, "a log, a seq and an id")?;
        let log = read_log_id(r)?;
        let seq = read_seq(r)?;
        entries.push((log, Head { seq, id: EventId::from_bytes(r.byte_array()?) }));
    }
    Ok(Message::Heads { coverage, entries })
}

fn eights(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn read_eights(r: &mut Reader<'_>) -> Result<Vec<u64>, CborError> {
    let start = r.offset();
    let bytes = r.bytes_of_at_most(limits::SYNC_RECONCILE_ENTRIES_MAX * 16, "length of a list of keys or hashes")?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Reader::error(start, Problem::OutOfRange("length of a list of keys or hashes")));
    }
    Ok(numbers.iter().map(|eight| u64::from_be_bytes(*eight)).collect())
}

/// Ranges come in order and none twice, so that whatever a message makes us look up we look up once.
fn read_ranges(r: &mut Reader<'_>) -> Result<Message, CborError> {
    let (mut sums, mut lists, mut entries) = (vec![], vec![], 0);
    let start = r.offset();
    let overlap = || Reader::error(start, Problem::OutOfRange("order of ranges"));
    let mut told_up_to = None;
    for _ in 0..r.array_of_at_most(limits::SYNC_RECONCILE_ENTRIES_MAX, "number of runs of fingerprints")? {
        let first = read_range(r)?;
        let fingerprints = read_eights(r)?;
        entries += fingerprints.len();
        if first.prefix() + fingerprints.len() as u64 > 1 << first.depth() {
            return Err(Reader::error(start, Problem::OutOfRange("number of fingerprints in a run")));
        }
        let last = first.run(fingerprints.len()).last().ok_or_else(overlap)?;
        if told_up_to.replace(last.last_key()).is_some_and(|before| before >= first.first_key()) {
            return Err(overlap());
        }
        sums.push(Sums { first, fingerprints });
    }
    let mut told_up_to = None;
    for _ in 0..r.array_of_at_most(limits::SYNC_RECONCILE_ENTRIES_MAX, "number of listed ranges")? {
        let range = read_range(r)?;
        if told_up_to.replace(range.last_key()).is_some_and(|before| before >= range.first_key()) {
            return Err(overlap());
        }
        let numbers = read_eights(r)?;
        let (pairs, rest) = numbers.as_chunks::<2>();
        let items: Vec<Item> = pairs.iter().map(|[key, head]| Item { key: *key, head: *head }).collect();
        entries += items.len();
        if !rest.is_empty() || items.iter().any(|item| !range.contains(item.key)) {
            return Err(Reader::error(start, Problem::OutOfRange("items of a listed range")));
        }
        lists.push(List { range, items });
    }
    if entries > limits::SYNC_RECONCILE_ENTRIES_MAX * 2 {
        return Err(Reader::error(start, Problem::OutOfRange("number of fingerprints and items")));
    }
    Ok(Message::Ranges { sums, lists })
}

fn read_range(r: &mut Reader<'_>) -> Result<Range, CborError> {
    r.array_of(3, "depth, prefix and content of a range")?;
    let start = r.offset();
    let (depth, prefix) = (r.uint()?, r.uint()?);
    let range = u8::try_from(depth).ok().and_then(|depth| Range::new(depth, prefix));
    range.ok_or(Reader::error(start, Problem::OutOfRange("range")))
}

fn read_want(r: &mut Reader<'_>) -> Result<Message, CborError> {
    let (want, log) = (r.uint()?, read_log_id(r)?);
    Ok(Message::Want { want, log, from_seq: read_seq(r)?, credit: read_credit(r)? })
}

fn read_fill(r: &mut Reader<'_>) -> Result<Message, CborError> {
    let (want, log) = (r.uint()?, read_log_id(r)?);
    let start = r.offset();
    let len = r.array_of_at_most(limits::FILL_EVENTS_MAX, "number of events whose payloads are asked for")?;
    let seqs = (0..len).map(|_| read_seq(r)).collect::<Result<Vec<u64>, _>>()?;
    if seqs.is_empty() || seqs.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Reader::error(start, Problem::OutOfRange("positions asked for (strictly ascending)")));
    }
    Ok(Message::Fill { want, log, seqs, credit: read_credit(r)? })
}

fn read_seq(r: &mut Reader<'_>) -> Result<u64, CborError> {
    let start = r.offset();
    match r.uint()? {
        0 | u64::MAX => Err(Reader::error(start, Problem::OutOfRange("seq"))),
        seq => Ok(seq),
    }
}

fn read_credit(r: &mut Reader<'_>) -> Result<u64, CborError> {
    let start = r.offset();
    match r.uint()? {
        credit @ 1..=limits::SYNC_CREDIT_BYTES_MAX => Ok(credit),
        _ => Err(Reader::error(start, Problem::OutOfRange("credit"))),
    }
}

fn read_frame(r: &mut Reader<'_>) -> Result<Vec<u8>, CborError> {
    let start = r.offset();
    let frame = r.bytes()?;
    if frame.len() > limits::FRAME_BYTES_MAX {
        return Err(Reader::error(start, Problem::OutOfRange("length of a frame")));
    }
    Ok(frame.to_vec())
}

fn read_part(r: &mut Reader<'_>) -> Result<Vec<u8>, CborError> {
    let start = r.offset();
    let bytes = read_frame(r)?;
    if bytes.len() < limits::SYNC_PART_BYTES_MIN {
        return Err(Reader::error(start, Problem::OutOfRange("length of a part of a frame")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::{area, key};

    fn log_strategy() -> impl Strategy<Value = LogId> {
        (0u64..32, 0u16..4, any::<u64>(), 0usize..3).prop_map(|(stream, author, incarnation, at)| LogId {
            stream: crate::id::Stream::from_code(stream).unwrap(),
            author: key(author).public(),
            incarnation,
            area: area(["320508", "320508005", "320508005012"][at]),
        })
    }

    fn head_strategy() -> impl Strategy<Value = Head> {
        (1u64..u64::MAX, any::<[u8; 32]>()).prop_map(|(seq, id)| Head { seq, id: EventId::from_bytes(id) })
    }

    fn ranges_strategy() -> impl Strategy<Value = Message> {
        let range = (0u8..6, any::<u64>()).prop_map(|(level, bits)| {
            let depth = level * Range::STEP;
            Range::new(depth, bits % (1 << depth)).unwrap()
        });
        let sums = (range.clone(), proptest::collection::vec(any::<u64>(), 0..4)).prop_map(|(first, mut prints)| {
            prints.truncate(usize::try_from((1u64 << first.depth()) - first.prefix()).unwrap());
            Sums { first, fingerprints: prints }
        });
        let lists = (range, proptest::collection::vec(any::<(u64, u64)>(), 0..4)).prop_map(|(range, items)| {
            let inside = |key: u64| if range.contains(key) { key } else { range.first_key() };
            List { range, items: items.into_iter().map(|(key, head)| Item { key: inside(key), head }).collect() }
        });
        let (sums, lists) = (proptest::collection::vec(sums, 0..4), proptest::collection::vec(lists, 0..4));
        (sums, lists).prop_map(|(mut sums, mut lists)| {
            let last = |run: &Sums| run.first.run(run.fingerprints.len()).last().map(Range::last_key);
            sums.retain(|run| last(run).is_some());
            sums.sort_by_key(|run| run.first.first_key());
            sums.dedup_by(|next, before| last(before) >= Some(next.first.first_key()));
            lists.sort_by_key(|list| list.range.first_key());
            lists.dedup_by(|next, before| before.range.last_key() >= next.range.first_key());
            Message::Ranges { sums, lists }
        })
    }

    fn message_strategy() -> impl Strategy<Value = Message> {
        let coverage = prop_oneof![Just(Coverage::Hint), Just(Coverage::Part), Just(Coverage::End)];
        let heads = proptest::collection::vec((log_strategy(), head_strategy()), 0..6);
        let seqs = proptest::collection::btree_set(1..u64::MAX, 1..9).prop_map(Vec::from_iter);
        prop_oneof![
            (any::<[u8; 32]>(), any::<u64>()).prop_map(|(digest, logs)| Message::Digest { digest, logs }),
            ranges_strategy(),
            proptest::collection::vec(any::<u64>(), 0..9).prop_map(|keys| Message::Tell { keys }),
            (coverage, heads).prop_map(|(coverage, entries)| Message::Heads { coverage, entries }),
            (any::<u64>(), log_strategy(), 1..u64::MAX, 1..=limits::SYNC_CREDIT_BYTES_MAX)
                .prop_map(|(want, log, from_seq, credit)| Message::Want { want, log, from_seq, credit }),
            (any::<u64>(), 1..=limits::SYNC_CREDIT_BYTES_MAX).prop_map(|(want, bytes)| Message::Credit { want, bytes }),
            (any::<u64>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..64))
                .prop_map(|(want, last, frame)| Message::Frame { want, last, frame }),
            any::<u64>().prop_map(|want| Message::Unavailable { want }),
            (any::<u64>(), proptest::collection::vec(any::<u8>(), limits::SYNC_PART_BYTES_MIN..600))
                .prop_map(|(want, bytes)| Message::Part { want, bytes }),
            any::<u64>().prop_map(|pieces| Message::Received { pieces }),
            (any::<u64>(), log_strategy(), seqs, 1..=limits::SYNC_CREDIT_BYTES_MAX)
                .prop_map(|(want, log, seqs, credit)| Message::Fill { want, log, seqs, credit }),
            (11..u64::MAX).prop_map(|number| Message::Unknown { number }),
        ]
    }

    proptest! {
        #[test]
        fn a_message_survives_its_encoding(message in message_strategy()) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn what_decodes_is_the_one_encoding(
            message in message_strategy(), at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()
        ) {
            let mut bytes = message.encode();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = with }
            match Message::decode(&bytes) {
                Ok(Message::Unknown { .. }) | Err(_) => {}
                Ok(decoded) => prop_assert_eq!(decoded.encode(), bytes),
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(&bytes);
        }
    }

    #[test]
    fn a_range_is_told_once_and_in_order() {
        let range = |depth, prefix| Range::new(depth, prefix).unwrap();
        let sums = |runs: &[(Range, usize)]| {
            let run = |(first, len): &(Range, usize)| Sums { first: *first, fingerprints: vec![0; *len] };
            Message::Ranges { sums: runs.iter().map(run).collect(), lists: vec![] }
        };
        let lists = |ranges: &[Range]| {
            let list = |range: &Range| List { range: *range, items: vec![] };
            Message::Ranges { sums: vec![], lists: ranges.iter().map(list).collect() }
        };
        let decodes = |message: &Message| Message::decode(&message.encode()).is_ok();
        assert!(decodes(&sums(&[(range(3, 0), 2), (range(6, 16), 3)])));
        assert!(decodes(&lists(&[range(3, 0), range(6, 8), range(6, 9)])));
        for twice in [
            sums(&[(Range::ALL, 1), (Range::ALL, 1)]),
            sums(&[(range(3, 0), 3), (range(6, 16), 1)]),
            sums(&[(range(3, 4), 1), (range(3, 0), 1)]),
            sums(&[(range(3, 0), 0)]),
            lists(&[Range::ALL, Range::ALL]),
            lists(&[range(3, 1), range(3, 0)]),
            lists(&[range(3, 0), range(6, 7)]),
        ] {
            assert!(!decodes(&twice), "{twice:?}");
        }
    }

    #[test]
    fn a_question_for_payloads_is_encoded_as_it_always_was() {
        let log = LogId { author: crate::id::AuthorKey::from_bytes([7; 32]), ..fill_log() };
        let bytes = Message::Fill { want: 9, log, seqs: vec![1, 24, 256], credit: 65_536 }.encode();
        let expected = format!("850a0984075820{}0169333230353038303035830118181901001a00010000", "07".repeat(32));
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }

    fn fill_log() -> LogId {
        crate::testkit::Author::new(1, "320508005", None).log_id(crate::id::Stream::COMMUNITY)
    }

    #[test]
    fn payloads_are_asked_for_once_and_in_order_and_not_too_many_at_a_time() {
        let log = fill_log();
        let decodes = |seqs: &[u64]| {
            let message = Message::Fill { want: 1, log: log.clone(), seqs: seqs.to_vec(), credit: 1 };
            Message::decode(&message.encode()).is_ok()
        };
        let many: Vec<u64> = (1..=limits::FILL_EVENTS_MAX as u64 + 1).collect();
        assert!(decodes(&[7]) && decodes(&many[1..]));
        for seqs in [&[][..], &[0], &[u64::MAX], &[3, 3], &[4, 3], &many] {
            assert!(!decodes(seqs), "{seqs:?}");
        }
    }

    #[test]
    fn lengths_that_the_input_does_not_have_are_refused_without_allocating() {
        let mut bomb = Writer::new();
        bomb.array(3).uint(1).uint(0).array(limits::SYNC_HEADS_PER_MESSAGE_MAX + 1);
        assert!(Message::decode(&bomb.into_bytes()).is_err());
        assert!(Message::decode(&vec![0; limits::SYNC_MESSAGE_BYTES_MAX + 1]).is_err());
        let mut frame = Writer::new();
        frame.array(4).uint(4).uint(1).bool(true).raw(&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(Message::decode(&frame.into_bytes()).is_err());
    }
}
