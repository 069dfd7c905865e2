"""Where a scenario is played: a host with berthd in a namespace of its own, its ports, and the wire.

Every expectation waits for its event. A frame that should not arrive is not waited for in vain: the rule
that drops it counts it, and once it has, nothing may have arrived anywhere. Frames that nobody expected
and drops that nobody expected fail the scenario at its end, at the latest.
"""
import time
from collections import Counter

import frames
from guest import Guest, VfGuest
from network import Network, UnknownName
from remembered import Remembered
from scenario import per_second
from streams import Streams
from trial.agent import Agent
from trial.process import TrialError, wait_until
from trial.world import mac_of
from wire import Wire

JUDGED = ("admit", "inner-mac", "to-agent")  # the first rules that a sound frame meets
PATIENCE = 20  # seconds until an event that should come is given up; nothing waits this long when all is well


class Failed(Exception):
    """An expectation did not hold."""


class Stage:
    def __init__(self, world, berthd, berthctl, certs_tool, **eswitch):
        """`eswitch`: what else Agent has to know of it."""
        self.world = world
        self.agent = Agent(world, berthd, berthctl, certs_tool, **eswitch)
        self.agent.wait_ready()
        host_mac = mac_of(world.uplink, world.host)
        self.wire = Wire(world, host_mac)
        world.at_end(self.wire.close)
        self.network = Network(host={"mac": host_mac, world.underlay: world.host_vtep},
                               peer={"mac": self.wire.mac, world.underlay: world.peer_vtep})
        self.pushed = None
        self.ports = {}  # name -> Guest
        self.attachments = {}
        self.streams = Streams(self._endpoints)
        world.at_end(self.streams.stop)
        self.stream_drops = {}  # stream -> the drops before it began
        self.sent = b""
        self.checked = None
        self.burst_count = 1
        self.burst_start = self.burst_end = None
        self.drops = Counter()

    def play(self, statement):
        try:
            getattr(self, "do_" + statement.verb.replace(" ", "_"))(statement.line, **statement.words)
        except UnknownName as error:
            raise Failed(str(error)) from None

    def finish(self):
        self.streams.stop()
        self._no_frame_left()
        self._no_drop_unexpected()
        if self.agent.child.stop() != 0:
            raise Failed(f"berthd ended with code {self.agent.child.process.returncode} when asked to stop")

    def do_underlay(self, _, family):
        assert family == self.world.underlay, "run.py builds the world that the scenario asks for"

    # What the controller does.

    def do_vpc(self, _, **words):
        self.network.add_vpc(**words)

    def do_remote(self, _, **words):
        self.network.add_remote(**words)

    def do_policy(self, _, **words):
        self.network.add_policy(**words)

    def do_group(self, _, **words):
        self.network.add_group(**words)

    def do_route(self, _, **words):
        self.network.add_route(**words)

    def do_peering(self, _, **words):
        self.network.add_peering(**words)

    def do_forget(self, _, table, vpc):
        self.network.vpcs[vpc]["policy_group" if table == "group" else table].clear()

    def do_push(self, _=None):
        text = self.network.toml()
        if text != self.pushed:
            self.agent.push(text)
            self.pushed = text
            self._wait_for_routes()
            self.drops = self._drops_now()

    def _wait_for_routes(self):
        """A mapping can be programmed only when the kernel knows the next hop's MAC: asking takes its time."""
        wanted = self.network.tunnelled()
        wait_until(lambda: sum(rule["purpose"] == "mapping" for rule in self.agent.rules()) >= wanted, PATIENCE,
                   f"{wanted} mappings in the eSwitch")

    # What the VMaaS does.

    def do_port(self, _, name, ips, mac, vpc, groups="", **options):
        self.do_push()
        addresses = self.network.add_place(name, ips, mac, vpc)
        done = self.agent.attach(f"vm-{name}", vpc, addresses, mac, groups=groups.split(), **options)
        if done["state"] != "DONE":
            raise Failed(f"attaching {name}: {done}")
        self.attachments[name] = done["attachment"]
        self.ports[name] = self._guest_at(done["interfaces"][0]["port"], mac)
        self._wait_for_routes()

    def do_update(self, _, name, groups="", no_groups=None, **rates):
        self.do_push()
        groups = [] if no_groups else groups.split() or None
        rates = {which: "0" if rate == "unlimited" else rate for which, rate in rates.items()}
        done = self.agent.update(self.attachments[name], groups=groups, **rates)
        if done["state"] != "DONE":
            raise Failed(f"updating {name}: {done}")

    def do_detach(self, _, name):
        with self.streams.between_rounds:
            self.ports.pop(name).close()
        self.network.places.pop(name)
        done = self.agent.detach(self.attachments.pop(name))
        if done["state"] != "DONE":
            raise Failed(f"detaching {name}: {done}")
        self.drops = self._drops_now()

    def do_remember_host(self, _):
        self.do_push()
        self.remembered = Remembered(self.agent)

    def do_expect_host_as_remembered(self, _):
        if why := self.remembered.difference():
            raise Failed(why)

    # Frames.

    def do_send(self, line, name, frame, count="1"):
        self.do_push()
        make = self._frame_maker(name, frame)
        self.burst_count = int(count)
        self.burst_end = self._admitted() + self.burst_count if self.burst_count > 1 else None
        self.burst_start = time.monotonic()
        self.checked = None
        self.sent = make(f"line {line}".encode() * 4)
        for _ in range(self.burst_count):
            self._endpoint(name).send(self.sent)

    def do_stream(self, _, stream, name, frame):
        self.do_push()
        self.stream_drops[stream] = self._drops_now()
        self.streams.start(stream, self._endpoint(name), self._frame_maker(name, frame))

    def do_expect(self, _, name, frame):
        received = self._receive(name)
        self._check(received, frames.parse(frame, self._resolver(name)))

    def do_expect_stream(self, _, stream, name=None, purpose=None):
        self.streams.stop()
        if name:
            why = self.streams.missing_at(stream, self._endpoint(name), PATIENCE)
        else:
            wanted = self.stream_drops[stream][purpose] + self.streams.sent(stream)
            why = self.streams.seen_anywhere(stream) or self._wait_for_drops(purpose, wanted)
            self.drops[purpose] = wanted
        if why:
            raise Failed(f"stream {stream}: {why}")
        print(f"      {self.streams.sent(stream)} frames")

    def do_expect_at_most(self, _, rate, burst, name, frame):
        """Of the last burst that was sent. A machine under load sends and switches slower, so what passes is
        held against the time that it really took; nothing is said of how soon it passes."""
        wanted = frames.parse(frame, self._resolver(name))
        wait_until(lambda: self._admitted() >= self.burst_end, PATIENCE, "the burst's last frame")
        admitted = time.monotonic()
        passed, last = self._receive_all(name, wanted)
        seconds = max(admitted, last) - self.burst_start  # no limit has judged a frame after this
        number, unit = per_second(rate)
        size = frames.innermost_size(self.sent) if unit == "bytes" else 1
        least, most = int(burst) // size, int((int(burst) + number * seconds) // size)
        print(f"      {passed} of {self.burst_count} frames passed in {seconds:.3f} s; the limit is {most}, "
              f"the burst alone {least}")
        if not least <= passed <= most:
            raise Failed("that is not within the limit")
        if passed == self.burst_count:
            raise Failed("everything passed: too little was offered to tell anything")

    def do_expect_all_of_it_at(self, _, name, frame):
        wanted = frames.parse(frame, self._resolver(name))
        for _ in range(self.burst_count):
            self._check(self._receive(name), wanted)

    def do_expect_dropped_by(self, _, purpose):
        if why := self._wait_for_drops(purpose, self.drops[purpose] + self.burst_count):
            self._no_frame_left()
            raise Failed(why)
        self.drops[purpose] += self.burst_count
        self._no_frame_left()
        self._no_drop_unexpected()

    def do_expect_counter(self, _, name, counter, value):
        def read():
            return self.agent.counters(self.attachments[name])[counter]
        self._wait_for_value(read, int(value), f"{counter} of {name}")

    def do_expect_rule(self, _, purpose, vpc, key, packets, bytes):
        tag = f"tag data is {self.network.vpcs[vpc]['vni']} "

        def read():
            found = [rule for rule in self.agent.rules()
                     if rule["purpose"] == purpose and tag in rule["testpmd"] and f" {key} /" in rule["testpmd"]]
            if len(found) != 1:
                raise Failed(f"{len(found)} rules {purpose} of {vpc} for {key}")
            return int(found[0]["packets"]), int(found[0]["bytes"])
        self._wait_for_value(read, (int(packets), int(bytes)), f"(packets, bytes) of {purpose} for {key}")

    # Helpers, from high level to low.

    def _guest_at(self, port, mac):
        if port["kind"] == "vhost-user":
            return Guest(port["socket"])
        return VfGuest(*self.world.give_vf(int(port["function"].removeprefix("vf")), mac))

    def _frame_maker(self, name, text):
        """A function from a payload to the frame of this text, sent by `name`."""
        place = self.network.places.get(name)
        layers = frames.parse(text, self._resolver(name))
        if name == "uplink" and layers[0].name == "vxlan":  # stands for a packet of the peer to the host
            outer = f"eth peer > host / {self.world.underlay} peer > host / udp 50000 > 4789"
            layers = [*frames.parse(outer, self._resolver(name)), *layers]
        own = next((layer for layer in layers if layer.name in frames.IP_KINDS), None)
        if own and place and own.name in place:
            own.fields.setdefault("src", place[own.name])
        for layer in layers:
            if layer.name == "arp" and place:
                layer.fields.setdefault("psrc", place["ipv4"])
        return lambda payload: frames.build(layers, lambda ip: self.network.ethernet(place, ip), payload)

    def _check(self, received, wanted):
        if (received, wanted) == self.checked:  # the frames of a burst are alike
            return
        why = (frames.difference(received, wanted, self.sent) or
               "; ".join(frames.faults(received, 1 + frames.tunnels_in(self.sent))))
        if why:
            raise Failed(f"{why}\n  sent:     {frames.summary(self.sent)}\n  received: {frames.summary(received)}")
        self.checked = (received, wanted)

    def _receive(self, name):
        received = self._endpoint(name).receive(PATIENCE)
        if received is None:
            self._no_frame_left()
            raise Failed(f"nothing arrived at {name}; dropped so far: {self._new_drops() or 'nothing'}")
        return received

    def _admitted(self):
        """How many frames the eSwitch has judged so far: its first tables count them before any meter."""
        return sum(int(rule["packets"]) for rule in self.agent.rules()
                   if rule["purpose"] in JUDGED)

    def _receive_all(self, name, wanted):
        """(how many came, when the last one did) of a burst that has been judged. One that comes later than
        this waits for still fails the scenario, at its end."""
        count, last = 0, self.burst_start
        while received := self._endpoint(name).receive(0.3):
            count, last = count + 1, time.monotonic()
            self._check(received, wanted)
        return count, last

    def _wait_for_value(self, read, wanted, what):
        try:
            wait_until(lambda: read() == wanted, PATIENCE, what)
        except TrialError:
            raise Failed(f"{what} is {read()}, not {wanted}") from None

    def _wait_for_drops(self, purpose, wanted):
        try:
            wait_until(lambda: self._drops_now()[purpose] >= wanted, PATIENCE, f"a drop by {purpose}")
        except TrialError:
            return f"not dropped by {purpose}; drops: {self._new_drops() or 'none at all'}"
        return None

    def _no_frame_left(self):
        for name, endpoint in self._endpoints():
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

    def _endpoints(self):
        return [("uplink", self.wire), *self.ports.items()]

    def _endpoint(self, name):
        if name != "uplink" and name not in self.ports:
            raise Failed(f"'{name}' is not a port")
        return self.wire if name == "uplink" else self.ports[name]

    def _resolver(self, name):
        vpc = self.network.places.get(name, {}).get("vpc")
        return lambda kind, other: self.network.resolve(kind, other, vpc)
