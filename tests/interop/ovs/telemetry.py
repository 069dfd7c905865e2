"""The software eSwitch seen through DPDK's telemetry: from outside the application, and not by its own account."""
import json
import re
import socket

# As net_berth's private dump has it: a rule in testpmd's words, and what it counted.
RULE = re.compile(r"^flow create \d+ transfer group \d+ priority \d+ pattern represented_port ethdev_port_id is "
                  r"(\d+)(.*) / end actions (.*) / end # packets (\d+) bytes (\d+)$", re.MULTILINE)


class Rule:
    def __init__(self, source, pattern, actions, packets, octets):
        self.source = int(source)  # ethdev id
        self.pattern = pattern
        self.actions = actions.split(" / ")
        self.packets = int(packets)
        self.octets = int(octets)

    def __repr__(self):
        return f"<{self.source}{self.pattern} => {' / '.join(self.actions)}>"


class Telemetry:
    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(10)
        self._socket.connect(path)
        self._bytes = json.loads(self._socket.recv(4096))["max_output_len"]

    def close(self):
        self._socket.close()

    def ask(self, question):
        self._socket.send(question.encode())
        return next(iter(json.loads(self._socket.recv(self._bytes)).values()))

    def rules(self, proxy):
        text = self.ask(f"/ethdev/dump_priv,{proxy}") or ""
        rules = [Rule(*found) for found in RULE.findall(text)]
        assert len(rules) == text.count("flow create"), f"a rule is not understood: {text}"
        return rules

    def xstat(self, ethdev, name):
        return self.ask(f"/ethdev/xstats,{ethdev}")[name]
