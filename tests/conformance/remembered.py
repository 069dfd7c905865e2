"""What a host held at one moment, to be compared with what it holds later."""
import os
import time
from collections import Counter

GRACE = 3  # seconds: berthctl's own connection may still be closing


class Remembered:
    def __init__(self, agent):
        self._agent = agent
        self._host = self._host_now()
        self._files = self._open_files()

    def difference(self):
        """What is not as it was, or None."""
        deadline = time.monotonic() + GRACE
        while (grown := dict(self._open_files() - self._files)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if grown:
            return f"berthd has more open files than remembered: {grown}"
        now = self._host_now()
        for what, before in self._host.items():
            if now[what] != before:
                gone = "".join(f"\n  gone: {entry}" for entry in before if entry not in now[what])
                new = "".join(f"\n  new:  {entry}" for entry in now[what] if entry not in before)
                return f"the host's {what} are not as remembered{gone}{new}"
        return None

    def _open_files(self):
        folder = f"/proc/{self._agent.child.pid}/fd"
        kinds = Counter()
        for descriptor in os.listdir(folder):
            try:
                kinds[os.readlink(f"{folder}/{descriptor}").split(":")[0]] += 1
            except FileNotFoundError:
                pass  # closed meanwhile
        return kinds

    def _host_now(self):
        return {"rules": sorted(rule["testpmd"] for rule in self._agent.rules()),
                "attachments": self._agent.list(),
                "sockets": sorted(os.listdir(self._agent.world.folder / "vhost"))}
