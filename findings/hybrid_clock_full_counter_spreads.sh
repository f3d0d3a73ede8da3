#!/usr/bin/env bash
# The hybrid clock of @actual-app/crdt has a 16-bit counter that never carries into the milliseconds. A node whose clock
# is four minutes fast (five are allowed) and that writes 65,535 records in that millisecond fills it. Each node that
# hears the last record cannot write anything for four minutes, although its own clock was right all the time.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @actual-app/crdt@3.1.3
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import { Timestamp, makeClock, setClock } from '@actual-app/crdt';

const noon = Date.UTC(2026, 10, 29, 12);
let wall = noon;
Date.now = () => wall;
const attempt = (work) => {
  try {
    return String(work());
  } catch (error) {
    return error.name || error.constructor.name;
  }
};
const show = (what, result) => console.log(what.padEnd(58), result);

// Node A: four minutes fast, imports a file. The wall clock does not move within one millisecond.
setClock(makeClock(new Timestamp(0, 0, 'aaaaaaaaaaaaaaaa')));
wall = noon + 4 * 60_000;
let last;
for (let row = 0; row < 65_535; row += 1) last = Timestamp.send();
last = Timestamp.parse(last.toString());
show('A, 4 min fast, stamps row 65,535', String(last));

// Node B: its clock is right. It hears that one record and then wants to record an act of its own.
setClock(makeClock(new Timestamp(0, 0, 'bbbbbbbbbbbbbbbb')));
wall = noon;
show('B at 12:00 records an act', attempt(() => Timestamp.send()));
show('B hears of A\'s row', attempt(() => Timestamp.recv(last)));
const results = [];
for (const seconds of [0, 60, 239, 240, 241]) {
  wall = noon + seconds * 1000;
  results.push(attempt(() => Timestamp.send()));
  show(`B records an act ${seconds} s after 12:00`, results.at(-1));
}
assert.deepEqual(results.slice(0, 4), Array(4).fill('OverflowError'));
assert.match(results[4], /^2026-11-29T12:04:01/);
JS
node try.js
