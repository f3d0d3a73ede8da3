#!/usr/bin/env python3
"""A second implementation of /linli/sync/1, written from docs/sync.md: replicates with one peer over stdin and stdout.

    sync_peer.py OWN_KEY PEER_KEY DIRECTORY [--piece BYTES]

Both keys in hexadecimal. Stdin and stdout carry the bytes of the sync stream. Frames in files DIRECTORY/*.frame are the
events held at the start; a file that appears later is imported, as from a stick. When stdin ends, what is held is
written to DIRECTORY/report.json. It is slow and simple: one piece is on its way at a time, speeds are not measured, and
of the bounds on what a peer may do only those are kept that need no clock.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import select
import sys
import time

import events as ev
import sync_messages as m
from frames import FRAME_EVENTS_MAX, read_frame, write_frame
from strict_cbor import Refused, encode

HEADS_TOLD_MAX = 65536
WANTS_MAX = 64
PULLS_MAX = 56
FIRST_CREDIT, FIRST_CREDIT_SHORT, SHORT = 1024 * 1024, 64 * 1024, 64
FIRST_CREDITS_MAX = 8 * 1024 * 1024
URGENT_STREAMS, URGENT_PULLS_MAX = 2, 4
COST_MIN = 64
SIGNED_EVERY = 64
WEIGHTS = {2: 4, 3: 4, 4: 4, 5: 2, 6: 2, 7: 2}
PIECE, FRAME_AIM_MIN = 2048, 2048
FEW_LOGS, LIST_MAX = 64, 64
OPENING_FILL, OPENING_DEPTH_MAX = 32, 9
DIFFERENT_MAX = 32
RANGES_MAX, TELLS_MAX = 16, 64
DIGEST_EVERY, SETTLED = 30, 1
PAUSES = (15, 45, 105, 225, 465, 585)
ANSWER_WITHIN = 30
IMPORTS_EVERY = 0.2
WAITING_MAX = 16 * 1024 * 1024


class Broken(Exception):
    """The peer broke a rule."""


class Fork(Exception):
    """A proven run that does not continue what we hold."""


def is_kept(event):
    """Whether its signature goes along and is kept even where no frame ends."""
    return event.header.stream == 0 or event.header.seq % SIGNED_EVERY == 0


def cost(frame_bytes):
    return max(frame_bytes, COST_MIN)


class Store:
    def __init__(self):
        self.logs = {}

    def height(self, log):
        return len(self.logs.get(log, ()))

    def heads(self):
        return {log: (len(held), held[-1].id) for log, held in self.logs.items()}

    def append(self, run):
        """Proves a run and appends what is new of it."""
        log = ev.log_of(run[0].header)
        held = self.logs.get(log, [])
        first = run[0].header.seq
        if first > len(held) + 1:
            raise Broken("a frame leaves a gap")
        try:
            ev.check_run(run)
        except ev.AtSeq as refused:
            raise Broken("a frame that proves nothing: %s at %s" % (refused.code, refused.seq)) from None
        # prev of the first event stands for the event before it, which is not in the run.
        ids = ([run[0].header.prev] if first > 1 else []) + [event.id for event in run]
        ours = [event.id for event in held[first - 2 if first > 1 else 0:]]
        if any(a != b for a, b in zip(ids, ours)):
            raise Fork()
        new = run[len(held) - first + 1:]
        if new:
            self.logs[log] = held + new
        return len(new)

    def frame(self, log, from_seq, aim):
        """(frame, its last seq): of the length aimed at, or as much longer as the next signed event is away."""
        held = self.logs[log]
        end, size = from_seq - 1, 0
        for seq, event in enumerate(held[from_seq - 1:from_seq - 1 + FRAME_EVENTS_MAX], from_seq):
            size += len(event.header_bytes) + (len(event.op[1]) if event.op else 0)
            if end >= from_seq and size > aim:
                break
            if event.signature is not None:
                end = seq
        run = held[from_seq - 1:end]
        frame = write_frame(run, lambda e: e is run[-1] or is_kept(e))
        return frame, end

    def content(self, log):
        """A hash over what every node has of a log: headers, payloads, and the signatures that all must keep."""
        held, h = self.logs[log], hashlib.sha256()
        for event in held:
            kept = event.signature if event is held[-1] or is_kept(event) else None
            h.update(encode([event.header_bytes, event.op, event.pii, kept]))
        return h.hexdigest()


class Pull:
    """An open Want of ours."""

    def __init__(self, log, height, credit):
        self.log, self.from_height, self.credit, self.first_credit, self.parts = log, height, credit, credit, b""


class Serve:
    """An open Want of the peer's."""

    def __init__(self, log, next_seq, credit):
        self.log, self.next, self.credit = log, next_seq, credit


