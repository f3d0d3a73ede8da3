"""Event format version 1: headers, ids, payload commitments, chains. Written from docs/format.md."""

import hashlib
import re
from collections import namedtuple

import strict_ed25519
from strict_cbor import Map, Reader, Refused, decode, encode

HEADER_BYTES_MAX = 1024
PAYLOAD_BYTES_MAX = 64 * 1024
PARENTS_MAX = 8
STREAM_MAX = 31
U64_MAX = 2**64 - 1
STREAMS = ("charter", "alerts", "incidents", "teams", "supplies", "plans", "drills", "community", "witness")
OP, PII = 12, 13
SLOT_NAMES = {OP: "Op", PII: "Pii"}

AREA = re.compile(r"[0-9A-Z]{1,32}")
KIND = re.compile(r"[a-z0-9_]{1,32}")

Log = namedtuple("Log", "stream author incarnation area")
Header = namedtuple(
    "Header", "author incarnation area stream seq prev parents record kind time grant op pii"
)
Event = namedtuple("Event", "header header_bytes id signature op pii")


def stream_name(code):
    return STREAMS[code] if code < len(STREAMS) else "stream-%d" % code


def log_of(header):
    return Log(header.stream, header.author, header.incarnation, header.area)


def log_text(log):
    return "%s/%s/%s/%016x" % (log.area, stream_name(log.stream), log.author[:4].hex(), log.incarnation)


def out_of_range(what, offset):
    return Refused("out-of-range", offset, "out of range: " + what)


def to_be_signed(purpose, payload):
    """The COSE Sig_structure of RFC 9052 section 4.4; {1: -19} is Ed25519 (RFC 9864)."""
    return encode(["Signature1", b"\xa1\x01\x32", purpose, payload])


def event_to_be_signed(header_bytes):
    return to_be_signed(b"linli/event/1", header_bytes)


def event_id(header_bytes):
    return hashlib.sha256(event_to_be_signed(header_bytes)).digest()


def commitment(slot, salt, payload):
    return hashlib.sha256(b"linli/payload/1" + bytes([slot]) + salt + payload).digest()


def read_stream(r):
    start = r.at
    code = r.uint()
    if code > STREAM_MAX:
        raise out_of_range("stream number", start)
    return code


def read_matching(r, pattern, what):
    start = r.at
    text = r.text()
    if not pattern.fullmatch(text):
        raise out_of_range(what, start)
    return text


def read_seq(r):
    start = r.at
    seq = r.uint()
    if seq in (0, U64_MAX):
        raise out_of_range("seq", start)
    return seq


def read_parents(r):
    start = r.at
    parents = [r.bytes_of(32) for _ in range(r.array_of_at_most(PARENTS_MAX, "number of parents"))]
    if any(a >= b for a, b in zip(parents, parents[1:])):
        raise out_of_range("order of parents (strictly ascending)", start)
    return parents


def read_slot_ref(r):
    if r.null():
        return None
    r.array_of(2, "a commitment and a size")
    committed = r.bytes_of(32)
    start = r.at
    size = r.uint()
    if size > PAYLOAD_BYTES_MAX:
        raise out_of_range("size of a payload", start)
    return committed, size


def read_header(data):
    """Decodes exactly one header from bytes of its own; offsets count from its first byte."""
    if len(data) > HEADER_BYTES_MAX:
        raise out_of_range("length of a header", 0)
    r = Reader(data)
    r.array_of(14, "an array of 14 fields")
    start = r.at
    if r.uint() != 1:
        raise out_of_range("format version (this program reads version 1)", start)
    header = Header(
        author=r.bytes_of(32),
        incarnation=r.uint(),
        area=read_matching(r, AREA, "area code"),
        stream=read_stream(r),
        seq=read_seq(r),
        prev=r.bytes_of_or_null(32),
        parents=read_parents(r),
        record=r.bytes_of_or_null(16),
        kind=read_matching(r, KIND, "kind"),
        time=r.uint(),
        grant=r.bytes_of_or_null(32),
        op=read_slot_ref(r),
        pii=read_slot_ref(r),
    )
    r.finish()
    if header.seq > 1 and header.prev is None:
        raise Refused("unexpected-type", 0, "expected prev, which only the first event of a log may lack")
    return header


def write_header(h):
    slots = [None if s is None else [s[0], s[1]] for s in (h.op, h.pii)]
    return encode([1, h.author, h.incarnation, h.area, h.stream, h.seq, h.prev, h.parents, h.record, h.kind, h.time,
                   h.grant, *slots])


def check_payload(header, slot, payload):
    if payload is None:
        return
    expected = header.op if slot == OP else header.pii
    name = SLOT_NAMES[slot]
    if expected is None:
        raise Refused("unexpected-payload", None, "the %s payload has no commitment in the header" % name)
    salt, body = payload
    if (commitment(slot, salt, body), len(body)) != expected:
        raise Refused("wrong-payload", None, "the %s payload does not match its commitment in the header" % name)


def read_event(header_bytes, signature, op, pii):
    """A well-formed event. Proves nothing about its author."""
    header = read_header(header_bytes)
    check_payload(header, OP, op)
    check_payload(header, PII, pii)
    return Event(header, header_bytes, event_id(header_bytes), signature, op, pii)


def is_readable(payload):
    try:
        return isinstance(decode(payload[1]), Map)
    except Refused:
        return False


def check_signature(event):
    strict_ed25519.require(event.header.author, event_to_be_signed(event.header_bytes), event.signature)


class AtSeq(Exception):
    """A run of events is refused at a position."""

    def __init__(self, code, seq):
        super().__init__(code)
        self.code, self.seq = code, seq


def check_run(events, after=None, from_start=False):
    """Proves a run of consecutive events of one log: links first, then every signature, last one first."""
    if not events:
        raise AtSeq("empty", None)
    first = events[0].header
    log, seq, prev = log_of(first), first.seq, first.prev
    if after:
        seq, prev = after[0] + 1, after[1]
    elif from_start:
        seq = 1
    for event in events:
        header = event.header
        if log_of(header) != log:
            raise AtSeq("other-log", header.seq)
        if header.seq != seq:
            raise AtSeq("gap", header.seq)
        if header.prev != prev:
            raise AtSeq("broken-link", header.seq)
        seq, prev = seq + 1, event.id
    if events[-1].signature is None:
        raise AtSeq("unsigned-head", events[-1].header.seq)
    for event in reversed(events):
        if event.signature is not None:
            try:
                check_signature(event)
            except Refused as refused:
                raise AtSeq(refused.code, event.header.seq) from None
