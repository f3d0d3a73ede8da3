#!/usr/bin/env bash
# Lists of Chinese offices write an extension as 转801, 分机801 or -801. phonenumbers and libphonenumber-js, told that the
# number is Chinese, refuse the first two and take the third for three more digits of the number: parsing succeeds and
# the E.164 form is a number that nobody has. Only is_valid_number() tells. The English ext and # are understood.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check phonenumbers==9.0.43
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^phonenumbers '
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund libphonenumber-js@1.13.16
npm ls --depth=0 | tail -n +2

cat > try.py <<'PY'
import phonenumbers as library

WRITTEN = ["0512-65001234", "0512-65001234 ext 801", "0512-65001234#801", "0512-65001234-801",
           "0512-65001234转801", "0512-65001234分机801"]
for text in WRITTEN:
    try:
        number = library.parse(text, "CN")
        e164 = library.format_number(number, library.PhoneNumberFormat.E164)
        print(text, e164, number.extension or "none", "valid" if library.is_valid_number(number) else "not valid")
    except library.NumberParseException as error:
        print(text, "refused:", error)
PY
cat > try.js <<'JS'
import { parsePhoneNumberWithError as parse } from 'libphonenumber-js/max';

for (const text of ['0512-65001234', '0512-65001234 ext 801', '0512-65001234#801', '0512-65001234-801',
  '0512-65001234转801', '0512-65001234分机801']) {
  try {
    const number = parse(text, 'CN');
    console.log(text, number.number, number.ext ?? 'none', number.isValid() ? 'valid' : 'not valid');
  } catch (error) {
    console.log(text, 'refused:', error.message);
  }
}
JS
expected() {
  cat <<TABLE
0512-65001234 +8651265001234 none valid
0512-65001234 ext 801 +8651265001234 801 valid
0512-65001234#801 +8651265001234 801 valid
0512-65001234-801 +8651265001234801 none not valid
0512-65001234转801 refused: $1
0512-65001234分机801 refused: $1
TABLE
}
check() {
  echo "$1:"
  cat "$2"
  expected "$3" | diff - "$2"
}
env/bin/python try.py > python.txt
node try.js > javascript.txt
check phonenumbers python.txt '(1) The string supplied did not seem to be a phone number.'
check libphonenumber-js javascript.txt NOT_A_NUMBER
