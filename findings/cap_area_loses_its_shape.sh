#!/usr/bin/env bash
# @dec112/cap-ts reads a CAP 1.2 alert rightly and writes polygon, circle and geocode behind the area instead of in it,
# for two areas in one heap. An alert that was read and passed on names its areas and shows none of them. Of two code
# elements only the first is kept, and with one or more of them writing fails.
# (The package also needs tslib and does not name it.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @dec112/cap-ts@0.3.2 tslib@2.9.1 @xmldom/xmldom@0.9.12
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import cap from '@dec112/cap-ts';
import { DOMParser } from '@xmldom/xmldom';

const area = (name, code, polygon) => `<area><areaDesc>${name}</areaDesc><polygon>${polygon}</polygon>
  <circle>31.3,120.7 5</circle><geocode><valueName>GB2260</valueName><value>${code}</value></geocode></area>`;
const alert = (codes) => `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>A1</identifier><sender>office@example.org</sender>
<sent>2026-11-29T12:00:00+08:00</sent><status>Exercise</status><msgType>Alert</msgType><scope>Public</scope>${codes}
<info><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Severe</severity>
<certainty>Observed</certainty>
${area('东区', '320571', '31.3,120.7 31.4,120.7 31.4,120.8 31.3,120.7')}
${area('西区', '320508', '31.3,120.5 31.4,120.5 31.4,120.6 31.3,120.5')}</info></alert>`;

// What a reader of the standard finds: for each area the shapes and codes that stand in it.
function areas(xml) {
  const found = new DOMParser().parseFromString(xml, 'text/xml').getElementsByTagName('area');
  return Array.from(found, (element) => {
    const count = (name) => element.getElementsByTagName(name).length;
    return `${element.getElementsByTagName('areaDesc')[0].textContent}: ` +
      `${count('polygon')} polygon, ${count('circle')} circle, ${count('geocode')} geocode`;
  });
}

const before = areas(alert(''));
const read = await cap.CAP_1_2.Alert.fromXML(alert(''));
const after = areas(read.toXML());
console.log('as sent:             ', before);
console.log('read and written:    ', after);
assert.equal(read.info_list[0].area_list[0].polygon_list.length, 1);
assert.deepEqual(before, ['东区: 1 polygon, 1 circle, 1 geocode', '西区: 1 polygon, 1 circle, 1 geocode']);
assert.deepEqual(after, ['东区: 0 polygon, 0 circle, 0 geocode', '西区: 0 polygon, 0 circle, 0 geocode']);

const coded = await cap.CAP_1_2.Alert.fromXML(alert('<code>drill-7</code><code>district</code>'));
console.log('two code elements:   ', coded.code_list);
assert.equal(coded.code_list, 'drill-7');
assert.throws(() => coded.toXML(), (error) => { console.log('written with code:   ', String(error)); return true; });
JS
node try.js
