#!/usr/bin/env bash
# A document is often kept as a saved state with small increments appended. Where such a file was cut, or one bit of it
# is wrong, Automerge's load() refuses it; loadIncremental() takes the same bytes, leaves out whatever comes from the
# fault on, and returns a document without a word. getMissingDeps() finds nothing missing either.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @automerge/automerge@3.5.0
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import * as Automerge from '@automerge/automerge';

let document = Automerge.from({ issued: 0 });
const start = Automerge.save(document);
const increments = [];
for (let issued = 1; issued <= 3; issued += 1) {
  document = Automerge.change(document, (draft) => { draft.issued = issued; });
  increments.push(Automerge.saveIncremental(document));
}
const turned = (bytes) => bytes.map((byte, at) => (at === bytes.length - 2 ? byte ^ 1 : byte));
const [first, second, third] = increments;
const files = {
  'whole': [first, second, third],
  'cut 3 bytes before its end': [first, second, third.slice(0, -3)],
  'one bit wrong in the first increment': [turned(first), second, third],
};

const seen = {};
for (const [name, parts] of Object.entries(files)) {
  const tail = Buffer.concat(parts);
  let loaded;
  try {
    loaded = Automerge.load(Buffer.concat([start, tail])).issued;
  } catch (error) {
    loaded = `${error.name}: ${error.message}`;
  }
  const incremental = Automerge.loadIncremental(Automerge.load(start), tail);
  const missing = Automerge.getMissingDeps(incremental, []).length;
  seen[name] = { load: loaded, loadIncremental: incremental.issued, missing };
  console.log(`file ${name}:`, seen[name]);
}
assert.deepEqual(seen, {
  'whole': { load: 3, loadIncremental: 3, missing: 0 },
  'cut 3 bytes before its end': { load: 'RangeError: unable to parse chunk: not enough data', loadIncremental: 2, missing: 0 },
  'one bit wrong in the first increment': { load: 'RangeError: bad checksum', loadIncremental: 0, missing: 0 },
});
JS
node try.js
