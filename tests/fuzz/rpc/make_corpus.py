"""Writes the seeds of fuzz_rpc_session: make_corpus.py FOLDER. Needs python3-hpack."""
import pathlib
import struct
import sys

import hpack

FOLDER = pathlib.Path(sys.argv[1])
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(payload, flag=0):
    return struct.pack(">BI", flag, len(payload)) + payload


def request(encoder, stream, flags=4, extra=()):
    head = [(":method", "POST"), (":scheme", "https"), (":path", "/t.Echo/Say"), (":authority", "a"),
            ("te", "trailers"), ("content-type", "application/grpc"), *extra]
    return frame(HEADERS, flags, stream, encoder.encode(head))


def response(encoder, stream, fields, flags=4):
    return frame(HEADERS, flags, stream, encoder.encode(fields))


def seeds():
    settings = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) + frame(SETTINGS, 1, 0)
    e = hpack.Encoder()
    yield "unary", 0x7F, settings + request(e, 1) + frame(DATA, 1, 1, message(b"hello"))
    e = hpack.Encoder()
    yield "metadata", 0x7F, settings + request(e, 1, 5, [("a-bin", "AAEC"), ("grpc-timeout", "99999999H")])
    e = hpack.Encoder()
    yield "messages", 0x02, settings + request(e, 1) + b"".join(
        frame(DATA, 0, 1, message(b"x" * n)) for n in (0, 1, 100, 3000)) + frame(DATA, 1, 1)
    e = hpack.Encoder()
    yield "gzip", 0x7F, settings + request(e, 1, 4, [("grpc-encoding", "gzip")]) + frame(
        DATA, 1, 1, message(bytes.fromhex("1f8b08000000000002034b4c040049 8c0c 6a02000000".replace(" ", "")), 1))
    e = hpack.Encoder()
    yield "streams", 0x7F, settings + b"".join(
        request(e, s) + frame(DATA, 0, s, message(b"q")) for s in range(1, 30, 2))
    e = hpack.Encoder()
    yield "resets", 0x7F, settings + b"".join(
        request(e, s) + frame(RST, 0, s, struct.pack(">I", 8)) for s in range(1, 30, 2))
    e = hpack.Encoder()
    block = e.encode([(":method", "POST"), (":path", "/x")])
    yield "continuation", 0x7F, settings + frame(HEADERS, 0, 1, block) + frame(
        CONTINUATION, 0, 1, b"\x40\x01a\x01b") + frame(CONTINUATION, 4, 1)
    yield "control", 0x7F, settings + frame(PING, 0, 0, b"01234567") + frame(
        WINDOW, 0, 0, struct.pack(">I", 1000)) + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)) + frame(
        PRIORITY, 0, 3, struct.pack(">IB", 0, 16))
    e = hpack.Encoder()
    yield "too-long", 0x7F, settings + request(e, 1) + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff")
    good = [(":status", "200"), ("content-type", "application/grpc"), ("a", "b")]
    e = hpack.Encoder()
    yield "reply", 0xFF, settings + response(e, 1, good) + frame(DATA, 0, 1, message(b"hello")) + response(
        e, 1, [("grpc-status", "0"), ("t-bin", "AAE")], 5)
    e = hpack.Encoder()
    yield "trailers-only", 0xFF, settings + response(e, 1, good + [
        ("grpc-status", "9"), ("grpc-message", "50%25 %C3%BC"), ("grpc-status-details-bin", "CAkSAW0")], 5)
    e = hpack.Encoder()
    yield "http-errors", 0xFF, settings + response(e, 1, [(":status", "503")], 5) + response(
        e, 3, [(":status", "100")]) + response(e, 3, [(":status", "200"), ("content-type", "text/html")])
    e = hpack.Encoder()
    yield "refused", 0xFF, settings + frame(RST, 0, 1, struct.pack(">I", 7)) + frame(
        GOAWAY, 0, 0, struct.pack(">II", 1, 0))


FOLDER.mkdir(parents=True, exist_ok=True)
for name, first, data in seeds():
    (FOLDER / name).write_bytes(bytes([first]) + data)
