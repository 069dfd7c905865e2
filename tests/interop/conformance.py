"""Broken HTTP/2, and what a server makes of it: conformance.py SERVER CERTIFICATES

Every case is played to our server and to nghttpd (Debian nghttp2-server), the reference. Both must
answer alike: go on, reset the stream, or end the connection, with the same error code.
"""
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest

from raw_http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY,
                       RST, SETTINGS, WINDOW, Peer, frame, request_head)

SERVER, CERTIFICATES = (pathlib.Path(arg) for arg in sys.argv[1:3])
PUSH_PROMISE, UNKNOWN = 5, 77
PADDED = 8


def u32(value):
    return struct.pack(">I", value)


def setting(key, value):
    return struct.pack(">HI", key, value)


def request(peer, stream, flags=END_HEADERS, head=None):
    return frame(HEADERS, flags, stream, peer.encoder.encode(head or request_head()))


def malformed(*extra, without=None, first=()):
    def play(peer):
        head = [*first, *(field for field in request_head() if field[0] != without), *extra]
        return request(peer, 1, END_HEADERS | END_STREAM, head)
    return play


# name -> what the peer sends after its SETTINGS
CASES = {
    "nothing wrong": lambda p: request(p, 1, END_HEADERS | END_STREAM),
    "data on stream 0": lambda p: frame(DATA, 0, 0, b"x"),
    "data on an idle stream": lambda p: frame(DATA, 0, 1, b"x"),
    "data with too much padding": lambda p: request(p, 1) + frame(DATA, PADDED, 1, b"\x06xxxx"),
    "data after the end": lambda p: request(p, 1, END_HEADERS | END_STREAM) + frame(DATA, 0, 1, b"x"),
    "headers on stream 0": lambda p: request(p, 0),
    "headers on an even stream": lambda p: request(p, 2),
    "headers on an older stream": lambda p: request(p, 5) + request(p, 3),
    "headers with too much padding": lambda p: frame(HEADERS, END_HEADERS | PADDED, 1, b"\xf0abc"),
    "headers after the end": lambda p: request(p, 1, END_HEADERS | END_STREAM) + request(p, 1),
    "trailers that do not end": lambda p: request(p, 1) + frame(
        HEADERS, END_HEADERS, 1, p.encoder.encode([("a", "b")])),
    "priority on stream 0": lambda p: frame(PRIORITY, 0, 0, u32(0) + b"\x10"),
    "short priority": lambda p: frame(PRIORITY, 0, 1, u32(0)),
    "priority on itself": lambda p: frame(PRIORITY, 0, 1, u32(1) + b"\x10"),
    "reset of stream 0": lambda p: frame(RST, 0, 0, u32(8)),
    "reset of an idle stream": lambda p: frame(RST, 0, 1, u32(8)),
    "short reset": lambda p: request(p, 1) + frame(RST, 0, 1, b"\0\0\0"),
    "settings on a stream": lambda p: frame(SETTINGS, 0, 1),
    "settings ack with content": lambda p: frame(SETTINGS, ACK, 0, setting(1, 1)),
    "settings of odd length": lambda p: frame(SETTINGS, 0, 0, b"\0\0\0"),
    "settings push 2": lambda p: frame(SETTINGS, 0, 0, setting(2, 2)),
    "settings window too large": lambda p: frame(SETTINGS, 0, 0, setting(4, 1 << 31)),
    "settings frame size too small": lambda p: frame(SETTINGS, 0, 0, setting(5, 1000)),
    "settings unknown": lambda p: frame(SETTINGS, 0, 0, setting(99, 1)),
    "push promise": lambda p: request(p, 1) + frame(PUSH_PROMISE, END_HEADERS, 1, u32(2)),
    "ping on a stream": lambda p: frame(PING, 0, 1, b"12345678"),
    "short ping": lambda p: frame(PING, 0, 0, b"1234567"),
    "unasked ping answer": lambda p: frame(PING, ACK, 0, b"12345678"),
    "goaway on a stream": lambda p: frame(GOAWAY, 0, 1, u32(0) + u32(0)),
    "window update of 0": lambda p: frame(WINDOW, 0, 0, u32(0)),
    "window update of 0 on a stream": lambda p: request(p, 1) + frame(WINDOW, 0, 1, u32(0)),
    "window overflow": lambda p: frame(WINDOW, 0, 0, u32((1 << 31) - 1)),
    "window overflow on a stream": lambda p: request(p, 1) + frame(WINDOW, 0, 1, u32((1 << 31) - 1)),
    "window update of an idle stream": lambda p: frame(WINDOW, 0, 1, u32(1)),
    "short window update": lambda p: frame(WINDOW, 0, 0, b"\0\0\1"),
    "continuation of nothing": lambda p: frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
    "continuation after the end": lambda p: request(p, 1) + frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
    "continuation of another stream": lambda p: request(p, 1, 0) + frame(CONTINUATION, END_HEADERS, 3),
    "frame inside a header block": lambda p: request(p, 1, 0) + frame(PING, 0, 0, b"12345678"),
    "frame too large": lambda p: request(p, 1) + frame(DATA, 0, 1, b"x" * 16385),
    "unknown frame": lambda p: frame(UNKNOWN, 255, 0, b"what"),
    "unknown frame inside a header block": lambda p: request(p, 1, 0) + frame(UNKNOWN, 0, 1),
    "hpack index 0": lambda p: frame(HEADERS, END_HEADERS, 1, b"\x80"),
    "hpack index beyond the table": lambda p: frame(HEADERS, END_HEADERS, 1, b"\xff\x7f"),
    "hpack table size too large": lambda p: frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f"),
    "hpack bad huffman": lambda p: frame(HEADERS, END_HEADERS, 1, b"\x00\x85\xf2\xb2\x4a\x84\xff\x01a"),
    "upper case name": malformed(("X-Upper", "a")),
    "unknown pseudo header": malformed(first=[(":strange", "a")]),
    "pseudo header after others": malformed((":authority", "b")),
    "response pseudo header": malformed(first=[(":status", "200")]),
    "no method": malformed(without=":method"),
    "no path": malformed(without=":path"),
    "no scheme": malformed(without=":scheme"),
    "method twice": malformed(first=[(":method", "POST")]),
    "empty path": malformed(first=[(":path", "")], without=":path"),
    "connection header": malformed(("connection", "close")),
    "te is not trailers": malformed(("te", "gzip"), without="te"),
    "content-length too small": lambda p: request(p, 1, END_HEADERS, request_head(
        extra=[("content-length", "1")])) + frame(DATA, END_STREAM, 1, b"xyz"),
    "content-length too large": lambda p: request(p, 1, END_HEADERS, request_head(
        extra=[("content-length", "9")])) + frame(DATA, END_STREAM, 1, b"xyz"),
}


