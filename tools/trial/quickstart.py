#!/usr/bin/python3
"""The demonstration of tools/quickstart: attach two VMs of two tenants, and see what holds.

Every line marked `ok` was measured on packets or read back from the agent; the last line of the output is
one JSON object, and the exit code is 0 only if every claim held.
"""
import argparse
import json
import signal
import statistics
import sys
import time
import traceback
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))

from trial import leftovers  # noqa: E402
from trial.agent import Agent  # noqa: E402
from trial.capture import Capture, decode  # noqa: E402
from trial.guest import WRONG_SOURCE, Guest  # noqa: E402
from trial.peer import PeerVm  # noqa: E402
from trial.process import TrialError, wait_until  # noqa: E402
from trial.tenants import BLUE, GREEN, PEER_ADDRESS, VM_ADDRESS, vpcs_toml  # noqa: E402
from trial.terminal import Screen  # noqa: E402
from trial.world import HOST_VTEP, PEER_VTEP, World, what_is_missing  # noqa: E402

PINGS = 10
SPOOFED = 32

PICTURE = f"""
    vm-blue  {VM_ADDRESS} --+                                              +-- {PEER_ADDRESS}  another VM of blue
                         +-- berthd {HOST_VTEP} == VXLAN == {PEER_VTEP} Linux --+
    vm-green {VM_ADDRESS} --+                                              +-- {PEER_ADDRESS}  another VM of green
"""


