"""Deterministic CBOR (RFC 8949 section 4.2.1), strictly: one encoding per value, everything else refused.

Written from docs/format.md, "Encoding". Offsets are absolute in the buffer that the reader was given.
"""

DEPTH_MAX = 16
NULL = 0xF6


class Refused(Exception):
    """Something is not as the format has it. `code` is the reason's name, `offset` says where, if that is known."""

    def __init__(self, code, offset=None, text=""):
        super().__init__(text or code)
        self.code, self.offset, self.text = code, offset, text or code


class Reader:
    """Reads item by item from `data[at:end]`."""

    __slots__ = ("data", "at", "end")

    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def _head(self):
        """(major type, value, start) of the next head; moves behind it."""
        start = at = self.at
        if at >= self.end:
            raise Refused("truncated", start, "the input ends inside an item")
        first = self.data[at]
        major, info = first >> 5, first & 0x1F
        if info == 31:
            raise Refused("indefinite", start, "indefinite lengths are not allowed")
        if info > 27 or major == 6 or (major == 7 and info > 23):
            raise Refused("unsupported", start, "tags, floats and other simple values are not allowed")
        at += 1
        if info < 24:
            self.at = at
            return major, info, start
        extra = 1 << (info - 24)
        if at + extra > self.end:
            raise Refused("truncated", start, "the input ends inside an item")
        value = int.from_bytes(self.data[at:at + extra], "big")
        least = 24 if extra == 1 else 1 << (4 * extra)
        if value < least:
            raise Refused("not-shortest", start, "an integer or length is not in its shortest form")
        self.at = at + extra
        return major, value, start

    def _expect(self, major, what):
        found, value, start = self._head()
        if found != major:
            self.at = start
            raise Refused("unexpected-type", start, "expected " + what)
        return value, start

    def _take(self, length, start, most, what):
        if most is not None and length > most:
            raise Refused("out-of-range", start, "out of range: " + what)
        at = self.at
        if at + length > self.end:
            raise Refused("truncated", start, "the input ends inside an item")
        self.at = at + length
        return bytes(self.data[at:at + length])

    def uint(self):
        return self._expect(0, "an unsigned integer")[0]

    def int64(self):
        major, value, start = self._head()
        if major > 1:
            raise Refused("unexpected-type", start, "expected an integer")
        if value >> 63:
            raise Refused("out-of-range", start, "out of range: an integer of 64 bits")
        return value if major == 0 else -1 - value

    def bytes(self, most=None, what="length of a byte string"):
        length, start = self._expect(2, "a byte string")
        return self._take(length, start, most, what)

    def bytes_of(self, length):
        start = self.at
        value = self.bytes(length)
        if len(value) != length:
            raise Refused("out-of-range", start, "out of range: length of a byte string")
        return value

    def bytes_of_or_null(self, length):
        return None if self.null() else self.bytes_of(length)

    def text(self, most=None, what="length of a text string"):
        length, start = self._expect(3, "a text string")
        value = self._take(length, start, most, what)
        try:
            return value.decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Refused("not-utf8", start, "text is not UTF-8") from None

    def array(self):
        return self._expect(4, "an array")[0]

    def array_of(self, length, what):
        start = self.at
        if self.array() != length:
            raise Refused("unexpected-type", start, "expected " + what)

    def array_of_at_most(self, most, what):
        start = self.at
        length = self.array()
        if length > most:
            raise Refused("out-of-range", start, "out of range: " + what)
        return length

    def null(self):
        if self.at < self.end and self.data[self.at] == NULL:
            self.at += 1
            return True
        return False

    def next_major(self):
        if self.at >= self.end:
            raise Refused("truncated", self.at, "the input ends inside an item")
        major = self.data[self.at] >> 5
        if major == 6:
            raise Refused("unsupported", self.at, "tags, floats and other simple values are not allowed")
        return major

    def finish(self):
        if self.at < self.end:
            raise Refused("trailing-bytes", self.at, "bytes follow after the end")

    def value(self, depth=0):
        """Any value. Maps become `Map`, so that they stay apart from arrays and keep keys of every type."""
        start = self.at
        if depth > DEPTH_MAX:
            raise Refused("too-deep", start, "nested deeper than the limit")
        major = self.next_major()
        if major == 7:
            simple = {0xF4: False, 0xF5: True, NULL: None}
            first = self.data[start]
            if first not in simple:
                raise Refused("unsupported", start, "tags, floats and other simple values are not allowed")
            self.at += 1
            return simple[first]
        if major == 0:
            return self.uint()
        if major == 1:
            return -1 - self._expect(1, "a negative integer")[0]
        if major == 2:
            return self.bytes()
        if major == 3:
            return self.text()
        if major == 4:
            return [self.value(depth + 1) for _ in range(self.array())]
        return self._map(depth)

    def _map(self, depth):
        pairs, last = [], None
        for _ in range(self._expect(5, "a map")[0]):
            start = self.at
            key = self.value(depth + 1)
            encoded = bytes(self.data[start:self.at])
            if last is not None and encoded <= last:
                code = "duplicate-key" if encoded == last else "key-order"
                raise Refused(code, start, "map keys are repeated or not in bytewise order")
            last = encoded
            pairs.append((key, self.value(depth + 1)))
        return Map(pairs)


class Map:
    """A decoded map. Text keys are what the format uses; others are kept and ignored."""

    def __init__(self, pairs):
        self.pairs = pairs
        self.by_text = {k: v for k, v in pairs if isinstance(k, str)}

    def get(self, key):
        return self.by_text.get(key)

    def __contains__(self, key):
        return key in self.by_text


def decode(data):
    """Exactly one value that fills `data`."""
    reader = Reader(data)
    value = reader.value()
    reader.finish()
    return value


def _head_bytes(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value >> (8 * size) == 0:
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError("integer of more than 64 bits")


def array_head(count):
    """The head of an array of which the items follow."""
    return _head_bytes(4, count)


def encode(value):
    """Deterministic encoding. A dict is written with its keys in bytewise order of their encodings."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head_bytes(0, value) if value >= 0 else _head_bytes(1, -1 - value)
    if isinstance(value, bytes):
        return _head_bytes(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head_bytes(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return _head_bytes(4, len(value)) + b"".join(map(encode, value))
    pairs = sorted((encode(k), encode(v)) for k, v in value.items())
    return _head_bytes(5, len(pairs)) + b"".join(k + v for k, v in pairs)
