"""A small QMP client: for the outer VM's own hypervisor (from inside: a character device), and for an inner QEMU."""
import json
import os
import select
import socket
import time

from .needs import LabError


class QmpError(LabError):
    """The hypervisor's own refusal; `kind` is its class."""

    def __init__(self, command, error):
        super().__init__(f"{command}: {error.get('desc')}")
        self.kind = error.get("class")


class Qmp:
    def __init__(self, path, timeout=30):
        self._timeout = timeout
        self._buffer = b""
        self.events = []  # all that came, oldest first
        self._file = self._open(str(path), time.monotonic() + timeout)
        try:
            self.call("qmp_capabilities")
        except QmpError:  # a character device is one connection for all who open it, one after the other
            if not str(path).startswith("/dev/"):
                raise

    @staticmethod
    def _open(path, deadline):
        if path.startswith("/dev/"):
            return os.open(path, os.O_RDWR)
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(path)
                return client.detach()
            except OSError as error:
                client.close()
                if time.monotonic() > deadline:
                    raise LabError(f"nobody answers at {path}: {error}") from error
                time.sleep(0.05)

    def close(self):
        os.close(self._file)

    def _message(self, deadline):
        while b"\n" not in self._buffer:
            if not select.select([self._file], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            data = os.read(self._file, 65536)
            if not data:
                raise LabError("the hypervisor closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def call(self, command, **arguments):
        """Returns what the command returned; QmpError when it was refused."""
        os.write(self._file, json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        deadline = time.monotonic() + self._timeout
        while True:
            message = self._message(deadline)
            if message is None:
                raise LabError(f"{command}: no answer within {self._timeout} s")
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise QmpError(command, message["error"])
            if "event" in message:
                self.events.append(message)

    def wait_for(self, event, device=None, timeout=None):
        """The data of the next such event, or of one that has come already; None when none came in time."""
        deadline = time.monotonic() + (timeout or self._timeout)
        while True:
            for seen in self.events:
                if seen["event"] == event and (not device or seen.get("data", {}).get("device") == device):
                    self.events.remove(seen)
                    return seen.get("data", {})
            message = self._message(deadline)
            if message is None:
                return None
            if "event" in message:
                self.events.append(message)