class Demonstration:
    def __init__(self, world, screen, options):
        self.world = world
        self.screen = screen
        self.options = options
        self.result = {"attached": 0, "pings_sent": 0, "pings_received": 0, "attach_p50_ms": None,
                       "isolated": False, "spoof_dropped": False, "detached": 0}

    def run(self):
        self.start_world()
        self.push_vpcs()
        self.attach_vms()
        self.ping_through_tunnel()
        self.show_wire()
        self.try_to_cross_tenants()
        self.spoof()
        if not self.options.keep:
            self.detach_vms()

    def start_world(self):
        self.screen.section("One host with berthd, and another host")
        options = self.options
        self.agent = Agent(self.world, options.berthd, options.berthctl, TOOLS / "certs")
        self.peers = {tenant: PeerVm(self.world, tenant.vpc, tenant.vni, PEER_ADDRESS, tenant.peer_mac)
                      for tenant in (BLUE, GREEN)}
        for tenant, peer in self.peers.items():
            peer.knows(VM_ADDRESS, tenant.vm_mac)
        self.screen.claim(True, "two hosts, each a network namespace; the other one's tunnel end is Linux's own VXLAN")
        self.screen.claim(True, "throw-away CA; certificates for agent, vmaas, controller, operator")
        self.agent.wait_ready()
        self.screen.claim(True, f"berthd serves gRPC over mutual TLS on {self.agent.endpoint}")

    def push_vpcs(self):
        self.screen.section("A controller pushes two VPCs with the same subnet 10.1.0.0/24")
        printed = self.agent.push(vpcs_toml((BLUE, GREEN), PEER_VTEP))
        self.screen.text(printed.strip(), dim=True)
        self.screen.claim(True, f"berthd acknowledged blue (VNI {BLUE.vni}) and green (VNI {GREEN.vni})")
        self.rules_before = rule_texts(self.agent)

    def attach_vms(self):
        self.screen.section("The VMaaS attaches one VM of each")
        watch = self.agent.watch()
        self.done = {t: self.agent.attach(t.vm, t.vpc, VM_ADDRESS, t.vm_mac) for t in (BLUE, GREEN)}
        self.screen.table(step_table([(t.vm, done) for t, done in self.done.items()]))
        self.result["attached"] = sum(done["state"] == "DONE" for done in self.done.values())
        self.result["attach_p50_ms"] = round(
            statistics.median(done["total_micros"] for done in self.done.values()) / 1000, 3)
        self.screen.claim(self.result["attached"] == 2, "both attached, every step done or named as not applicable")
        self.screen.text("what the VMaaS was told (berthctl watch, another client):", dim=True)
        for tenant, done in self.done.items():
            line = watch.wait_for(rf"^.*{done['operation']}.*$", timeout=5).group(0)
            event = json.loads(line)
            self.screen.text(json.dumps({**event, "steps": f"... {len(event.get('steps', []))} steps ..."}))
            self.screen.claim(event.get("state") == "DONE", f"the completion for {tenant.vm} was delivered")
        self.guests = {t: Guest(self.world, t.vm, done["interfaces"][0]["port"]["socket"], t.vm_mac, netns=self.world.host)
                       for t, done in self.done.items()}
        for guest in self.guests.values():
            guest.wait_ready()
        self.screen.claim(True, "the guests run: dpdk-testpmd with virtio on each vhost-user port")

    def ping_through_tunnel(self):
        self.screen.section("Blue's VM on the other host pings vm-blue through the tunnel")
        self.capture = Capture(self.world.peer, "eth0")
        self.world.at_end(self.capture.stop)
        sent, received = self.peers[BLUE].ping(VM_ADDRESS, PINGS)
        self.result["pings_sent"], self.result["pings_received"] = sent, received
        self.screen.claim(sent == received == PINGS, f"{received} of {sent} pings answered")

    def show_wire(self):
        self.screen.section("The same on the wire, as tshark decodes it")
        packets = self.tshark("icmp", PINGS * 2)
        for packet in packets[:2]:
            self.screen.text(layers(packet))
        tunnels = {(p["frame.protocols"].split(":").count("vxlan"), p["vxlan.vni"]) for p in packets}
        ends = {tuple(p["ip.src"].split(",")) for p in packets}
        self.screen.claim(len(packets) == PINGS * 2 and tunnels == {(1, str(BLUE.vni))} and len(ends) == 2,
                          f"{len(packets)} packets, each with exactly one VXLAN header, VNI {BLUE.vni}")

    def try_to_cross_tenants(self):
        self.screen.section("Blue tries to reach green")
        blue, green = self.peers[BLUE], self.peers[GREEN]
        blue.knows(VM_ADDRESS, GREEN.vm_mac)
        _, answered = blue.ping(VM_ADDRESS, 5, wait_seconds=0.3)
        blue.knows(VM_ADDRESS, BLUE.vm_mac)
        green_received, _ = self.guests[GREEN].packets()
        closed = self.screen.claim(answered == 0 and green_received == 0,
                                   f"blue's packets for vm-green: {answered} answers, vm-green received "
                                   f"{green_received} packets")
        blue_before, _ = self.guests[BLUE].packets()
        _, answered = green.ping(VM_ADDRESS, 5)
        blue_after, _ = self.guests[BLUE].packets()
        open_to_own = self.screen.claim(answered == 5 and blue_before == blue_after,
                                        f"green's own packets for the same address: {answered} of 5 answered, "
                                        "none seen by vm-blue")
        self.result["isolated"] = closed and open_to_own

    def spoof(self):
        self.screen.section(f"vm-blue sends {SPOOFED} packets from {WRONG_SOURCE}, which is not its address")
        attachment = self.done[BLUE]["attachment"]
        before = self.agent.counters(attachment)["spoof_dropped_packets"]
        self.guests[BLUE].send(SPOOFED)

        def dropped():
            return self.agent.counters(attachment)["spoof_dropped_packets"] - before
        try:
            wait_until(lambda: dropped() >= SPOOFED, 3, "the spoof counter")
        except TrialError:
            pass
        count = dropped()
        leaked = len(self.tshark(f"ip.addr == {WRONG_SOURCE}"))
        self.result["spoof_dropped"] = self.screen.claim(
            count == SPOOFED and leaked == 0,
            f"the eSwitch counted {count} dropped for their source; {leaked} reached the wire")
        received = self.peers[BLUE].ping(VM_ADDRESS, 3)[1]
        self.screen.claim(received == 3, f"the honest packets of vm-blue still pass: {received} of 3 answered")

    def detach_vms(self):
        self.screen.section("The VMaaS detaches both")
        for guest in self.guests.values():
            guest.child.stop()
        detached = [(t.vm, self.agent.detach(done["attachment"])) for t, done in self.done.items()]
        self.screen.table(step_table(detached))
        self.result["detached"] = sum(done["state"] == "DONE" for _, done in detached)
        self.screen.claim(self.result["detached"] == 2, "both detached")
        attachments, rules = self.agent.list(), rule_texts(self.agent)
        self.screen.claim(attachments == [] and rules == self.rules_before,
                          f"nothing is left: {len(attachments)} attachments, and the {len(rules)} rules from before")
        code = self.agent.child.stop()
        self.screen.claim(code == 0, f"berthd stopped when asked, exit code {code}")

    def tshark(self, display_filter, at_least=0):
        """The packets captured so far; waits until there are `at_least`."""
        def look():
            pcap = self.capture.save(self.world.folder / "wire.pcap")
            fields = ["frame.protocols", "eth.src", "eth.dst", "ip.src", "ip.dst", "udp.srcport", "udp.dstport",
                      "vxlan.vni", "icmp.type"]
            return decode(pcap, fields, display_filter)
        packets = look()
        return packets if len(packets) >= at_least else look()


def step_table(columns):
    """One row a step, one column an operation: the time each took, or why it did not apply."""
    names = list(dict.fromkeys(step["name"] for _, done in columns for step in done["steps"]))
    rows = [["step", *(title for title, _ in columns), ""]]
    for name in names:
        steps = [next((s for s in done["steps"] if s["name"] == name), None) for _, done in columns]
        remarks = {s["detail"].removeprefix("not applicable: ") for s in steps if s and s.get("detail")}
        rows.append([name, *(cell_of(step) for step in steps), "; ".join(sorted(remarks)) if len(remarks) == 1 else ""])
    rows.append(["total", *(f"{done['total_micros'] / 1000:9.3f} ms" for _, done in columns), ""])
    return rows


