"""A peer that says what it likes in HTTP/2, over TLS with a client certificate. For hostile and for
conformance tests."""
import socket
import ssl
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request_head(method="Say", extra=()):
    return [(":method", "POST"), (":scheme", "https"), (":path", "/berth.test.Echo/" + method),
            (":authority", "localhost"), ("te", "trailers"), ("content-type", "application/grpc"), *extra]


def message(payload, length=None, flag=0):
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def tls_context(certificates):
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    context.load_cert_chain(certificates / "client.crt", certificates / "client.key")
    context.set_alpn_protocols(["h2"])
    return context


class Peer:
    """A connection that says what it likes."""

    def __init__(self, port, certificates, settings=b"", preface=PREFACE):
        raw = socket.create_connection(("127.0.0.1", port))
        self.socket = tls_context(certificates).wrap_socket(raw, server_hostname="localhost")
        self.socket.settimeout(10)
        self.encoder = hpack.Encoder()
        self.is_closed = False
        self.received = b""
        self.send(preface + frame(SETTINGS, 0, 0, settings))

    def send(self, data, patience=10):
        """False when the server has closed the connection, or takes nothing for so long."""
        self.socket.settimeout(patience)
        try:
            self.socket.sendall(data)
        except (ssl.SSLError, OSError):
            self.is_closed = True
        return not self.is_closed

    def open(self, stream, flags=0, method="Say", extra=()):
        return self.send(frame(HEADERS, END_HEADERS | flags, stream,
                               self.encoder.encode(request_head(method, extra))))

    def flood(self, data, total_bytes):
        """Sends `data` again and again without reading, until it was total_bytes or the end."""
        sent = 0
        while sent < total_bytes and self.send(data, patience=1):
            sent += len(data)
        return sent

    def frames(self, patience=0.5):
        """What the server has said since, as (kind, flags, stream, payload)."""
        self.socket.settimeout(patience)
        try:
            while chunk := self.socket.recv(1 << 16):
                self.received += chunk
            self.is_closed = True
        except (socket.timeout, TimeoutError):
            pass
        except (ssl.SSLError, OSError):
            self.is_closed = True
        found = []
        while len(self.received) >= 9:
            length = struct.unpack(">I", b"\0" + self.received[:3])[0]
            if len(self.received) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
            found.append((kind, flags, stream, self.received[9:9 + length]))
            self.received = self.received[9 + length:]
        return found

    def close(self):
        self.socket.close()
