#!/usr/bin/env bash
# LevelDB opens with its default options although one bit of its log is wrong, and says nothing to the program (a line
# stands in the store's file LOG). Unlike stores that stop at the first fault it goes on at the next 32 KiB block: of 300
# synced, numbered events a run in the middle is gone and the newest are there, so a look at the newest event tells that
# all is well. The first open also replaces the log, and the next finds no fault, even when it is asked to be strict.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --only-binary :all: plyvel==1.5.1
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^plyvel '

cat > try.py <<'PY'
import shutil
from pathlib import Path

import plyvel

EVENTS = 300


def numbers(store, **options):
    with plyvel.DB(str(store), **options) as db:
        return [int(key) for key, _ in db]


with plyvel.DB("store", create_if_missing=True) as db:
    for number in range(EVENTS):
        db.put(b"%04d" % number, bytes([number % 251]) * 200, sync=True)
[log] = Path("store").glob("*.log")
damaged = bytearray(log.read_bytes())
damaged[5000] ^= 1
log.write_bytes(damaged)
shutil.copytree("store", "copy")

found = numbers("store")
missing = sorted(set(range(EVENTS)) - set(found))
print(f"{EVENTS} events written with sync=True, one bit of {len(damaged)} bytes of log turned")
print(f"default options: opened, {len(found)} events, newest {found[-1]}, missing {missing[0]} to {missing[-1]}")
assert found[-1] == EVENTS - 1 and missing == list(range(missing[0], missing[-1] + 1)) and len(missing) > 100

again = numbers("store", paranoid_checks=True)
print(f"opened again with paranoid_checks: {len(again)} events, no complaint")
assert again == found

try:
    numbers("copy", paranoid_checks=True)
    raise AssertionError("the strict open found no fault")
except plyvel.CorruptionError as error:
    print(f"paranoid_checks at the first open of the same files: CorruptionError: {error}")
PY
env/bin/python try.py