def cell_of(step):
    if not step:
        return ""
    if step["status"] == "done":
        return f"{step['micros'] / 1000:9.3f} ms"
    return step["status"]


def layers(packet):
    """One packet, from the outside in."""
    def ends(field, index):
        return packet[f"{field}"].split(",")[index]
    kind = {"8": "echo request", "0": "echo reply"}.get(packet["icmp.type"], f"ICMP type {packet['icmp.type']}")
    return (f"outer {ends('ip.src', 0)} > {ends('ip.dst', 0)}, UDP {packet['udp.srcport']} > {packet['udp.dstport']}"
            f"  |  VXLAN, VNI {packet['vxlan.vni']}\n"
            f"   inner {ends('eth.src', 1)} > {ends('eth.dst', 1)}, {ends('ip.src', 1)} > {ends('ip.dst', 1)}, {kind}")


def rule_texts(agent):
    return sorted(rule["testpmd"] for rule in agent.rules())


def print_what_next(world, demonstration, screen):
    agent, done = demonstration.agent, demonstration.done
    environment = world.folder / "env"
    exports = [f"export {key}={value}" for key, value in agent.environment("vmaas").items()]
    environment.write_text("\n".join(exports) + "\n" + f"""\
berthctl() {{ ip netns exec {world.host} {agent.berthctl.resolve()} "$@"; }}
""")
    certs = world.folder / "certs"
    screen.plain(f"""
Left running. As root, try:

  . {environment}      # a shell function berthctl, as the VMaaS, on the host of the trial
  berthctl list
  berthctl get {done[BLUE]['attachment']}
  berthctl attach --vm vm-3 --vpc blue --ip 10.1.0.8 --mac 02:00:00:00:01:08
  berthctl --certificate {certs}/operator.crt --private-key {certs}/operator.key show rules
  ip netns exec {demonstration.peers[BLUE].netns} ping {VM_ADDRESS}
  ip netns exec {world.peer} tshark -n -i eth0
  less {world.folder}/berthd.log

End it all with: tools/quickstart --down
""")


def take_down(name, screen):
    lock = leftovers.take_lock(name)
    if not lock:
        screen.plain("A quickstart is running; Ctrl-C ends it and removes what it made.")
        return 1
    leftovers.remove(name)
    leftovers.release_lock(name, lock)
    screen.plain("Everything that tools/quickstart left is gone.")
    return 0


def stop_on_signal(number, _frame):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the clean-up is not to be interrupted
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="tools/quickstart")
    parser.add_argument("--berthd", type=Path, help="the daemon to run")
    parser.add_argument("--berthctl", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave it running and say what to try next")
    parser.add_argument("--down", action="store_true", help="end what --keep left running")
    parser.add_argument("--name", default="quickstart", help="trials of different names run side by side")
    return parser.parse_args(arguments)


def demonstrate(name, screen, options):
    """Plays it all; what did not hold is in `screen.failures`. Returns the result object."""
    with World(name, outlives=options.keep) as world:
        demonstration = Demonstration(world, screen, options)
        try:
            demonstration.run()
        except TrialError as error:
            screen.error(str(error))
        except Exception:  # an answer nobody thought of is a failure to show, not a reason to leave without a result
            screen.error(f"this program was not prepared for what happened:\n{traceback.format_exc()}")
        if screen.failures and hasattr(demonstration, "agent"):
            screen.plain("\nThe end of berthd's log:\n" + demonstration.agent.log_tail())
        if options.keep and not screen.failures:
            world.keep()
            print_what_next(world, demonstration, screen)
    return demonstration.result


def main(arguments):
    options = options_of(arguments)
    name = options.name
    screen = Screen()
    missing = what_is_missing()
    if missing:
        screen.plain("SKIPPED: the demonstration needs " + ", ".join(missing))
        return 77
    if options.down:
        return take_down(name, screen)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_on_signal)
    started = time.monotonic()
    result = {}
    screen.plain(PICTURE.rstrip("\n"))
    try:
        result = demonstrate(name, screen, options)
    except TrialError as error:
        screen.error(str(error))
    except KeyboardInterrupt:
        screen.plain("\nInterrupted; everything it made is removed.")
        return 130
    left = [] if options.keep else leftovers.namespaces_of(name) + leftovers.processes_of(name)
    if left:
        screen.error(f"not cleaned up: {left}")
    held = "Every claim held" if not screen.failures else f"NOT every claim held: {screen.failures[0]}"
    screen.plain(f"\n{held}; {time.monotonic() - started:.1f} s.")
    screen.plain(json.dumps(result))
    return 1 if screen.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
