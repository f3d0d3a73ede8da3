#!/usr/bin/env bash
# hlcpy counts nanoseconds in memory and writes milliseconds. Rounding keeps the old counter, so two stamps that rise
# within one millisecond are equal on the wire, and a stamp whose counter was reset comes out before the one that it
# followed. Rounding goes up, so a stamp that was read back is later than the clock that wrote it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hlcpy==0.0.2 iso8601==2.1.0
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(hlcpy|iso8601) '

cat > try.py <<'PY'
from hlcpy import HLC


def over_the_wire(stamp):
    return HLC.from_bytes(stamp.to_bytes())


def show(name, stamp):
    print(f"{name:34} {str(stamp):34} wire {stamp.to_bytes().hex()} read back {over_the_wire(stamp)}")


# Three acts of one node at one reading of the clock, then one 0.3 ms later: each is after the one before.
nanos = 1_796_000_000_000_100_000
acts = [HLC(nanos, 0), HLC(nanos, 1), HLC(nanos, 2), HLC(nanos + 300_000, 0), HLC(nanos + 600_000, 0)]
for number, stamp in enumerate(acts, 1):
    show(f"act {number}", stamp)
assert all(before < after for before, after in zip(acts, acts[1:]))

read = [over_the_wire(stamp) for stamp in acts]
order = [number for _, number in sorted((stamp.tuple(), number) for number, stamp in enumerate(read, 1))]
print("order in memory:     [1, 2, 3, 4, 5]")
print("order after reading:", order)
assert order == [1, 4, 5, 2, 3], "act 4 followed act 3"
assert read[3] == read[4], "acts 4 and 5 were not equal"
assert acts[0] < read[0], "what was read back lies ahead of what was written"
PY
env/bin/python try.py
