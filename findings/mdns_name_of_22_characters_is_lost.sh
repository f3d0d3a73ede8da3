#!/usr/bin/env bash
# A label of a DNS name holds 63 bytes: 21 Chinese characters. dns-packet, under the npm packages for mDNS, writes a
# longer instance name without an error. It cannot read that packet itself, not even the address in it; zeroconf calls
# the packet valid, reads the address and leaves the service out. zeroconf refuses such a name before it sends anything.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --only-binary :all: zeroconf==0.154.0
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^zeroconf '
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund dns-packet@5.6.1
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import packet from 'dns-packet';

const type = '_node._udp.local';
for (const name of ['园区金鸡湖街道湖西社区居民委员会一号值班点', '苏州工业园区金鸡湖街道湖西社区居民委员会值班点']) {
  const bytes = packet.encode({
    type: 'response',
    answers: [
      { type: 'PTR', name: type, ttl: 120, data: `${name}.${type}` },
      { type: 'A', name: 'node.local', ttl: 120, data: '192.0.2.1' },
    ],
  });
  let read;
  try {
    read = packet.decode(bytes).answers.map(({ type, data }) => `${type} ${data}`).join(', ');
  } catch (error) {
    read = `${error.name}: ${error.message}`;
  }
  const length = Buffer.byteLength(name);
  console.log(`dns-packet, name of ${length} bytes: written without an error; read: ${read}`);
  assert.equal(read.startsWith('Error'), length > 63);
  writeFileSync(`${length}.packet`, bytes);
}
JS
node try.js

cat > try.py <<'PY'
import logging
from pathlib import Path

from zeroconf import BadTypeInNameException, DNSIncoming, ServiceInfo

logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
readable = {}
for path in sorted(Path().glob("*.packet")):
    incoming = DNSIncoming(path.read_bytes())
    readable[int(path.stem)] = len(incoming.answers())
    print(f"zeroconf, packet with the name of {path.stem} bytes: valid {incoming.valid}, records {readable[int(path.stem)]}")
assert readable == {63: 2, 69: 1}
try:
    ServiceInfo("_node._udp.local.", "苏州工业园区金鸡湖街道湖西社区居民委员会值班点._node._udp.local.")
    raise AssertionError("zeroconf took the long name")
except BadTypeInNameException as error:
    print(f"zeroconf, asked to announce it: BadTypeInNameException: {error}")
PY
env/bin/python try.py
