#!/usr/bin/env bash
# A device with a fixed peer id is restored from yesterday's backup and goes on writing. Loro and Yjs count what each
# peer has written, so the new act bears the number of a lost one, and each side takes the other's for known: the
# imports succeed, nothing is pending, the versions are equal, and the documents differ for ever. Later acts arrive on
# both sides as if nothing were wrong. Automerge refuses the second change of one number. (Loro and Yjs draw a peer id
# of their own at each start unless the program sets one, as a program does that wants to know who wrote what.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund loro-crdt@1.17.1 yjs@13.6.33 @automerge/automerge@3.5.0
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import * as Automerge from '@automerge/automerge';
import { LoroDoc } from 'loro-crdt';
import * as Y from 'yjs';

function loro() {
  const street = new LoroDoc();
  const write = (document, act) => { document.getList('acts').push(act); document.commit(); };
  street.setPeerId('7');
  write(street, 'water 10');
  const backup = street.export({ mode: 'snapshot' });
  write(street, 'water 20');
  const bureau = new LoroDoc();
  bureau.import(street.export({ mode: 'update' }));

  const restored = new LoroDoc();
  restored.import(backup);
  restored.setPeerId('7');
  write(restored, 'blankets 5');
  const pending = [bureau.import(restored.export({ mode: 'update' })), restored.import(bureau.export({ mode: 'update' }))]
    .map((status) => status.pending);
  write(restored, 'tents 1');
  pending.push(bureau.import(restored.export({ mode: 'update', from: bureau.version() })).pending);
  const same = JSON.stringify([...bureau.version().toJSON()]) === JSON.stringify([...restored.version().toJSON()]);
  return { bureau: bureau.toJSON().acts, restored: restored.toJSON().acts, sameVersion: same, pending };
}

function yjs() {
  const street = new Y.Doc();
  const acts = (document) => document.getArray('acts');
  street.clientID = 7;
  acts(street).push(['water 10']);
  const backup = Y.encodeStateAsUpdate(street);
  acts(street).push(['water 20']);
  const bureau = new Y.Doc();
  Y.applyUpdate(bureau, Y.encodeStateAsUpdate(street));

  const restored = new Y.Doc();
  Y.applyUpdate(restored, backup);
  restored.clientID = 7;
  acts(restored).push(['blankets 5']);
  Y.applyUpdate(bureau, Y.encodeStateAsUpdate(restored));
  acts(restored).push(['tents 1']);
  Y.applyUpdate(bureau, Y.encodeStateAsUpdate(restored, Y.encodeStateVector(bureau)));
  const same = Buffer.compare(Y.encodeStateVector(bureau), Y.encodeStateVector(restored)) === 0;
  return { bureau: acts(bureau).toJSON(), restored: acts(restored).toJSON(), sameVersion: same };
}

function automerge() {
  const write = (document, act) => Automerge.change(document, (draft) => { draft.acts.push(act); });
  const backup = Automerge.save(Automerge.from({ acts: ['water 10'] }, 'aa07'));
  const bureau = Automerge.merge(Automerge.init(), write(Automerge.load(backup, 'aa07'), 'water 20'));
  const restored = write(Automerge.load(backup, 'aa07'), 'blankets 5');
  try {
    return Automerge.merge(bureau, restored).acts;
  } catch (error) {
    return String(error.message ?? error);
  }
}

const differ = { bureau: ['water 10', 'water 20', 'tents 1'], restored: ['water 10', 'blankets 5', 'tents 1'], sameVersion: true };
const results = { loro: loro(), yjs: yjs(), automerge: automerge() };
console.log(results);
assert.deepEqual(results.loro, { ...differ, pending: [null, null, null] });
assert.deepEqual(results.yjs, differ);
assert.match(results.automerge, /duplicate seq 2 found for actor aa07/);
JS
node try.js
