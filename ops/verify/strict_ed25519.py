"""One definition of a valid Ed25519 signature, written from docs/format.md, "Valid signatures".

S < L; A and R canonical encodings of points that are not of small order; and the cofactorless equation, which is what
PyCA cryptography (OpenSSL) computes: it recomputes R and compares its canonical encoding with the received bytes.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strict_cbor import Refused

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
SIGN = 1 << 255

# y of the points of order 8; their negatives belong to it too.
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
# The 14 encodings of the eight points of small order: each y with both signs, y = p and p + 1 as spellings of 0 and 1.
SMALL_ORDER = frozenset(
    (y | sign).to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1, Y8, P - Y8) for sign in (0, SIGN)
)


def decompress(encoded):
    """The point (x, y), or None if the bytes are not the canonical encoding of a point."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (SIGN - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * SQRT_M1 % P
        if (v * x * x - u) % P:
            return None
    if x == 0 and sign:
        return None
    return (P - x if x & 1 != sign else x), y


def _add(p, q):
    """Addition in extended coordinates (RFC 8032 section 5.1.4); complete, so it doubles too."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def is_torsion_free(point):
    x, y = point
    total, addend, scalar = (0, 1, 1, 0), (x, y, 1, x * y % P), L
    while scalar:
        if scalar & 1:
            total = _add(total, addend)
        addend, scalar = _add(addend, addend), scalar >> 1
    return total[0] % P == 0 and (total[1] - total[2]) % P == 0


@lru_cache(maxsize=65536)
def _checked(key):
    """(usable key, None) or (None, code)."""
    if decompress(key) is None:
        return None, "malformed-key"
    if key in SMALL_ORDER:
        return None, "small-order-key"
    return Ed25519PublicKey.from_public_bytes(key), None


@lru_cache(maxsize=65536)
def check_key_for_grant(key):
    """The code of what is wrong with a key that is about to be granted rights, or None."""
    _, code = _checked(key)
    if code:
        return code
    return None if is_torsion_free(decompress(key)) else "torsioned-key"


@lru_cache(maxsize=65536)
def check(key, message, signature):
    """The code of what is wrong with a signature of `message`, or None."""
    public, code = _checked(key)
    if code:
        return code
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or r in SMALL_ORDER or int.from_bytes(r, "little") & (SIGN - 1) >= P:
        return "invalid-signature"
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return "invalid-signature"
    return None


def require(key, message, signature):
    code = check(key, message, signature)
    if code:
        texts = {
            "malformed-key": "the author key is not a canonical Ed25519 public key",
            "small-order-key": "the author key is of small order",
            "invalid-signature": "the signature does not verify",
        }
        raise Refused(code, None, texts[code])
