#!/usr/bin/env python3
"""Verifies Linli export files without any code of Linli: Python 3 and PyCA cryptography are all it needs.

Set up once with ops/verify/setup, then: .venv/bin/python ops/verify/linli_verify.py FILE
The format is docs/format.md. Exit codes: 0 ok, 1 error, 2 usage, 4 verification failed.
"""

import argparse
import json
import mmap
import sys

from exports import ExportRefused, Verification, difference_text, known_from_json, log_from_json
import events as ev
import vectors

OK, ERROR, USAGE, FAILED = 0, 1, 2, 4


def arguments():
    parser = argparse.ArgumentParser(prog="linli_verify.py", description="Verifies a Linli export file offline.")
    parser.add_argument("file", nargs="?", help="export file to verify")
    parser.add_argument("--known", metavar="HEADS.json",
                        help="what was seen before: a report of --json of either verifier, or `linli status --json`")
    parser.add_argument("--federation", metavar="ID", help="fail unless the file is of this federation")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--require-authorised", action="store_true",
                        help="fail unless every event counts under a valid genesis")
    parser.add_argument("--vectors", metavar="DIR", help="check this verifier against a directory of test vectors")
    parser.add_argument("--judge", nargs=2, metavar=("KIND", "FILE"),
                        help="print what the format says of a JSON list of vector inputs")
    parser.add_argument("--selftest-flips", metavar="FILE",
                        help="print the refusal of every file that differs from FILE in one bit")
    chosen = parser.parse_args()
    modes = [chosen.file, chosen.vectors, chosen.judge, chosen.selftest_flips]
    if sum(mode is not None for mode in modes) != 1:
        parser.error("give one export file, or one of --vectors, --judge, --selftest-flips")
    if chosen.judge and chosen.judge[0] not in vectors.JUDGES:
        parser.error("--judge knows %s" % ", ".join(vectors.JUDGES))
    return chosen


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def known_of(chosen):
    try:
        federation, heads = known_from_json(read_json(chosen.known)) if chosen.known else (None, {})
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("%s holds no known heads: %s" % (chosen.known, error)) from error
    if chosen.federation is None:
        return federation, heads
    asked_for = bytes.fromhex(chosen.federation)
    if len(asked_for) != 32:
        raise ValueError("%s is no federation: 64 hexadecimal digits are" % chosen.federation)
    if federation not in (None, asked_for):
        raise ValueError("%s is of federation %s, and --federation asks for another" % (chosen.known, federation.hex()))
    return asked_for, heads


def verify(chosen):
    known = known_of(chosen)
    with open(chosen.file, "rb") as file:
        size = file.seek(0, 2)
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        try:
            report = Verification(data, known).verify()
        except ExportRefused as refused:
            if chosen.json:
                print(json.dumps({"refused": str(refused), "code": refused.code, "offset": refused.offset},
                                 ensure_ascii=False))
            print("%s: REFUSED %s" % (chosen.file, refused), file=sys.stderr)
            return FAILED
    return show(chosen, report)


def show(chosen, report):
    print(json.dumps(report, ensure_ascii=False, indent=2)) if chosen.json else print_report(report)
    problems = [difference_text(d) for d in report["discrepancies"]]
    verdicts = report["verdicts"]
    if chosen.require_authorised:
        if report["charter"]["name"] is None:
            problems.append("the file holds no valid genesis of federation %s" % report["federation"])
        first = verdicts["first_unauthorised"]
        if first:
            problems.append("%d events do not count, the first in log %s at seq %d: %s" % (
                verdicts["grant_unknown"] + verdicts["refused"], ev.log_text(log_from_json(first["log"])),
                first["seq"], first["reason"]))
    for problem in problems:
        print("%s: FAILED %s" % (chosen.file, problem), file=sys.stderr)
    return FAILED if problems else OK


def printable(text):
    return "".join(c if c.isprintable() else "\\u%04x" % ord(c) for c in text)


def print_report(report):
    charter, verdicts = report["charter"], report["verdicts"]
    print("federation %s" % report["federation"])
    if charter["name"] is None:
        print("charter: no valid genesis in this file")
    else:
        print("charter: %s, %d of %d root keys, %d grants, %d charter events that give nothing" % (
            printable(charter["name"]), charter["threshold"], charter["roots"], charter["grants"], charter["invalid"]))
    for entry in report["logs"]:
        print("log %s: %d events, head %s" % (
            ev.log_text(log_from_json(entry["log"])), entry["head"]["seq"], entry["head"]["id"]))
    print("%d events authentic and complete up to these heads; %d count (%d under an expired grant), %d do not, "
          "%d name a grant that is not here; %d payloads erased or withheld, %d unreadable" % (
              report["events"], verdicts["authorised"], verdicts["expired"], verdicts["refused"],
              verdicts["grant_unknown"], report["payloads_absent"], report["payloads_unreadable"]))
    print("not proved: events after these heads, and logs that the file does not name; compare with --known")


def main():
    chosen = arguments()
    try:
        if chosen.vectors:
            count, wrong = vectors.check_directory(chosen.vectors)
            print("\n".join(wrong + ["%d vectors, %d disagreements" % (count, len(wrong))]))
            return FAILED if wrong or not count else OK
        if chosen.judge:
            kind, path = chosen.judge
            print(json.dumps([vectors.judge(kind, value) for value in read_json(path)]))
            return OK
        if chosen.selftest_flips:
            with open(chosen.selftest_flips, "rb") as file:
                print(json.dumps(vectors.flips(file.read())))
            return OK
        return verify(chosen)
    except (OSError, ValueError) as error:
        print("error: %s" % error, file=sys.stderr)
        return ERROR


if __name__ == "__main__":
    sys.exit(main())
