"""Frames: runs of one log as nodes send them. Written from docs/format.md, "Frames"."""

import events as ev
from strict_cbor import Reader, Refused, array_head, encode

FRAME_BYTES_MAX = 1024 * 1024
FRAME_EVENTS_MAX = 2048
RECORD, KIND, GRANT, SIGNATURE, OP, PII, ALL = 1, 2, 4, 8, 16, 32, 63


def read_log_id(r):
    r.array_of(4, "a log id of four fields")
    start = r.at
    stream = r.uint()
    if stream > ev.STREAM_MAX:
        raise ev.out_of_range("stream number", start)
    author, incarnation, area_at = r.bytes_of(32), r.uint(), r.at
    area = r.text(32, "area code")
    if not ev.AREA.fullmatch(area):
        raise ev.out_of_range("area code", area_at)
    return ev.Log(stream, author, incarnation, area)


class _Before:
    def __init__(self):
        self.record = self.kind = self.grant = None
        self.time = 0


def read_frame(data):
    """The well-formed events of a frame; `events.check_run` proves them."""
    if len(data) > FRAME_BYTES_MAX:
        raise ev.out_of_range("length of a frame", 0)
    r = Reader(data)
    r.array_of(4, "a frame of four fields")
    log, start = read_log_id(r), r.at
    first_seq = r.uint()
    prev = r.bytes_of_or_null(32)
    count = r.array_of_at_most(FRAME_EVENTS_MAX, "number of events in a frame")
    if first_seq == 0 or first_seq + count >= ev.U64_MAX or (prev is None and first_seq > 1):
        raise ev.out_of_range("position of a frame", start)
    run, before = [], _Before()
    for seq in range(first_seq, first_seq + count):
        event = _read_entry(r, log, seq, prev, before)
        prev = event.id
        run.append(event)
    r.finish()
    return run


def _read_entry(r, log, seq, prev, before):
    start = r.at
    flags = r.uint()
    if flags > ALL:
        raise ev.out_of_range("flags of an entry", start)
    before.time = (before.time + r.int64()) % 2**64
    parents = ev.read_parents(r)
    if flags & RECORD:
        before.record = r.bytes_of_or_null(16)
    if flags & KIND:
        before.kind = r.text()
        if not ev.KIND.fullmatch(before.kind):
            raise ev.out_of_range("kind", start)
    if flags & GRANT:
        before.grant = r.bytes_of_or_null(32)
    op, op_payload = _read_slot(r, flags & OP, ev.OP)
    pii, pii_payload = _read_slot(r, flags & PII, ev.PII)
    signature = r.bytes_of(64) if flags & SIGNATURE else None
    if before.kind is None:
        raise ev.out_of_range("kind of the first entry", start)
    header = ev.Header(log.author, log.incarnation, log.area, log.stream, seq, prev, parents, before.record,
                       before.kind, before.time, before.grant, op, pii)
    encoded = ev.write_header(header)
    return ev.Event(header, encoded, ev.event_id(encoded), signature, op_payload, pii_payload)


def _read_slot(r, present, slot):
    if not present:
        return None, None
    start = r.at
    lead = r.bytes()
    if r.next_major() == 0:
        if len(lead) != 32:
            raise ev.out_of_range("length of a commitment", start)
        size = r.uint()
        if size > ev.PAYLOAD_BYTES_MAX:
            raise ev.out_of_range("size of a payload", start)
        return (lead, size), None
    if len(lead) != 16:
        raise ev.out_of_range("length of a salt", start)
    body = r.bytes()
    if len(body) > ev.PAYLOAD_BYTES_MAX:
        raise ev.out_of_range("size of a payload", start)
    return (ev.commitment(slot, lead, body), len(body)), (lead, body)


def write_frame(run, signed=lambda event: True, personal=False):
    """The run as a frame. Signatures go along where `signed` says so, personal payloads only if `personal` is true."""
    first, before = run[0].header, _Before()
    entries = b"".join(_write_entry(event, before, signed(event), personal) for event in run)
    return (array_head(4) + encode(ev.log_of(first)) + encode(first.seq) + encode(first.prev) + array_head(len(run))
            + entries)


def _write_entry(event, before, signed, personal):
    h = event.header
    difference = (h.time - before.time + 2**63) % 2**64 - 2**63
    slots = [_slot_items(h.op, event.op), _slot_items(h.pii, event.pii if personal else None)]
    optional = ((RECORD, [h.record] if h.record != before.record else []),
                (KIND, [h.kind] if h.kind != before.kind else []),
                (GRANT, [h.grant] if h.grant != before.grant else []),
                (OP, slots[0]), (PII, slots[1]),
                (SIGNATURE, [event.signature] if signed and event.signature is not None else []))
    flags = sum(flag for flag, items in optional if items)
    before.record, before.kind, before.grant, before.time = h.record, h.kind, h.grant, h.time
    return b"".join(map(encode, [flags, difference, h.parents, *(i for _, items in optional for i in items)]))


def _slot_items(committed, payload):
    return payload or committed or []
