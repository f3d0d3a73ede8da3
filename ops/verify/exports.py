"""Export files, version 1. Written from docs/format.md, "Export file"."""

import hashlib

import events as ev
from charter import Charter
from frames import read_log_id
from strict_cbor import Reader, Refused

MAGIC = "linli/export/1"
LOGS_MAX = 100_000
UNSIGNED_EVENTS_MAX = 2048
UNSIGNED_BYTES_MAX = 16 * 1024 * 1024


class ExportRefused(Exception):
    """The first thing that is wrong with a file: byte offset, log and seq where the file had got that far."""

    def __init__(self, refused, offset, log, seq):
        self.code, self.offset, self.log, self.seq = refused.code, offset, log, seq
        where = "at byte %d" % offset
        if log is not None:
            where += ", log %s, seq %d" % (ev.log_text(log), seq)
        super().__init__("%s: %s" % (where, refused.text))


def log_json(log):
    """Incarnations are decimal text: a reader that takes numbers for floats would round them to another log."""
    return {"stream": ev.stream_name(log.stream), "author": log.author.hex(), "incarnation": str(log.incarnation),
            "area": log.area}


def incarnation_from_json(value):
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) <= ev.U64_MAX:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    if isinstance(value, int):
        raise ValueError("the incarnation %d stands as a number and may have been rounded" % value)
    raise ValueError("%r is no incarnation as decimal text" % (value,))


def log_from_json(value):
    name = value["stream"]
    code = ev.STREAMS.index(name) if name in ev.STREAMS else int(name[len("stream-"):])
    return ev.Log(code, bytes.fromhex(value["author"]), incarnation_from_json(value["incarnation"]), value["area"])


def known_from_json(value):
    """What somebody saw before: (federation or None, heads). A list of {"log", "head"}, or an object whose "heads" (a
    node's status) or else "logs" (a verifier's report) are such a list; it may name its "federation"."""
    federation, known = None, {}
    if isinstance(value, dict):
        federation = value.get("federation")
        value = value["heads"] if "heads" in value else value["logs"]
    for entry in value:
        log, seq = log_from_json(entry["log"]), entry["head"]["seq"]
        if isinstance(seq, bool) or not isinstance(seq, int):
            raise ValueError("%r is no seq" % (seq,))
        if log not in known or known[log][0] < seq:
            known[log] = (seq, bytes.fromhex(entry["head"]["id"]))
    return federation and bytes.fromhex(federation), known


def head_json(seq, event_id):
    return {"seq": seq, "id": event_id.hex()}


