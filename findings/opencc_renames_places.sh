#!/usr/bin/env bash
# OpenCC's t2s ("to simplified characters") is often run over mixed files before names are compared. It also changes
# names that are official in simplified Chinese already, because 乾, 於, 濛 and others stay in place names: 乾务镇 becomes
# 干务镇, and two different streets of one province (濛阳街道 of 彭州, 蒙阳街道 of 名山) get one name. Going to traditional
# characters and back does not bring names home either.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --only-binary :all: opencc==1.4.2
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^opencc '

cat > try.py <<'PY'
import opencc

t2s, s2t = opencc.OpenCC("t2s"), opencc.OpenCC("s2t")

# Official names in the lists of administrative divisions of mainland China, with what becomes of them.
TO_SIMPLIFIED = {
    "金鸡湖街道": "金鸡湖街道",
    "乾务镇": "干务镇",
    "乾佑街道": "干佑街道",
    "於潜镇": "于潜镇",
    "濛阳街道": "蒙阳街道",
    "蒙阳街道": "蒙阳街道",
    "藉口镇": "借口镇",
    "洩湖镇": "泄湖镇",
}
THERE_AND_BACK = {"金鸡湖街道": "金鸡湖街道", "澄江街道": "澂江街道", "钜桥镇": "巨桥镇", "昭馀镇": "昭余镇"}

for name, expected in TO_SIMPLIFIED.items():
    made = t2s.convert(name)
    print(f"t2s  {name} → {made}{'' if made == name else '   another name'}")
    assert made == expected
for name, expected in THERE_AND_BACK.items():
    there = s2t.convert(name)
    back = t2s.convert(there)
    print(f"s2t  {name} → {there}, t2s → {back}{'' if back == name else '   another name'}")
    assert back == expected
PY
env/bin/python try.py
