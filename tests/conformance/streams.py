"""Steady streams of numbered frames, sent by a thread while the scenario goes on: which of them arrived,
where, and in which order. All streams take turns, so that none runs ahead of the others."""
import struct
import threading
import time

PAUSE = 0.001  # between two rounds: about 500 frames a second of each stream
WINDOW = 32  # frames of a stream on their way at most, so that a slow machine fills no ring
NAME_BYTES = 24


def payload(name, number):
    """The number stands beside its complement: any two frames of a stream have the same checksums."""
    return b"stream: " + name.encode().ljust(NAME_BYTES) + struct.pack(">II", number, number ^ 0xFFFFFFFF)


def read_payload(frame):
    """(name, number)"""
    at = frame.find(b"stream: ")
    if at < 0:
        return None, None
    at += len(b"stream: ")
    name = frame[at:at + NAME_BYTES].decode().rstrip()
    return name, struct.unpack_from(">I", frame, at + NAME_BYTES)[0]


class Stream:
    def __init__(self, name, endpoint, make):
        self.name = name
        self.endpoint = endpoint
        self._first = make(payload(name, 0))
        self.count = 0
        self.seen = {}  # endpoint -> numbers, as they arrived

    def send_next(self):
        self.endpoint.send(self._first.replace(payload(self.name, 0), payload(self.name, self.count)))
        self.count += 1

    def is_far_ahead(self):
        """More than a window ahead of what arrives, if anything of it does."""
        return any(self.count - 1 - numbers[-1] >= WINDOW for numbers in self.seen.values())


class Streams:
    def __init__(self, endpoints):
        """`endpoints()`: (name, endpoint) of each place where a frame may arrive."""
        self._endpoints = endpoints
        self._streams = {}
        self._thread = None
        self._stopping = threading.Event()
        self._error = None
        self.between_rounds = threading.Lock()  # held by who takes an endpoint away

    def start(self, name, endpoint, make):
        self._pause()
        self._streams[name] = Stream(name, endpoint, make)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """No more is sent. Idempotent."""
        self._pause()
        if self._error:
            error, self._error = self._error, None
            raise error

    def sent(self, name):
        return self._streams[name].count

    def missing_at(self, name, endpoint, patience):
        """Why not every frame arrived there, and nowhere else, in order; None when they did."""
        stream = self._streams[name]
        deadline = time.monotonic() + patience
        while len(stream.seen.get(endpoint, [])) < stream.count and time.monotonic() < deadline:
            self._drain(0.01)
        arrived = stream.seen.get(endpoint, [])
        if arrived != list(range(stream.count)):
            missing = sorted(set(range(stream.count)) - set(arrived))
            return f"{len(arrived)} of {stream.count} arrived; missing: {missing[:20] or 'none, but not in order'}"
        if len(stream.seen) > 1:
            return "it arrived at more than one place"
        return None if stream.count else "nothing was sent"

    def seen_anywhere(self, name):
        """Where frames arrived that should have arrived nowhere, or None."""
        self._drain(0)
        stream = self._streams[name]
        found = [number for numbers in stream.seen.values() for number in numbers]
        return f"{len(found)} of {stream.count} passed: {sorted(found)[:20]}" if found else None

    def _pause(self):
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _run(self):
        try:
            while not self._stopping.is_set():
                with self.between_rounds:
                    for stream in () if self._is_far_ahead() else self._streams.values():
                        stream.send_next()
                    self._drain(0)
                time.sleep(PAUSE)
        except Exception as error:  # raised again by stop(), in the scenario's own thread
            self._error = error

    def _is_far_ahead(self):
        return any(stream.is_far_ahead() for stream in self._streams.values())

    def _drain(self, timeout):
        for _, endpoint in self._endpoints():
            while frame := endpoint.receive(timeout):
                name, number = read_payload(frame)
                if name not in self._streams:
                    raise RuntimeError(f"a frame of no stream arrived while streams ran: {frame.hex()}")
                self._streams[name].seen.setdefault(endpoint, []).append(number)