class Verification:
    """One pass over one file. `verify()` returns the report or raises ExportRefused."""

    def __init__(self, data, known=(None, {})):
        self.data, (self.asked_for, self.known) = data, known
        self.log = self.seq = None
        self.charter = self.charter_events = None
        self.absent = self.unreadable = self.found = 0
        self.tally = {"authorised": 0, "expired": 0, "grant_unknown": 0, "refused": 0, "first_unauthorised": None}
        self.logs, self.differences = [], []

    def verify(self):
        reader = Reader(self.data)
        try:
            self._manifest(reader)
            self.charter_events = []
            for log, height, head in self.announced:
                self._log(reader, log, height, head)
            self.log = self.seq = None
            self._end(reader)
            reader.finish()
        except Refused as refused:
            offset = self.item_at if refused.offset is None else refused.offset
            raise ExportRefused(refused, offset, self.log, self.seq) from None
        self._settle()
        return self._report()

    def _manifest(self, r):
        self.item_at = r.at
        r.array_of(5, "a manifest of five fields")
        start = r.at
        if r.text(len(MAGIC), "format of the file") != MAGIC:
            raise ev.out_of_range("format of the file (expected linli/export/1)", start)
        self.federation, self.created_ms = r.bytes_of(32), r.uint()
        self.announced = []
        for _ in range(r.array_of_at_most(LOGS_MAX, "number of logs")):
            r.array_of(3, "a log, its height and its head")
            log, height = read_log_id(r), ev.read_seq(r)
            self.announced.append((log, height, r.bytes_of(32)))
        count, total = r.uint(), sum(height for _, height, _ in self.announced)
        if any(a[0] >= b[0] for a, b in zip(self.announced, self.announced[1:])):
            raise Refused("log-order", None, "the manifest's logs are not in strictly ascending order")
        if total > ev.U64_MAX:
            raise ev.out_of_range("number of events", self.item_at)
        if total != count:
            raise Refused("wrong-count", None, "%d events announced, %d found" % (count, total))

    def _log(self, r, log, height, head):
        """All events of one log, from seq 1 to its head."""
        self.log, prev, continues, signed = log, None, None, 0
        pending, pending_bytes = [], 0
        known = self.known.get(log)
        for seq in range(1, height + 1):
            self.seq, self.item_at = seq, r.at
            event = self._event(r)
            self._check_place(event, prev, height, head)
            if event.signature is None:
                pending_bytes += r.at - self.item_at
                if len(pending) >= UNSIGNED_EVENTS_MAX or pending_bytes > UNSIGNED_BYTES_MAX:
                    raise Refused("unsigned-run", None, "too many events without a signature that covers them")
            self._note_payloads(event)
            if known and known[0] == seq and known[1] != event.id:
                self.differences.append(self._forked(log, seq, event.id, known))
            continues = event.header.prev if seq == 1 else continues
            prev = event.id
            pending.append(event)
            if event.signature is not None:
                ev.check_signature(event)
                signed += 1
                self._judge_all(pending)
                pending, pending_bytes = [], 0
        self.found += height
        self.logs.append({"log": log_json(log), "head": head_json(height, head),
                          "continues": continues and continues.hex(), "signed": signed})

    def _event(self, r):
        r.array_of(4, "an event of four fields")
        header = r.bytes(ev.HEADER_BYTES_MAX, "length of a header")
        header_at = r.at - len(header)
        signature = r.bytes_of_or_null(64)
        op, pii = self._payload(r), self._payload(r)
        try:
            return ev.read_event(header, signature, op, pii)
        except Refused as refused:
            if refused.offset is not None:
                refused.offset += header_at
            raise

    @staticmethod
    def _payload(r):
        if r.null():
            return None
        r.array_of(2, "a salt and a payload")
        salt = r.bytes_of(16)
        return salt, r.bytes(ev.PAYLOAD_BYTES_MAX, "size of a payload")

    def _check_place(self, event, prev, height, head):
        h = event.header
        if ev.log_of(h) != self.log:
            raise Refused("other-log", None, "the event belongs to another log")
        if h.seq != self.seq:
            raise Refused("gap", None, "gap or repeat: expected seq %d, found %d" % (self.seq, h.seq))
        if h.seq > 1 and h.prev != prev:
            raise Refused("broken-link", None, "prev does not name the event before it")
        if h.seq == height:
            if event.id != head:
                raise Refused("wrong-head", None,
                              "the last event of the log is not the head that the manifest names")
            if event.signature is None:
                raise Refused("unsigned-head", None, "the log ends without a signature")

    def _note_payloads(self, event):
        for reference, payload in ((event.header.op, event.op), (event.header.pii, event.pii)):
            if payload is not None:
                self.unreadable += not ev.is_readable(payload)
            elif reference is not None:
                self.absent += 1

    @staticmethod
    def _forked(log, seq, found, known):
        return log, {"what": "forked", "log": log_json(log), "found": head_json(seq, found),
                     "known": head_json(*known)}

    def _judge_all(self, events):
        for event in events:
            if event.header.stream == 0:
                self.charter_events.append(event)
            else:
                self._settle()
                self._judge(event)

    def _settle(self):
        """Charter logs stand first, so the charter is complete before the first other event is judged."""
        if self.charter is None:
            self.charter = Charter(self.federation, self.charter_events)
            for event in self.charter_events:
                self._judge(event)

    def _judge(self, event):
        verdict, tally = self.charter.verdict(event.id, event.header), self.tally
        if verdict in ("authorised", "expired"):
            tally["authorised"] += 1
            tally["expired"] += verdict == "expired"
            return
        tally["grant_unknown" if verdict == "grant-unknown" else "refused"] += 1
        if tally["first_unauthorised"] is None:
            tally["first_unauthorised"] = {"log": log_json(ev.log_of(event.header)), "seq": event.header.seq,
                                           "reason": verdict}

    def _end(self, r):
        self.item_at = start = r.at
        r.array_of(3, "an end record of three fields")
        name_at = r.at
        if r.text(3, "name of the end record") != "end":
            raise ev.out_of_range("name of the end record (expected end)", name_at)
        count, digest = r.uint(), r.bytes_of(32)
        if count != self.found:
            raise Refused("wrong-count", None, "%d events announced, %d found" % (count, self.found))
        whole = hashlib.sha256()
        for piece in range(0, start, 1 << 20):
            whole.update(self.data[piece:min(piece + (1 << 20), start)])
        if digest != whole.digest():
            raise Refused("wrong-digest", None, "the checksum of the end record is not that of the file")

    def _report(self):
        differences = []
        if self.asked_for not in (None, self.federation):
            differences = [{"what": "federation", "found": self.federation.hex(), "known": self.asked_for.hex()}]
        heights = {log: height for log, height, _ in self.announced}
        for log, known in self.known.items():
            if heights.get(log, 0) < known[0]:
                self.differences.append((log, {"what": "shorter", "log": log_json(log), "found": heights.get(log, 0),
                                               "known": head_json(*known)}))
        genesis = self.charter.genesis
        return {
            "federation": self.federation.hex(),
            "created_ms": self.created_ms,
            "events": self.found,
            "bytes": len(self.data),
            "logs": self.logs,
            "payloads_absent": self.absent,
            "payloads_unreadable": self.unreadable,
            "charter": {
                "name": genesis and genesis.name,
                "threshold": genesis.threshold if genesis else 0,
                "roots": len(genesis.roots) if genesis else 0,
                "grants": len(self.charter.valid),
                "invalid": len(self.charter.invalid),
            },
            "verdicts": self.tally,
            "discrepancies": differences + [d for _, d in sorted(self.differences, key=lambda pair: pair[0])],
        }


def difference_text(difference):
    if difference["what"] == "federation":
        return "this is federation %s, and %s was asked for" % (difference["found"], difference["known"])
    log = ev.log_text(log_from_json(difference["log"]))
    known = difference["known"]
    if difference["what"] == "shorter":
        return "log %s is shorter: has seq %d, known head is seq %d" % (log, difference["found"], known["seq"])
    return "log %s is forked: seq %d is %s here and %s in the known head" % (
        log, known["seq"], difference["found"]["id"], known["id"])
