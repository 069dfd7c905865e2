"""Where a scenario is played: a host with berthd in a namespace of its own, its ports, and the wire.

Every expectation waits for its event. A frame that should not arrive is not waited for in vain: the rule
that drops it counts it, and once it has, nothing may have arrived anywhere. Frames that nobody expected
and drops that nobody expected fail the scenario at its end, at the latest.
"""
import os
import time
import re
from collections import Counter

import frames
from trial.agent import Agent
from trial.process import TrialError, wait_until
from trial.world import HOST_VTEP, PEER_VTEP, UPLINK, mac_of
from vhost_port import VhostPort
from wire import Wire

PATIENCE = 10  # seconds until an event that should come is given up; nothing waits this long when all is well


class Failed(Exception):
    """An expectation did not hold."""


class Stage:
    def __init__(self, world, berthd, berthctl, certs_tool):
        self.world = world
        self.agent = Agent(world, berthd, berthctl, certs_tool)
        self.agent.wait_ready()
        self.wire = Wire(world)
        world.at_end(self.wire.close)
        self.host_mac = mac_of(UPLINK, world.host)
        self.vpcs = {}
        self.pushed = None
        self.places = {}  # name -> {ip, mac, vpc} of a remote or a port
        self.ports = {}  # name -> VhostPort
        self.attachments = {}
        self.sent = b""
        self.drops = Counter()
        self.remembered = None
        self.remembered_files = Counter()

    def play(self, statement):
        getattr(self, "do_" + statement.verb.replace(" ", "_"))(statement.line, **statement.words)

    def finish(self):
        self._no_frame_left()
        self._no_drop_unexpected()
        if self.agent.child.stop() != 0:
            raise Failed(f"berthd ended with code {self.agent.child.process.returncode} when asked to stop")

    # What the controller does.

    def do_vpc(self, _, vpc, vni, subnet, gateway):
        self.vpcs[vpc] = {"vni": vni, "subnet": subnet, "gateway": gateway, "mappings": [], "policies": []}

    def do_remote(self, _, name, ip, mac, vpc):
        self.places[name] = {"ip": ip, "mac": mac, "vpc": vpc}
        self.vpcs[vpc]["mappings"].append({"ip": ip, "mac": mac, "vtep": PEER_VTEP})

    def do_policy(self, _, vpc, priority, **rule):
        self.vpcs[vpc]["policies"].append({**rule, "priority": int(priority)})

    def _push(self):
        text = vpcs_toml(self.vpcs)
        if text != self.pushed:
            self.agent.push(text)
            self.pushed = text
            self._wait_for_routes()
            self.drops = self._drops_now()

    def _wait_for_routes(self):
        """A mapping can be programmed only when the kernel knows the next hop's MAC: ARP takes its time."""
        wanted = sum(len(vpc["mappings"]) for vpc in self.vpcs.values())
        wait_until(lambda: sum(rule["purpose"] == "mapping" for rule in self.agent.rules()) >= wanted, PATIENCE,
                   f"{wanted} mappings in the eSwitch")

    # What the VMaaS does.

    def do_port(self, _, name, ip, mac, vpc):
        self._push()
        done = self.agent.attach(f"vm-{name}", vpc, ip, mac)
        if done["state"] != "DONE":
            raise Failed(f"attaching {name}: {done}")
        self.places[name] = {"ip": ip, "mac": mac, "vpc": vpc}
        self.attachments[name] = done["attachment"]
        self.ports[name] = VhostPort(done["port"]["socket"])
        self._wait_for_routes()

    def do_detach(self, _, name):
        self.ports.pop(name).close()
        self.places.pop(name)
        done = self.agent.detach(self.attachments.pop(name))
        if done["state"] != "DONE":
            raise Failed(f"detaching {name}: {done}")
        self.drops = self._drops_now()

    def do_remember_host(self, _):
        self._push()
        self.remembered = self._host_now()
        self.remembered_files = self._open_files()

    def do_expect_host_as_remembered(self, _):
        now = self._host_now()
        grown = self._grown_files()
        deadline = time.monotonic() + 3  # berthctl's own connection may still be closing
        while grown and time.monotonic() < deadline:
            time.sleep(0.02)
            grown = self._grown_files()
        if grown:
            raise Failed(f"berthd has more open files than remembered: {grown}")
        for what, before in self.remembered.items():
            if now[what] != before:
                gone = "".join(f"\n  gone: {entry}" for entry in before if entry not in now[what])
                new = "".join(f"\n  new:  {entry}" for entry in now[what] if entry not in before)
                raise Failed(f"the host's {what} are not as remembered{gone}{new}")

    def _open_files(self):
        folder = f"/proc/{self.agent.child.pid}/fd"
        kinds = Counter()
        for descriptor in os.listdir(folder):
            try:
                kinds[os.readlink(f"{folder}/{descriptor}").split(":")[0]] += 1
            except FileNotFoundError:
                pass  # closed meanwhile
        return kinds

    def _grown_files(self):
        return dict(self._open_files() - self.remembered_files)

    def _host_now(self):
        return {"rules": sorted(rule["testpmd"] for rule in self.agent.rules()),
                "attachments": self.agent.list(),
                "sockets": sorted(os.listdir(self.world.folder / "vhost"))}

    # Frames.

    def do_send(self, line, name, frame):
        self._push()
        place = self.places.get(name)
        layers = frames.parse(frame, self._resolve)
        if name == "uplink":
            layers = self._in_outer(layers)
        ip = [layer for layer in layers if layer.kind == "ipv4"]
        if ip and place:
            ip[0].fields.setdefault("src", place["ip"])
        self.sent = frames.build(layers, lambda inner: self._ethernet(place, inner), f"line {line}".encode() * 4)
        (self.wire if name == "uplink" else self.ports[name]).send(self.sent)

    def do_expect(self, _, name, frame):
        wanted = frames.parse(frame, self._resolve)
        endpoint = self.wire if name == "uplink" else self.ports[name]
        received = endpoint.receive(PATIENCE)
        if received is None:
            self._no_frame_left()
            raise Failed(f"nothing arrived at {name}; dropped so far: {self._new_drops() or 'nothing'}")
        why = frames.difference(received, wanted, self.sent) or "; ".join(frames.faults(received))
        if why:
            raise Failed(f"{why}\n  sent:     {frames.summary(self.sent)}\n  received: {frames.summary(received)}")

    def do_expect_dropped_by(self, _, purpose):
        wanted = self.drops[purpose] + 1
        try:
            wait_until(lambda: self._drops_now()[purpose] >= wanted, PATIENCE, f"a drop by {purpose}")
        except TrialError:
            self._no_frame_left()
            raise Failed(f"not dropped by {purpose}; drops: {self._new_drops() or 'none at all'}") from None
        self.drops[purpose] += 1
        self._no_frame_left()
        self._no_drop_unexpected()

    def do_expect_counter(self, _, name, counter, value):
        def read():
            return self.agent.counters(self.attachments[name])[counter]
        try:
            wait_until(lambda: read() == int(value), PATIENCE, counter)
        except TrialError:
            raise Failed(f"{counter} of {name} is {read()}, not {value}") from None

    # Helpers, from high level to low.

    def _no_frame_left(self):
        for name, endpoint in [("the uplink", self.wire), *self.ports.items()]:
            frame = endpoint.receive(0)
            if frame:
                raise Failed(f"a frame nobody expected at {name}: {frames.summary(frame)}")

    def _no_drop_unexpected(self):
        if new := self._new_drops():
            raise Failed(f"drops nobody expected: {new}")

    def _new_drops(self):
        return dict(self._drops_now() - self.drops)

    def _drops_now(self):
        drops = Counter()
        for rule in self.agent.rules():
            if rule["purpose"].endswith("-drop"):
                drops[rule["purpose"]] += int(rule["packets"])
        return drops

    def _resolve(self, kind, name):
        own = {"host": {"ip": HOST_VTEP, "mac": self.host_mac}, "peer": {"ip": PEER_VTEP, "mac": self.wire.mac},
               "gateway": {"ip": "10.1.0.1", "mac": frames.GATEWAY_MAC}}
        place = own.get(name) or self.places.get(name)
        if place:
            return place["mac" if kind == "eth" else "ip"]
        if not re.fullmatch(r"[0-9.]+|[0-9a-f:]{17}", name):
            raise Failed(f"nothing is called '{name}'")
        return name

    def _in_outer(self, layers):
        """A text that begins with vxlan stands for a packet of the peer to the host."""
        if layers[0].kind != "vxlan":
            return layers
        return [*frames.parse("eth peer > host / ipv4 peer > host / udp 50000 > 4789", self._resolve), *layers]

    def _ethernet(self, place, ip):
        """Addresses of a frame whose text names none: of who has its IP addresses, else the gateway's."""
        fields = ip.fields if ip else {}
        of = {other["ip"]: other["mac"] for other in self.places.values()
              if not place or other["vpc"] == place["vpc"]}
        return {"src": place["mac"] if place else of.get(fields.get("src"), frames.GATEWAY_MAC),
                "dst": of.get(fields.get("dst"), frames.GATEWAY_MAC)}


def vpcs_toml(vpcs):
    lines = []
    for name, vpc in vpcs.items():
        lines += ["[[vpc]]", f'id = "{name}"', f"vni = {vpc['vni']}",
                  "[[vpc.subnet]]", f'prefix = "{vpc["subnet"]}"', f'gateway = "{vpc["gateway"]}"']
        for table, entries in (("mapping", vpc["mappings"]), ("policy", vpc["policies"])):
            for entry in entries:
                lines.append(f"[[vpc.{table}]]")
                lines += [f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
                          for key, value in entry.items()]
    return "\n".join(lines) + "\n"