class Peer:
    def __init__(self, own_key, peer_key, store, send, piece):
        self.opens_ranges, self.store, self.send_bytes, self.piece = own_key < peer_key, store, send, piece
        self.told = {}  # by the peer: log -> (seq, id)
        self.forks = {}
        self.next_want, self.pulls, self.closed = 1, {}, {}
        self.serves, self.spent = {}, collections.Counter()
        self.pieces, self.sent, self.confirmed, self.read = collections.deque(), 0, 0, 0
        self.last_digest, self.their_digest, self.digest_at, self.settled_at = None, None, 0, None
        # The pair of digests that led to the last comparison, and the pauses before it leads to the next.
        self.led_by, self.not_before, self.pauses = None, 0, []
        self.ranges_since, self.tells_since = 0, 0
        self.answered_at = time.monotonic()
        self.counts = {"sent": collections.Counter(), "received": collections.Counter()}

    # Sending

    def send(self, number, *fields):
        self.counts["sent"][str(number)] += 1
        self.send_bytes(m.pack(encode([number, *fields])))

    def send_digest(self):
        heads = self.store.heads()
        self.last_digest = m.frontier_digest(heads)
        self.digest_at = time.monotonic() + DIGEST_EVERY
        self.send(m.DIGEST, self.last_digest, len(heads))

    def send_heads(self, heads, all_of_them):
        """Of [(log, (seq, id))]."""
        entries = [[log, seq, head_id] for log, (seq, head_id) in heads]
        chunks = [entries[i:i + m.HEADS_MAX] for i in range(0, len(entries), m.HEADS_MAX)] or [[]]
        for i, chunk in enumerate(chunks):
            last = m.END_OF_ALL if i + 1 == len(chunks) else m.SOME_OF_ALL
            self.send(m.HEADS, last if all_of_them else m.HINT, chunk)

    def send_all_heads(self):
        self.send_heads(sorted(self.store.heads().items()), True)

    def announce(self, logs):
        """A log that rose in the store, unless the peer is known to have as much of it."""
        heads = self.store.heads()
        news = [(log, heads[log]) for log in logs if self.told.get(log, (0,))[0] < heads[log][0]]
        if news:
            self.send_heads(news, False)

    def moving(self):
        return bool(self.pulls or self.serves)

    def settle(self):
        self.settled_at = time.monotonic() + SETTLED

    # Receiving

    def handle(self, data):
        number, fields = m.read_message(data)
        self.counts["received"][str(number)] += 1
        if fields is not None:
            (self.on_digest, self.on_heads, self.on_want, self.on_credit, self.on_frame, self.on_unavailable,
             self.on_ranges, self.on_tell, self.on_piece, self.on_received)[number](*fields)

    def on_digest(self, theirs, logs):
        self.ranges_since = self.tells_since = 0
        heads = self.store.heads()
        own = m.frontier_digest(heads)
        self.their_digest = theirs
        if theirs == own:
            self.led_by = None
            if self.last_digest != own:
                self.send_digest()
            return
        again = self.led_by == (own, theirs)
        if again and time.monotonic() < self.not_before:
            return
        if not again:
            if self.led_by and self.moving():
                return
            self.pauses = list(PAUSES)
        self.led_by = own, theirs
        self.not_before = time.monotonic() + (self.pauses.pop(0) if len(self.pauses) > 1 else self.pauses[0])
        if again or max(len(heads), logs) <= FEW_LOGS:
            self.send_all_heads()
        elif self.opens_ranges:
            self.open_ranges()

    def on_heads(self, _coverage, heads):
        for log, seq, head_id in heads:
            room = log in self.told or len(self.told) < HEADS_TOLD_MAX
            if room and seq > self.told.get(log, (0,))[0]:
                self.told[log] = seq, head_id
            height = self.store.height(log)
            if seq <= height and self.store.logs[log][seq - 1].id != head_id:
                self.forks[log] = seq, head_id
        self.pull()

    def on_unavailable(self, want):
        pull = self.pulls.pop(want, None)
        if pull:
            self.answered_at = time.monotonic()
            if self.store.height(pull.log) == pull.from_height:
                # It gave nothing of what it announced: it has to announce it anew.
                del self.told[pull.log]
            self.close_pull()

    # Pulling

    def pull(self):
        """Asks for what the peer has announced and we lack, lower streams first."""
        asked = {pull.log for pull in self.pulls.values()}
        for log in sorted(self.told):
            height, head = self.store.height(log), self.told[log]
            if head[0] <= height or log in asked or log in self.forks:
                continue
            urgent = log.stream < URGENT_STREAMS
            open_pulls = [p for p in self.pulls.values() if (p.log.stream < URGENT_STREAMS) == urgent]
            credit = FIRST_CREDIT_SHORT if head[0] - height <= SHORT else FIRST_CREDIT
            if len(open_pulls) >= (URGENT_PULLS_MAX if urgent else PULLS_MAX):
                continue
            if not urgent and sum(p.first_credit for p in open_pulls) + credit > FIRST_CREDITS_MAX:
                continue
            if not self.pulls:
                self.answered_at = time.monotonic()
            self.pulls[self.next_want] = Pull(log, height, credit)
            self.send(m.WANT, self.next_want, log, height + 1, credit)
            self.next_want += 1

    def close_pull(self):
        self.settle()
        self.pull()

    def on_frame(self, want, last, data):
        pull, frame = self.on_piece(want, data)
        if pull is None:
            return
        pull.parts = b""
        pull.credit -= cost(len(frame))
        try:
            run = read_frame(frame)
            if not run or ev.log_of(run[0].header) != pull.log:
                raise Broken("a frame without events, or of another log")
        except Refused as refused:
            raise Broken("a malformed frame: %s" % refused.text) from None
        try:
            new = self.store.append(run)
        except Fork:
            self.forks[pull.log] = run[-1].header.seq, run[-1].id
            self.closed[want] = self.pulls.pop(want).credit
            return
        self.settle()
        if last:
            del self.pulls[want]
            heads = self.store.heads()
            self.send_heads([(pull.log, heads[pull.log])], False)
            self.close_pull()
        elif new:
            pull.credit += cost(len(frame))
            self.send(m.CREDIT, want, cost(len(frame)))
        else:
            self.closed[want] = self.pulls.pop(want).credit
            self.pull()

    def on_piece(self, want, data):
        """Takes in a piece; answers (pull, the frame so far)."""
        self.read += 1
        self.answered_at = time.monotonic()
        self.send(m.RECEIVED, self.read)
        pull = self.pulls.get(want)
        if pull is None:
            # A want that we gave up may still bring what its credit allowed, the last frame overrunning it.
            self.closed[want] = self.closed.get(want, -m.FRAME_BYTES_MAX) - cost(len(data))
            if self.closed[want] < -m.FRAME_BYTES_MAX:
                raise Broken("sends frames that were not asked for")
            return None, None
        if pull.credit <= 0:
            raise Broken("sends beyond its credit")
        if len(pull.parts) + len(data) > m.FRAME_BYTES_MAX:
            raise Broken("a frame that is too long in parts")
        pull.parts += data
        return pull, pull.parts

    # Serving

    def on_want(self, want, log, from_seq, credit):
        if want in self.serves:
            raise Broken("the number of a want that is open")
        for number in [n for n, serve in self.serves.items() if serve.log == log]:
            del self.serves[number]
        if from_seq > self.store.height(log):
            self.send(m.UNAVAILABLE, want)
            return
        self.serves[want] = Serve(log, from_seq, credit)
        if len(self.serves) > WANTS_MAX:
            raise Broken("more than %d open wants" % WANTS_MAX)

    def on_credit(self, want, credit):
        serve = self.serves.get(want)
        if serve:
            serve.credit += credit
            if serve.credit > m.CREDIT_MAX:
                raise Broken("gives more credit than %d" % m.CREDIT_MAX)

    def on_received(self, pieces):
        if pieces > self.sent:
            raise Broken("confirms pieces that were never sent")
        self.confirmed = max(self.confirmed, pieces)

    def serve(self):
        """Sends the next piece when nothing is on its way."""
        if self.confirmed < self.sent:
            return
        if not self.pieces:
            self.cut_frame()
        if self.pieces:
            self.sent += 1
            self.send(*self.pieces.popleft())

    def cut_frame(self):
        ready = [(n, s) for n, s in self.serves.items() if s.credit > 0]
        if not ready:
            return
        # Urgent streams first, then whoever got the least for its weight; logs of a stream in turn.
        want, serve = min(ready, key=lambda ns: (
            ns[1].log.stream >= URGENT_STREAMS, self.spent[ns[1].log.stream] / WEIGHTS.get(ns[1].log.stream, 1)))
        frame, end = self.store.frame(serve.log, serve.next, max(self.piece, FRAME_AIM_MIN))
        del self.serves[want]
        self.spent[serve.log.stream] += len(frame)
        serve.credit -= cost(len(frame))
        serve.next = end + 1
        last = end == self.store.height(serve.log)
        if last:
            self.settle()
        else:
            self.serves[want] = serve
        cuts = range(0, len(frame), self.piece)
        for at in cuts[:-1]:
            self.pieces.append((m.PART, want, frame[at:at + self.piece]))
        self.pieces.append((m.FRAME, want, last, frame[cuts[-1]:]))

    # Ranges

    def index(self):
        """[(key as a number, key, hash, log, head)], ascending."""
        return sorted((int.from_bytes(m.log_key(log), "big"), m.log_key(log), m.head_hash(log, *head), log, head)
                      for log, head in self.store.heads().items())

    @staticmethod
    def within(index, depth, prefix):
        return [entry for entry in index if entry[0] >> (64 - depth) == prefix]

    def fingerprints(self, index, depth, prefix, count):
        return b"".join(m.fingerprint([e[2] for e in self.within(index, depth, p)])
                        for p in range(prefix, prefix + count))

    def open_ranges(self):
        index, depth = self.index(), 0
        while depth < OPENING_DEPTH_MAX and len(index) > OPENING_FILL << depth:
            depth += 3
        self.send(m.RANGES, [[depth, 0, self.fingerprints(index, depth, 0, 1 << depth)]], [])

    def on_ranges(self, sums, lists):
        self.ranges_since += 1
        if self.ranges_since > RANGES_MAX:
            raise Broken("compares without end")
        index = self.index()
        self.answer_sums(index, sums)
        self.answer_lists(index, lists)

    def answer_sums(self, index, sums):
        count = sum(len(theirs) for _, _, theirs in sums)
        different = [(depth, prefix + i) for depth, prefix, theirs in sums for i, sum_ in enumerate(theirs)
                     if self.fingerprints(index, depth, prefix + i, 1) != sum_]
        if len(different) > DIFFERENT_MAX and 2 * len(different) > count:
            self.send_all_heads()
            self.send(m.TELL, b"")
            return
        answer_sums, answer_lists, room = [], [], m.ENTRIES_SENT_MAX
        for depth, prefix in different:
            own = self.within(index, depth, prefix)
            as_list = len(own) <= LIST_MAX or depth == m.DEPTHS[-1]
            room -= len(own) if as_list else 8
            if room < 0:
                break
            if as_list:
                answer_lists.append([depth, prefix, b"".join(key + hash_[:8] for _, key, hash_, _, _ in own)])
            else:
                answer_sums.append([depth + 3, prefix << 3, self.fingerprints(index, depth + 3, prefix << 3, 8)])
        if answer_sums or answer_lists:
            self.send(m.RANGES, answer_sums, answer_lists)

    def answer_lists(self, index, lists):
        ours, asked = [], []
        for depth, prefix, items in lists:
            own = self.within(index, depth, prefix)
            theirs, held = set(items), {key + hash_[:8] for _, key, hash_, _, _ in own}
            ours += [(log, head) for _, key, hash_, log, head in own if key + hash_[:8] not in theirs]
            asked += [item[:8] for item in items if item not in held]
        if ours:
            self.send_heads(ours, False)
        if asked:
            self.send(m.TELL, b"".join(asked))
        if lists:
            self.settle()

    def on_tell(self, keys):
        self.tells_since += 1
        if self.tells_since > TELLS_MAX:
            raise Broken("asks for heads without end")
        if not keys:
            self.send_all_heads()
            return
        wanted = set(keys)
        told = [(log, head) for log, head in self.store.heads().items() if m.log_key(log) in wanted]
        if told:
            self.send_heads(told, False)

    # Time

    def tick(self):
        now = time.monotonic()
        if self.pulls and now > self.answered_at + ANSWER_WITHIN:
            raise Broken("answers no want")
        settled = self.settled_at is not None and now >= self.settled_at and not self.moving()
        if settled or now >= self.digest_at:
            self.settled_at = None
            self.send_digest()
        self.serve()