def verdict(port, play, preface=PREFACE, pause=0.02):
    """("goes on",), ("resets", code) or ("ends", code); code None: without a word."""
    peer = Peer(port, CERTIFICATES, preface=preface)
    peer.send(play(peer))
    time.sleep(pause)  # it must have judged before the next frame, or its ack tells nothing
    peer.send(frame(PING, 0, 0, b"are you?"))
    outcome = None
    deadline = time.monotonic() + 5
    while outcome is None and time.monotonic() < deadline:
        for kind, flags, _, payload in peer.frames(0.05):
            if kind == GOAWAY and outcome is None:
                outcome = ("ends", struct.unpack(">I", payload[4:8])[0])
            elif kind == RST and struct.unpack(">I", payload)[0] != 0 and outcome is None:
                outcome = ("resets", struct.unpack(">I", payload)[0])
            elif kind == PING and flags & ACK and payload == b"are you?" and outcome is None:
                outcome = ("goes on",)
        if peer.is_closed and outcome is None:
            outcome = ("ends", None)
    peer.close()
    return outcome


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("nghttpd"):
            raise unittest.SkipTest("SKIPPED: no nghttpd (Debian nghttp2-server)")
        cls.ours = subprocess.Popen([SERVER, CERTIFICATES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.our_port = int(cls.ours.stdout.readline().split()[1])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            cls.reference_port = probe.getsockname()[1]
        cls.reference = subprocess.Popen(
            ["nghttpd", "--address=127.0.0.1", str(cls.reference_port), CERTIFICATES / "server.key",
             CERTIFICATES / "server.crt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", cls.reference_port)).close()
                break
            except OSError:
                time.sleep(0.05)

    @classmethod
    def tearDownClass(cls):
        cls.reference.terminate()
        cls.reference.wait()
        cls.ours.stdin.close()
        assert cls.ours.wait(20) == 0
        cls.ours.stdout.close()

    def test_like_nghttpd(self):
        for name, play in CASES.items():
            with self.subTest(name):
                for pause in (0.02, 0.1, 1):  # a busy machine may judge late
                    expected = verdict(self.reference_port, play, pause=pause)
                    ours = verdict(self.our_port, play, pause=pause)
                    if ours == expected:
                        break
                self.assertEqual(ours, expected)

    def test_bad_preface(self):
        self.assertEqual(verdict(self.our_port, lambda p: b"", b"PRI * HTTP/1.0\r\n\r\nXX\r\n\r\n")[0], "ends")

    def test_the_cases_tell_servers_apart(self):
        self.assertEqual(verdict(self.our_port, CASES["nothing wrong"]), ("goes on",))
        self.assertEqual(verdict(self.our_port, CASES["data on stream 0"]), ("ends", 1))
        self.assertEqual(verdict(self.our_port, CASES["window overflow on a stream"]), ("resets", 3))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
