#!/usr/bin/env bash
# RFC 9864 gave Ed25519 the COSE algorithm number -19 and deprecated -8 (EdDSA). Two libraries verify a message that
# says -8 and refuse the same message when it says -19, each with an error that reads like a damaged message.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pycose==1.1.0 cryptography==50.0.2 cbor2==5.9.0
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(pycose|cbor2) '
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund cose-kit@1.7.1
npm ls --depth=0 | tail -n +2

cat > try.py <<'PY'
import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pycose.exceptions import CoseException
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage

# A COSE_Sign1 as RFC 9052 section 4.4 has it, signed by a library that knows nothing of COSE.
private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
public = private.public_key().public_bytes_raw()
open("public.key", "wb").write(public)
for algorithm in (-8, -19):
    protected = cbor2.dumps({1: algorithm})
    signature = private.sign(cbor2.dumps(["Signature1", protected, b"", b"act"]))
    message = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, b"act", signature]))
    open(f"alg{algorithm}.cose", "wb").write(message)
    try:
        read = CoseMessage.decode(message)
        read.key = OKPKey(crv=Ed25519, x=public)
        result = f"verified: {read.verify_signature()}"
    except CoseException as error:
        result = f"CoseException: {error}"
    print(f"pycose, algorithm {algorithm}: {result}")
    assert result == ("verified: True" if algorithm == -8 else "CoseException: Unknown COSE attribute with value: [CoseAlgorithm - -19]")
PY
env/bin/python try.py

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { coseVerify } from 'cose-kit';

const jwk = { kty: 'OKP', crv: 'Ed25519', x: readFileSync('public.key').toString('base64url') };
const key = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify']);
const expected = { '-8': 'verified: true', '-19': 'Error: unknown algorithm: -19' };
for (const [algorithm, wanted] of Object.entries(expected)) {
  const verified = coseVerify(readFileSync(`alg${algorithm}.cose`), key);
  const result = await verified.then(({ isValid }) => `verified: ${isValid}`, (error) => `Error: ${error.message}`);
  console.log(`cose-kit, algorithm ${algorithm}: ${result}`);
  assert.equal(result, wanted);
}
JS
node try.js
