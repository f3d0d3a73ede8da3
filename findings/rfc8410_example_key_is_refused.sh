#!/usr/bin/env bash
# RFC 8410 section 10.3 prints an Ed25519 private key in two forms. The second (PKCS #8 version 2: an attribute and the
# public key behind the seed) is read by pycryptodome and refused by cryptography, which writes of wrong data, unknown
# algorithms and explicit curve parameters. The first form of the same key is read by both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check cryptography==50.0.2 pycryptodome==4.4.0
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(cryptography|pycryptodome) '

cat > try.py <<'PY'
from base64 import b64decode

from Crypto.PublicKey import ECC
from cryptography.hazmat.primitives.serialization import load_der_private_key

# Test keys that the RFC itself publishes.
FORMS = {
    "first, version 1": "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    "second, version 2": (
        "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhCoB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJk"
        "bGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
    ),
}


def with_cryptography(der):
    return load_der_private_key(der, None).private_bytes_raw()


def with_pycryptodome(der):
    return ECC.import_key(der).seed


seeds, refused = set(), []
for form, text in FORMS.items():
    der = b64decode(text)
    for read in (with_cryptography, with_pycryptodome):
        try:
            seed = read(der)
            seeds.add(seed)
            print(f"{form}, {read.__name__}: seed {seed.hex()[:16]}…")
        except ValueError as error:
            refused.append((form, read))
            print(f"{form}, {read.__name__}: ValueError: {str(error)[:110]}…")
assert len(seeds) == 1
assert refused == [("second, version 2", with_cryptography)]
PY
env/bin/python try.py
