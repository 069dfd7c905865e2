"""Hostile peers with valid certificates, in raw frames: attacks.py SERVER CERTIFICATES

Each attack runs against a fresh server and must not take more than 64 MiB of memory or 100 ms of CPU,
nor keep another client from being served. (Peers without a certificate never get this far; what they
can do is at the end of the file.)
"""
import pathlib
import resource
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

import hpack

from raw_http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY,
                       RST, SETTINGS, WINDOW, Peer, frame, message, request_head, tls_context)

SERVER, CERTIFICATES = (pathlib.Path(arg) for arg in sys.argv[1:3])
MEBIBYTE = 1 << 20
SANITIZED = len(sys.argv) > 3 and sys.argv[3] != ""  # measures nothing then
MEMORY_LIMIT = 64 * MEBIBYTE
CPU_LIMIT_MS = 100


def echo_request(count=0, reply_bytes=0):
    """berth.test.EchoRequest by hand."""
    def varint(value):
        out = b""
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])
    return b"\x10" + varint(count) + b"\x18" + varint(reply_bytes)


class Server:
    def __init__(self, fd_limit=None):
        def limit():
            if fd_limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (fd_limit, fd_limit))
        self.process = subprocess.Popen([SERVER, CERTIFICATES], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=limit)
        self.port = int(self.process.stdout.readline().split()[1])

    def proc(self, name):
        return pathlib.Path("/proc/%d/%s" % (self.process.pid, name)).read_text()

    def cpu_ms(self):
        return int(self.proc("schedstat").split()[0]) / 1e6

    def peak_bytes(self):
        line = next(line for line in self.proc("status").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


class Attack(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.peers = []
        self.check_service()
        self.cpu_before = self.server.cpu_ms()

    def tearDown(self):
        cpu = self.server.cpu_ms() - self.cpu_before
        peak = self.server.peak_bytes()
        print("    %-60s %6.1f ms CPU %6.1f MiB peak" % (self._testMethodName, cpu, peak / MEBIBYTE))
        self.check_service()
        for attacker in self.peers:
            attacker.close()
        self.server.stop()
        if not SANITIZED:
            self.assertLess(cpu, CPU_LIMIT_MS)
            self.assertLess(peak, MEMORY_LIMIT)

    def check_service(self):
        peer = Peer(self.server.port, CERTIFICATES)
        peer.open(1)
        peer.send(frame(DATA, END_STREAM, 1, message(b"")))
        begun = time.monotonic()
        while not any(f[0] == HEADERS and f[1] & END_STREAM for f in peer.frames(0.05)):
            self.assertLess(time.monotonic() - begun, 5, "another client is not served")
        peer.close()

    def attack(self, settings=b""):
        peer = Peer(self.server.port, CERTIFICATES, settings)
        self.peers.append(peer)
        return peer

    def assert_cut_off(self, peer, sent, at_most):
        """`at_most` leaves room for what was in the sockets' buffers when the server closed."""
        peer.frames()
        self.assertTrue(peer.is_closed)
        self.assertLess(sent, at_most)

    def test_rapid_reset(self):
        peer = self.attack()
        streams = 0
        while streams < 20_000 and not peer.is_closed:
            burst = b""
            for _ in range(50):
                stream = 2 * streams + 1
                burst += frame(HEADERS, END_HEADERS, stream, peer.encoder.encode(request_head()))
                burst += frame(RST, 0, stream, struct.pack(">I", 8))
                streams += 1
            peer.send(burst)
        self.assert_cut_off(peer, streams, 5000)

    def test_made_you_reset(self):
        """The server is provoked to reset calls whose handlers keep running."""
        peer = self.attack()
        streams = 0
        slow = message(echo_request(count=60_000))
        while streams < 5000 and not peer.is_closed:
            burst = b""
            for _ in range(50):
                stream = 2 * streams + 1
                burst += frame(HEADERS, END_HEADERS, stream, peer.encoder.encode(request_head()))
                burst += frame(DATA, END_STREAM, stream, slow)
                burst += frame(WINDOW, 0, stream, struct.pack(">I", (1 << 31) - 1))  # overflows
                streams += 1
            peer.send(burst)
        self.assert_cut_off(peer, streams, 2000)

    def test_continuation_flood(self):
        peer = self.attack()
        block = peer.encoder.encode(request_head())
        peer.send(frame(HEADERS, 0, 1, block))
        sent = peer.flood(frame(CONTINUATION, 0, 1, b"\x40\x01a\x01b" * 3000) * 10, 23_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_empty_continuation_flood(self):
        peer = self.attack()
        peer.send(frame(HEADERS, 0, 1, peer.encoder.encode(request_head())))
        sent = peer.flood(frame(CONTINUATION, 0, 1) * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_ping_flood(self):
        peer = self.attack()
        sent = peer.flood(frame(PING, 0, 0, b"01234567") * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_settings_flood(self):
        peer = self.attack()
        sent = peer.flood(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_priority_flood(self):
        peer = self.attack()
        burst = b"".join(frame(PRIORITY, 0, s, struct.pack(">IB", 0, 16)) for s in range(1, 2001, 2))
        sent = peer.flood(burst, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_window_update_flood(self):
        peer = self.attack()
        sent = peer.flood(frame(WINDOW, 0, 0, struct.pack(">I", 1)) * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_empty_data_flood(self):
        peer = self.attack()
        peer.open(1)
        sent = peer.flood(frame(DATA, 0, 1) * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_message_in_crumbs(self):
        peer = self.attack()
        peer.open(1)
        peer.send(frame(DATA, 0, 1, message(b"", 60_000)))
        sent = peer.flood(frame(DATA, 0, 1, b"x") * 1000, 20_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_reply_in_crumbs(self):
        """Window 0, opened byte by byte."""
        peer = self.attack(struct.pack(">HI", 4, 0))
        peer.open(1)
        peer.send(frame(DATA, END_STREAM, 1, message(echo_request(reply_bytes=4_000_000))))
        sent = 0
        while sent < 20_000 and peer.send(frame(WINDOW, 0, 1, struct.pack(">I", 1)) * 100):
            sent += 100
            if sent % 1000 == 0:
                peer.frames(0.01)
        self.assert_cut_off(peer, sent, 5000)

    def test_hpack_endless_integer(self):
        peer = self.attack()
        peer.send(frame(HEADERS, 0, 1, b"\xff" + b"\x80" * 16_000))
        sent = peer.flood(frame(CONTINUATION, 0, 1, b"\x80" * 16_000), 21_000_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_hpack_endless_string(self):
        peer = self.attack()
        peer.send(frame(HEADERS, 0, 1, b"\x00\x01a\x7f\xff\xff\xff\x07" + b"x" * 16_000))
        sent = peer.flood(frame(CONTINUATION, 0, 1, b"x" * 16_000), 22_800_000)
        self.assert_cut_off(peer, sent, 6_000_000)

    def test_hpack_bomb(self):
        """A 4 KB entry of the dynamic table, named sixteen thousand times a request."""
        peer = self.attack()
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1,
                        peer.encoder.encode(request_head()) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000))
        streams = 1
        for stream in range(3, 2000, 2):
            if not peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\xbe" * 16_000)):
                break
            streams += 1
        self.assert_cut_off(peer, streams, 500)

    def test_four_gigabyte_prefix(self):
        peer = self.attack()
        peer.open(1)
        peer.send(frame(DATA, 0, 1, message(b"x", 0xFFFFFFFF)))
        ends = [f for f in peer.frames() if f[0] == HEADERS]
        self.assertTrue(ends)
        headers = dict(hpack.Decoder().decode(ends[-1][3]))
        self.assertEqual(headers["grpc-status"], "8")

    def test_unfinished_uploads(self):
        """A hundred calls, each a 4 MiB message that never ends."""
        peer = self.attack()
        for stream in range(1, 200, 2):
            peer.open(stream)
            peer.send(frame(DATA, 0, stream, message(b"", 4 * MEBIBYTE)))
        windows = {stream: 65_000 for stream in range(1, 200, 2)}
        for _ in range(300):
            progress = False
            for stream in windows:
                size = min(windows[stream], 16_000)
                if size > 0 and peer.send(frame(DATA, 0, stream, b"x" * size)):
                    windows[stream] -= size
                    progress = True
            for kind, _, stream, payload in peer.frames(0.001):
                if kind == WINDOW and stream in windows:
                    windows[stream] += struct.unpack(">I", payload)[0]
            if not progress:
                break
        peer.frames()
        self.assertFalse(peer.is_closed)  # it has the right to be that slow
        peer.close()

    def test_unread_replies(self):
        """A hundred replies of 4 MiB to a client that never opens its window."""
        peer = self.attack(struct.pack(">HI", 4, 0))
        for stream in range(1, 200, 2):
            peer.open(stream)
            peer.send(frame(DATA, END_STREAM, stream, message(echo_request(reply_bytes=4_000_000))))
        peer.frames(1)
        peer.close()

    def test_unread_streams(self):
        peer = self.attack(struct.pack(">HI", 4, 0))
        for stream in range(1, 200, 2):
            peer.open(stream, method="Count")
            peer.send(frame(DATA, END_STREAM, stream, message(echo_request(1_000_000, 1000))))
        peer.frames(1)
        peer.close()

    def test_gzip_bomb(self):
        import gzip
        bomb = gzip.compress(b"\0" * 40 * MEBIBYTE)
        peer = self.attack()
        streams = 0
        while streams < 40 and not peer.is_closed:
            peer.open(2 * streams + 1, extra=[("grpc-encoding", "gzip")])
            data = message(bomb, flag=1)
            for at in range(0, len(data), 16_000):
                last = at + 16_000 >= len(data)
                peer.send(frame(DATA, END_STREAM if last else 0, 2 * streams + 1, data[at:at + 16_000]))
            streams += 1
            peer.frames(0.02)
        self.assert_cut_off(peer, streams, 40)

    def test_large_header_list(self):
        peer = self.attack()
        for stream in range(1, 20, 2):
            peer.open(stream, END_STREAM, extra=[("x-%d" % i, "v" * 200) for i in range(75)])
        decoder = hpack.Decoder()
        statuses = [dict(decoder.decode(f[3]))[":status"] for f in peer.frames() if f[0] == HEADERS]
        self.assertEqual(statuses, ["431"] * 10)


class Strangers(unittest.TestCase):
    """Peers without a certificate."""

    # UBSan looks at memory through a pipe; without descriptors it takes every object for invalid.
    @unittest.skipIf(SANITIZED, "SKIPPED: the sanitizers need descriptors of their own")
    def test_no_descriptors_left(self):
        server = Server(fd_limit=64)
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
        cpu_before = server.cpu_ms()
        time.sleep(1)
        self.assertLess(server.cpu_ms() - cpu_before, CPU_LIMIT_MS)
        for stranger in held:
            stranger.close()
        begun = time.monotonic()
        peer = Peer(server.port, CERTIFICATES)
        peer.open(1)
        peer.send(frame(DATA, END_STREAM, 1, message(b"")))
        self.assertTrue(any(f[0] == HEADERS for f in peer.frames(1)))
        self.assertLess(time.monotonic() - begun, 10)
        peer.close()
        server.stop()

    def refused(self, context):
        server = Server()
        try:
            raw = socket.create_connection(("127.0.0.1", server.port))
            raw.settimeout(5)
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(PREFACE + frame(SETTINGS, 0, 0))
                if tls.recv(1) == b"":  # TLS 1.3: the server's verdict comes after the client's part
                    return "closed"
            return None
        except (ssl.SSLError, OSError) as error:
            return str(error)
        finally:
            server.stop()

    def test_tls12_is_refused(self):
        context = tls_context(CERTIFICATES)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertRegex(self.refused(context), "(?i)protocol version|alert")

    def test_other_protocols_are_refused(self):
        context = tls_context(CERTIFICATES)
        context.set_alpn_protocols(["http/1.1"])
        self.assertRegex(self.refused(context), "(?i)no application protocol|alert")

    def test_no_protocol_is_refused(self):
        context = ssl.create_default_context(cafile=CERTIFICATES / "ca.crt")
        context.load_cert_chain(CERTIFICATES / "client.crt", CERTIFICATES / "client.key")
        self.assertIsNotNone(self.refused(context))

    def test_no_certificate_is_refused(self):
        context = ssl.create_default_context(cafile=CERTIFICATES / "ca.crt")
        context.set_alpn_protocols(["h2"])
        self.assertIsNotNone(self.refused(context))

    def test_plain_http_is_dropped(self):
        server = Server()
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.settimeout(5)
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
        server.stop()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
