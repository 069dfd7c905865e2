#!/usr/bin/python3
"""Writes the fuzzer's first inputs: what a monitor says, as QEMU 10.0 does, and what none should say."""
import json
from pathlib import Path

GREETING = {"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""},
                    "capabilities": ["oob"]}}
READY = {"return": {}, "id": "us-1"}
PCI = [{"bus": 0, "devices": [
    {"bus": 0, "slot": 1, "qdev_id": "rp1", "pci_bridge": {
        "bus": {"secondary": 1, "number": 0},
        "devices": [{"bus": 1, "slot": 0, "qdev_id": "berth-vf3"}]}}]}]
QOM = [{"name": "type", "type": "string"}, {"name": "rp1", "type": "child<pcie-root-port>"},
       {"name": "rp10", "type": "child<pcie-root-port>"}]
DELETED = {"event": "DEVICE_DELETED", "data": {"device": "berth-vf3", "path": "/machine/peripheral/berth-vf3"}}
REFUSED = {"error": {"class": "GenericError", "desc": "Device n1 is already in the process of unplug"}, "id": "us-2"}


def lines(*messages):
    return "".join(json.dumps(message) + "\r\n" for message in messages)


CORPUS = {
    "pci": (255, lines(GREETING, READY, {"return": PCI, "id": "us-2"}, {"return": PCI, "id": "us-3"})),
    "qom": (7, lines(GREETING, READY, {"return": QOM, "id": "us-2"}, DELETED)),
    "refused": (1, lines(GREETING, READY, DELETED, REFUSED)),
    "unknown-reply": (64, lines(GREETING, READY, {"return": {}, "id": "us-9"})),
    "stale-reply": (64, lines(GREETING, {"return": {}, "id": "other-1"}, READY, {"return": {}, "id": "other-2"})),
    "no-greeting": (3, lines(READY)),
    "no-capabilities": (255, lines(GREETING, {"error": {"class": "GenericError", "desc": "no"}, "id": "us-1"})),
    "deep": (255, lines(GREETING) + '{"return": ' + "[" * 70 + "]" * 70 + "}\n"),
    "rubbish": (255, lines(GREETING) + "\x00\x80{\n"),
}

if __name__ == "__main__":
    folder = Path(__file__).parent / "corpus"
    folder.mkdir(exist_ok=True)
    for name, (piece, text) in CORPUS.items():
        (folder / name).write_bytes(bytes([piece]) + text.encode("latin-1"))
