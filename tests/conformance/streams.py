"""Steady streams of numbered frames, sent by a thread while the scenario goes on: which of them arrived,
where, and in which order. All streams take turns, so that none runs ahead of the others."""
import re
import threading
import time

PAUSE = 0.001  # between two rounds: about 500 frames a second of each stream
NUMBER = re.compile(rb"<([a-z][a-z0-9-]*) (\d+)>")


class Stream:
    def __init__(self, endpoint, make):
        self.endpoint = endpoint
        self.make = make
        self.count = 0
        self.seen = {}  # endpoint -> numbers, as they arrived


class Streams:
    def __init__(self, endpoints):
        """`endpoints()`: (name, endpoint) of each place where a frame may arrive."""
        self._endpoints = endpoints
        self._streams = {}
        self._thread = None
        self._stopping = threading.Event()
        self._error = None

    def start(self, name, endpoint, make):
        self._pause()
        self._streams[name] = Stream(endpoint, make)
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
                for name, stream in self._streams.items():
                    stream.endpoint.send(stream.make(b"<%s %d>" % (name.encode(), stream.count)))
                    stream.count += 1
                self._drain(0)
                time.sleep(PAUSE)
        except Exception as error:  # raised again by stop(), in the scenario's own thread
            self._error = error

    def _drain(self, timeout):
        for _, endpoint in self._endpoints():
            while frame := endpoint.receive(timeout):
                number = NUMBER.search(frame)
                if number and number.group(1).decode() in self._streams:
                    seen = self._streams[number.group(1).decode()].seen
                    seen.setdefault(endpoint, []).append(int(number.group(2)))
                else:
                    raise RuntimeError(f"a frame of no stream arrived while streams ran: {frame.hex()}")
