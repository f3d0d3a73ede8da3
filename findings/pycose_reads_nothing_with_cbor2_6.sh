#!/usr/bin/env bash
# pycose 1.1.0 names no upper bound for cbor2, so a fresh install brings cbor2 6. That release reads the array inside a
# tag as a tuple and maps there as frozen ones; pycose asks for a list and says of every valid message that its bytes
# cannot be decoded. Writing still works: what pycose has signed a moment ago, it cannot read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > try.py <<'PY'
import sys
from importlib.metadata import version

import cbor2
from pycose.algorithms import EdDSA
from pycose.headers import Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage, Sign1Message

key = OKPKey.generate_key(crv=Ed25519)
message = Sign1Message(phdr={Algorithm: EdDSA}, payload=b"act", key=key)
encoded = message.encode()
inside = cbor2.loads(encoded).value
try:
    read = CoseMessage.decode(encoded)
    read.key = key
    result = f"verified: {read.verify_signature()}"
except TypeError as error:
    result = f"TypeError: {error}"
print(f"pycose {version('pycose')}, cbor2 {version('cbor2')}: inside the tag a {type(inside).__name__}; {result}")
sys.exit(result != sys.argv[1])
PY
install() {
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}
install old pycose==1.1.0 cryptography==50.0.2 cbor2==5.9.0
install new pycose==1.1.0 cryptography==50.0.2 cbor2==6.3.0
old/bin/python try.py 'verified: True'
new/bin/python try.py 'TypeError: Bytes cannot be decoded as COSE message'
new/bin/pip check --disable-pip-version-check
