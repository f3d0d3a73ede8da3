"""Judges test vectors: one function per kind, from a vector's input to what the format says of it."""

import json
import pathlib

import events as ev
import strict_ed25519
from charter import Charter
from exports import ExportRefused, Verification, head_json, known_from_json, log_json
from frames import read_frame
from strict_cbor import Refused, decode


def _unhex(text):
    return None if text is None else bytes.fromhex(text)


def _payload(value):
    return None if value is None else (bytes.fromhex(value["salt"]), bytes.fromhex(value["bytes"]))


def _event(value):
    return ev.read_event(bytes.fromhex(value["header"]), _unhex(value.get("signature")), _payload(value.get("op")),
                         _payload(value.get("pii")))


def cbor(value):
    decode(bytes.fromhex(value["bytes"]))
    return {"ok": True}


def headers(value):
    data = bytes.fromhex(value["header"])
    header = ev.read_header(data)
    assert ev.write_header(header) == data, "a header has two encodings"
    return {"id": ev.event_id(data).hex(), "to_be_signed": ev.event_to_be_signed(data).hex(),
            "log": log_json(ev.log_of(header)), "seq": header.seq, "kind": header.kind, "time": header.time}


def payloads(value):
    slot = {"op": ev.OP, "pii": ev.PII}[value["slot"]]
    payload = _payload(value)
    return {"commitment": ev.commitment(slot, *payload).hex(), "readable": ev.is_readable(payload)}


def signatures(value):
    key = bytes.fromhex(value["key"])
    return {"verify": strict_ed25519.check(key, bytes.fromhex(value["message"]), bytes.fromhex(value["signature"])),
            "grantable": strict_ed25519.check_key_for_grant(key)}


def _run_result(run, after, from_start):
    try:
        ev.check_run(run, after, from_start)
    except ev.AtSeq as refused:
        return {"code": refused.code, "seq": refused.seq}
    return {"log": log_json(ev.log_of(run[0].header)), "ids": [e.id.hex() for e in run]}


def runs(value):
    after = value["after"] and (value["after"]["seq"], bytes.fromhex(value["after"]["id"]))
    return _run_result([_event(e) for e in value["events"]], after, True)


def frames(value):
    return _run_result(read_frame(bytes.fromhex(value["frame"])), None, False)


def charters(value):
    charter = Charter(bytes.fromhex(value["federation"]), [_event(e) for e in value["events"]])
    probes = []
    for text in value["probes"]:
        data = bytes.fromhex(text)
        probes.append(charter.verdict(ev.event_id(data), ev.read_header(data)))
    return {"genesis": charter.genesis is not None,
            "valid": sorted(event_id.hex() for event_id in charter.valid),
            "invalid": {event_id.hex(): code for event_id, code in charter.invalid.items()}, "verdicts": probes}


def exports(value):
    try:
        return Verification(bytes.fromhex(value["file"]), known_from_json(value["known"])).verify()
    except ExportRefused as refused:
        return {"code": refused.code, "offset": refused.offset, "log": refused.log and log_json(refused.log),
                "seq": refused.seq}


JUDGES = {f.__name__: f for f in (cbor, headers, payloads, signatures, runs, frames, charters, exports)}


def judge(kind, value):
    try:
        return JUDGES[kind](value)
    except Refused as refused:
        return {"code": refused.code, "offset": refused.offset}


def check_directory(directory):
    """(number of vectors, list of disagreements) over all vector files of a directory."""
    count, wrong = 0, []
    for path in sorted(pathlib.Path(directory).glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            count += 1
            got = judge(path.stem, case["input"])
            if got != case["expect"]:
                wrong.append("%s: %s: expected %s, got %s" % (
                    path.name, case["name"], json.dumps(case["expect"])[:400], json.dumps(got)[:400]))
    return count, wrong


def flips(data):
    """The refusal (code, offset) of every file that differs from `data` in one bit; None where it is accepted."""
    data, results = bytearray(data), []
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        try:
            Verification(data).verify()
            results.append(None)
        except ExportRefused as refused:
            results.append([refused.code, refused.offset])
        data[bit // 8] ^= 1 << bit % 8
    return results
