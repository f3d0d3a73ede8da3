"""The messages of /linli/sync/1 and their envelope on a stream. Written from docs/sync.md, sections 1 and 3."""

import hashlib

import zstandard

import events as ev
from frames import read_log_id
from strict_cbor import Reader, Refused, encode

DIGEST, HEADS, WANT, CREDIT, FRAME, UNAVAILABLE, RANGES, TELL, PART, RECEIVED = range(10)
HINT, SOME_OF_ALL, END_OF_ALL = range(3)

FRAME_BYTES_MAX = 1024 * 1024
MESSAGE_BYTES_MAX = FRAME_BYTES_MAX + 64
CREDIT_MAX = 8 * 1024 * 1024
HEADS_MAX = 1024
RUNS_MAX, ENTRIES_MAX, ENTRIES_SENT_MAX = 4096, 8192, 4096
UNKNOWN_ITEMS_MAX = 16
PART_BYTES_MIN = 512
DEPTHS = (0, 3, 6, 9, 12, 15)
PLAIN, ZSTD = 0, 1
PACK_FROM = 256


def pack(message):
    """A message as it goes over a stream: packed when that is shorter."""
    form, body = PLAIN, message
    if len(message) >= PACK_FROM:
        packed = len(message).to_bytes(4, "big") + zstandard.compress(message, 3)
        if len(packed) < len(message):
            form, body = ZSTD, packed
    return (1 + len(body)).to_bytes(4, "big") + bytes([form]) + body


def take_message(buffer):
    """Takes the next message out of a bytearray; None if it is not all there yet."""
    if len(buffer) < 4:
        return None
    length = int.from_bytes(buffer[:4], "big")
    if not 1 <= length <= MESSAGE_BYTES_MAX + 5:
        raise ev.out_of_range("length of a message", 0)
    if len(buffer) < 4 + length:
        return None
    form, body = buffer[4], bytes(buffer[5:4 + length])
    del buffer[:4 + length]
    if form == PLAIN and len(body) <= MESSAGE_BYTES_MAX:
        return body
    if form != ZSTD:
        raise ev.out_of_range("form of a message", 4)
    return _unpack(body)


def _unpack(body):
    length, packed = int.from_bytes(body[:4], "big"), body[4:]
    if len(body) < 4 or length > MESSAGE_BYTES_MAX:
        raise ev.out_of_range("unpacked length", 5)
    try:
        # A length in the frame's own header would be believed before the limit given here.
        if zstandard.get_frame_parameters(packed).content_size not in (length, zstandard.CONTENTSIZE_UNKNOWN):
            raise ev.out_of_range("unpacked length", 5)
        message = zstandard.ZstdDecompressor().decompress(packed, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError:
        raise Refused("unpack", 9, "the body does not unpack") from None
    if len(message) != length:
        raise ev.out_of_range("unpacked length", 5)
    return message


def read_message(data):
    """(number, fields) of a message; fields are None if the number is not known."""
    r = Reader(data)
    items, number = r.array_of_at_most(UNKNOWN_ITEMS_MAX, "number of items"), r.uint()
    if number > RECEIVED:
        return number, None
    length, read = _SHAPES[number]
    if items != length:
        raise Refused("unexpected-type", 0, "expected an array of %d items" % length)
    fields = read(r)
    r.finish()
    return number, fields


def _ranged(r, least, most, what):
    start = r.at
    value = r.uint()
    if not least <= value <= most:
        raise ev.out_of_range(what, start)
    return value


def _credit(r):
    return _ranged(r, 1, CREDIT_MAX, "credit")


def _heads(r):
    coverage = _ranged(r, HINT, END_OF_ALL, "coverage")
    heads = []
    for _ in range(r.array_of_at_most(HEADS_MAX, "number of heads")):
        r.array_of(3, "a log, a seq and an id")
        heads.append((read_log_id(r), ev.read_seq(r), r.bytes_of(32)))
    return coverage, heads


def _frame(r):
    want, start, last = r.uint(), r.at, r.value(1)
    if not isinstance(last, bool):
        raise Refused("unexpected-type", start, "expected true or false")
    return want, last, r.bytes(FRAME_BYTES_MAX)


def _part(r):
    want, start, data = r.uint(), r.at, r.bytes(FRAME_BYTES_MAX)
    if len(data) < PART_BYTES_MIN:
        raise ev.out_of_range("length of a part", start)
    return want, data


def _strings(r, size):
    start, data = r.at, r.bytes(8 * ENTRIES_MAX)
    if len(data) % size:
        raise ev.out_of_range("length of a byte string", start)
    return [data[i:i + size] for i in range(0, len(data), size)]


def _ranges(r):
    sums, lists = _runs(r, 8, True), _runs(r, 16, False)
    if sum(len(strings) for _, _, strings in sums + lists) > ENTRIES_MAX:
        raise ev.out_of_range("number of fingerprints and items", 0)
    return sums, lists


def _runs(r, size, is_sums):
    """Sums or lists, [(depth, prefix, strings)]: ascending and without overlaps."""
    runs, end_before = [], 0
    for _ in range(r.array_of_at_most(RUNS_MAX, "number of ranges")):
        start = r.at
        r.array_of(3, "depth, prefix and a byte string")
        depth, prefix, strings = r.uint(), r.uint(), _strings(r, size)
        if depth not in DEPTHS or (is_sums and not strings):
            raise ev.out_of_range("depth or length of a range", start)
        width = 64 - depth
        end = prefix + (len(strings) if is_sums else 1) << width
        first = prefix << width
        if first < end_before or end > 2**64:
            raise ev.out_of_range("position of a range", start)
        if not is_sums and any(not first <= int.from_bytes(item[:8], "big") < end for item in strings):
            raise ev.out_of_range("item of a list", start)
        end_before = end
        runs.append((depth, prefix, strings))
    return runs


_SHAPES = {
    DIGEST: (3, lambda r: (r.bytes_of(32), r.uint())),
    HEADS: (3, _heads),
    WANT: (5, lambda r: (r.uint(), read_log_id(r), ev.read_seq(r), _credit(r))),
    CREDIT: (3, lambda r: (r.uint(), _credit(r))),
    FRAME: (4, _frame),
    UNAVAILABLE: (2, lambda r: (r.uint(),)),
    RANGES: (3, _ranges),
    TELL: (2, lambda r: (_strings(r, 8),)),
    PART: (3, _part),
    RECEIVED: (2, lambda r: (r.uint(),)),
}


def hashed(tag, *parts):
    """H(tag; parts)"""
    h = hashlib.sha256(tag)
    for part in parts:
        h.update(len(part).to_bytes(8, "big") + part)
    return h.digest()


def frontier_digest(heads):
    """Of {log: (seq, id)}."""
    return hashed(b"linli/frontier/1", b"".join(
        encode(log) + encode(seq) + encode(head_id) for log, (seq, head_id) in sorted(heads.items())))


def log_key(log):
    return hashed(b"linli/log-key/1", encode(log))[:8]


def head_hash(log, seq, head_id):
    return hashed(b"linli/head/1", encode(log), seq.to_bytes(8, "big"), head_id)[:16]


def fingerprint(hashes):
    total = sum(int.from_bytes(h, "big") for h in hashes) % 2**128
    return hashed(b"linli/range/1", len(hashes).to_bytes(8, "big"), total.to_bytes(16, "big"))[:8]