class Imports:
    """Frames in files that appear in a directory under their final name."""

    def __init__(self, directory, store):
        self.directory, self.store, self.seen, self.due = directory, store, set(), 0

    def take(self):
        """The logs that rose. Looks a few times a second at most."""
        logs = set()
        if time.monotonic() < self.due:
            return []
        self.due = time.monotonic() + IMPORTS_EVERY
        for path in sorted(self.directory.glob("*.frame")):
            if path not in self.seen:
                self.seen.add(path)
                run = read_frame(path.read_bytes())
                if self.store.append(run):
                    logs.add(ev.log_of(run[0].header))
        return sorted(logs)


def run(peer, imports, waiting):
    """Until stdin ends. Reads while it writes, as both sides must."""
    os.set_blocking(1, False)
    buffer = bytearray()
    while True:
        readable, writable, _ = select.select([0], [1] if waiting else [], [], 0.02)
        if writable:
            try:
                del waiting[:os.write(1, waiting[:65536])]
            except BrokenPipeError:
                return
        if readable:
            data = os.read(0, 65536)
            if not data:
                return
            buffer += data
            while (message := m.take_message(buffer)) is not None:
                peer.handle(message)
        logs = imports.take()
        if logs:
            peer.announce(logs)
            peer.settle()
        peer.tick()
        if len(waiting) > WAITING_MAX:
            raise Broken("does not read")


def report(peer):
    heads = peer.store.heads()
    logs = [{"log": encode(log).hex(), "seq": seq, "id": head_id.hex(), "content": peer.store.content(log)}
            for log, (seq, head_id) in sorted(heads.items())]
    digest = m.frontier_digest(heads)
    return {"digest": digest.hex(), "in_sync": peer.their_digest == digest, "logs": logs,
            "forks": [encode(log).hex() for log in sorted(peer.forks)], "counts": peer.counts}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("own_key", type=bytes.fromhex)
    parser.add_argument("peer_key", type=bytes.fromhex)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--piece", type=int, default=PIECE)
    arguments = parser.parse_args()
    store, waiting = Store(), bytearray()
    imports = Imports(arguments.directory, store)
    imports.take()
    peer = Peer(arguments.own_key, arguments.peer_key, store, waiting.extend, max(arguments.piece, m.PART_BYTES_MIN))
    try:
        run(peer, imports, waiting)
    except (Broken, Refused) as broken:
        sys.exit("the peer broke a rule: %s" % broken)
    (arguments.directory / "report.json").write_text(json.dumps(report(peer)))


if __name__ == "__main__":
    main()
