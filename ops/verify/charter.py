"""Who may write what where, as a pure function of a set of charter events. Written from docs/format.md, "Charter"."""

from collections import namedtuple

import events as ev
import strict_ed25519
from strict_cbor import Map, Refused, decode, encode

RANKS = {"node": 1, "liaison": 2, "partner": 2, "lead": 3, "gateway": 3}
ROOT_KEYS_MAX = 16
LABEL_BYTES_MAX = 64

Genesis = namedtuple("Genesis", "name threshold roots area")
Grant = namedtuple("Grant", "subject proof role label area streams delegate not_after cosigned")


class Gives(Exception):
    """A charter event that gives nothing, with the reason's name."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def _payload(event):
    if event.op is None:
        raise Gives("no-payload")
    try:
        value = decode(event.op[1])
    except Refused:
        raise Gives("field-payload") from None
    return value if isinstance(value, Map) else Map([])


def _is_uint(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_bytes(length):
    return lambda value: isinstance(value, bytes) and len(value) == length


def _is_text(value):
    return isinstance(value, str)


def _field(payload, key, fits):
    value = payload.get(key)
    if not fits(value):
        raise Gives("field-" + key)
    return value


def _list(payload, key, fits):
    return _field(payload, key, lambda v: isinstance(v, list) and all(map(fits, v)))


def _is_pair(value):
    return isinstance(value, list) and len(value) == 2 and _is_bytes(32)(value[0]) and _is_bytes(64)(value[1])


def read_genesis(event):
    h = event.header
    if not (h.stream == 0 and h.kind == "genesis" and h.seq == 1 and h.prev is None and h.grant is None):
        raise Gives("other-kind")
    payload = _payload(event)
    name = _field(payload, "name", _is_text)
    threshold = _field(payload, "threshold", _is_uint)
    roots = _list(payload, "roots", _is_bytes(32))
    agreed = _list(payload, "agreed", _is_bytes(64))
    _field(payload, "area", lambda v: v == h.area)
    majority = threshold <= len(roots) and 2 * threshold > len(roots)
    if len(roots) > ROOT_KEYS_MAX or not majority or any(a >= b for a, b in zip(roots, roots[1:])):
        raise Gives("threshold")
    if len(agreed) != len(roots):
        raise Gives("too-few-agreed")
    if h.author not in roots:
        raise Gives("not-the-holder")
    terms = encode({"name": name, "threshold": threshold, "roots": roots, "area": h.area})
    message = ev.to_be_signed(b"linli/genesis/1", terms)
    for root, signature in zip(roots, agreed):
        code = strict_ed25519.check_key_for_grant(root) or strict_ed25519.check(root, message, signature)
        if code:
            raise Gives("key-" + code)
    return Genesis(name, threshold, roots, h.area)


def read_grant(event):
    """The grant of an event, as far as it can be checked without any other event."""
    h = event.header
    if h.stream != 0 or h.kind != "grant":
        raise Gives("other-kind")
    payload = _payload(event)
    grant = Grant(
        subject=_field(payload, "subject", _is_bytes(32)),
        proof=_field(payload, "proof", _is_bytes(64)),
        role=_field(payload, "role", lambda v: _is_text(v) and v in RANKS),
        label=_field(payload, "label", _is_text),
        area=_field(payload, "area", lambda v: _is_text(v) and ev.AREA.fullmatch(v)),
        streams=frozenset(_list(payload, "streams", lambda v: _is_uint(v) and v <= ev.STREAM_MAX)),
        delegate=_field(payload, "delegate", lambda v: isinstance(v, bool)),
        not_after=_field(payload, "not_after", lambda v: _is_uint(v) or (v is None and "not_after" in payload)),
        cosigned=_list(payload, "cosigned", _is_pair),
    )
    if len(grant.label.encode()) > LABEL_BYTES_MAX:
        raise Gives("field-label")
    if _field(payload, "rank", _is_uint) != RANKS[grant.role]:
        raise Gives("field-rank")
    message = ev.to_be_signed(b"linli/possession/1", grant.subject)
    code = strict_ed25519.check_key_for_grant(grant.subject)
    code = code or strict_ed25519.check(grant.subject, message, grant.proof)
    if code:
        raise Gives("key-" + code)
    return grant


def is_withheld(event):
    """Whether this may be a genesis or a grant whose payload is not here: unknown, not worthless."""
    return event.header.kind in ("genesis", "grant") and event.header.op is not None and event.op is None


def _contains(area, other):
    return other.startswith(area)


def _cosign_message(grant, federation):
    terms = {
        "subject": grant.subject, "proof": grant.proof, "role": grant.role, "label": grant.label,
        "rank": RANKS[grant.role], "area": grant.area, "streams": sorted(grant.streams),
        "delegate": grant.delegate, "not_after": grant.not_after, "federation": federation,
    }
    return ev.to_be_signed(b"linli/cosign/1", encode(terms))


def _judge_root_grant(event, grant, federation, genesis):
    author = event.header.author
    if author not in genesis.roots:
        raise Gives("not-the-holder")
    message, agreed = _cosign_message(grant, federation), {author}
    for root, signature in grant.cosigned:
        if root in genesis.roots and not strict_ed25519.check(root, message, signature):
            agreed.add(root)
    if len(agreed) < genesis.threshold:
        raise Gives("too-few-agreed")
    if not _contains(genesis.area, grant.area):
        raise Gives("widened-area")


def _judge_delegated(event, grant, above):
    h = event.header
    if above.subject != h.author:
        raise Gives("not-the-holder")
    if not above.delegate:
        raise Gives("may-not-delegate")
    if not _contains(above.area, grant.area) or not _contains(above.area, h.area):
        raise Gives("widened-area")
    node_below = grant.role == above.role == "node" and grant.area != above.area
    if RANKS[grant.role] <= RANKS[above.role] and not node_below:
        raise Gives("widened-rank")
    if not grant.streams <= above.streams or 0 not in above.streams:
        raise Gives("widened-streams")
    if above.not_after is not None and (grant.not_after is None or grant.not_after > above.not_after):
        raise Gives("widened-not_after")


class Charter:
    """The evaluated constitution. `events` were authenticated before; their order does not matter."""

    def __init__(self, federation, charter_events):
        self.federation, self.genesis = federation, None
        self.valid, self.invalid = {}, {}
        children, ready = {}, []
        unique = {}
        for event in charter_events:
            if event.id not in unique or unique[event.id].op is None:
                unique[event.id] = event
        for event in unique.values():
            if event.id == federation:
                self._found(event)
            elif event.header.grant is None:
                self._refuse(event, "other-federation", ready)
            elif not is_withheld(event):
                self._read(event, children, ready)
        if self.genesis:
            ready.append(federation)
        while ready:
            parent = ready.pop()
            for event, grant in children.pop(parent, ()):
                self._judge(event, grant, parent)
                ready.append(event.id)

    def _found(self, event):
        if is_withheld(event):
            return
        try:
            self.genesis = read_genesis(event)
        except Gives as reason:
            self.invalid[event.id] = reason.code

    def _refuse(self, event, code, ready):
        self.invalid[event.id] = code
        ready.append(event.id)

    def _read(self, event, children, ready):
        try:
            grant = read_grant(event)
        except Gives as reason:
            self._refuse(event, reason.code, ready)
        else:
            children.setdefault(event.header.grant, []).append((event, grant))

    def _judge(self, event, grant, parent):
        if not self.genesis:
            return
        try:
            if parent == self.federation:
                _judge_root_grant(event, grant, self.federation, self.genesis)
            elif parent in self.invalid:
                raise Gives("invalid-parent")
            else:
                _judge_delegated(event, grant, self.valid[parent])
            self.valid[event.id] = grant
        except Gives as reason:
            self.invalid[event.id] = reason.code

    def verdict(self, event_id, header):
        """`authorised`, `expired`, or the name of the reason why the event does not count."""
        if header.stream == 0:
            if (self.genesis and event_id == self.federation) or event_id in self.valid:
                return "authorised"
            return "invalid-charter-event" if event_id in self.invalid else "grant-unknown"
        if header.grant is None:
            return "no-grant"
        if self.genesis and header.grant == self.federation:
            if header.author not in self.genesis.roots or self.genesis.threshold > 1:
                return "not-the-holder"
            return "authorised" if _contains(self.genesis.area, header.area) else "outside-area"
        if header.grant in self.invalid:
            return "invalid-grant"
        grant = self.valid.get(header.grant)
        if grant is None:
            return "grant-unknown"
        if grant.subject != header.author:
            return "not-the-holder"
        if not _contains(grant.area, header.area):
            return "outside-area"
        if header.stream not in grant.streams:
            return "outside-streams"
        expired = grant.not_after is not None and header.time >> 16 > grant.not_after
        return "expired" if expired else "authorised"
