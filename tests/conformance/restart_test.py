#!/usr/bin/python3
"""berthd dies under traffic, and no packet is lost; the rule holder dies, and everything comes back.

    restart_test.py --berthd PATH --berthctl PATH --eswitchd PATH

berth-eswitchd holds the rules, berthd programs them. Frames cross between two VMs and to and from another
host, one after the other: the next one is sent when the last one has arrived, so a frame that does not
arrive is a frame that was lost. Meanwhile berthd is killed and started, several times.
"""
import argparse
import os
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]

from trial.agent import Agent  # noqa: E402
from trial.process import TrialError, wait_until  # noqa: E402
from trial.world import HOST_VTEP, PEER_VTEP, UPLINK, World, mac_of, what_is_missing  # noqa: E402

try:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.layers.vxlan import VXLAN
except ImportError:
    print("SKIPPED: this needs python3-scapy (tools/deps install test)")
    sys.exit(77)

from vhost_port import VhostPort  # noqa: E402
from wire import Wire  # noqa: E402

VNI = 7001
WEB, DB, FAR = (("10.1.0.5", "02:00:00:00:01:05"), ("10.1.0.6", "02:00:00:00:01:06"),
                ("10.1.0.200", "02:00:00:00:01:c8"))
VPCS = f"""\
[[vpc]]
id = "blue"
vni = {VNI}
[[vpc.subnet]]
prefix = "10.1.0.0/24"
gateway = "10.1.0.1"
[[vpc.mapping]]
ip = "{FAR[0]}"
mac = "{FAR[1]}"
vtep = "{PEER_VTEP}"
[[vpc.policy]]
direction = "ingress"
priority = 10
action = "deny"
protocol = "tcp"
"""
RESTARTS = 5
FRAMES_WITHOUT_BERTHD = 60
PATIENCE = 15


def frame(source, target, payload):
    return bytes(Ether(src=source[1], dst=target[1]) / IP(src=source[0], dst=target[0]) /
                 UDP(sport=40000, dport=5000) / payload)


class Traffic(threading.Thread):
    """web to db, web to the wire, wire to web: each frame has a number, and is waited for."""

    def __init__(self, web, db, wire, host_mac):
        super().__init__(daemon=True)
        self.web, self.db, self.wire = web, db, wire
        self.outer = (Ether(src=wire.mac, dst=host_mac) / IP(src=PEER_VTEP, dst=HOST_VTEP) /
                      UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=VNI, flags=8))
        self.rounds = 0
        self.lost = []
        self.longest = 0.0
        self.is_over = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.is_over.is_set():
                self.cross("web to db", self.web.send, frame(WEB, DB, self.mark(0)), self.db)
                self.cross("web to the wire", self.web.send, frame(WEB, FAR, self.mark(1)), self.wire)
                inner = frame(FAR, WEB, self.mark(2))
                self.cross("wire to web", self.wire.send, bytes(self.outer / inner), self.web)
                self.rounds += 1
                time.sleep(0.001)
        except (OSError, ValueError) as error:  # ValueError: an end was closed below us
            self.error = error

    def mark(self, flow):
        return f"flow {flow} frame {self.rounds:08}".encode()

    def cross(self, name, send, sent, receiver):
        begun = time.monotonic()
        send(sent)
        payload = sent[-len(self.mark(0)):]
        while received := receiver.receive(3):
            if payload in received:
                self.longest = max(self.longest, time.monotonic() - begun)
                return
        self.lost.append(f"{name}: frame {self.rounds}")

    def more(self, rounds):
        """Waits until so many more rounds are over."""
        wanted = self.rounds + rounds
        wait_until(lambda: self.rounds >= wanted or self.error, PATIENCE, f"{rounds} rounds of traffic")
        self.check()

    def check(self):
        if self.error or self.lost:
            raise TrialError(f"lost {len(self.lost)} frames: {self.lost[:5]} {self.error or ''}")

    def stop(self):
        self.is_over.set()
        self.join(PATIENCE)
        self.check()


def in_step(child, start=0):
    """What berthd says of the rules when it has compared them."""
    found = child.wait_for(r"eswitch in step.* rules=(\d+) read=(\d+) added=(\d+) removed=(\d+) ms=(\d+)", PATIENCE,
                           start)
    return dict(zip(("rules", "read", "added", "removed", "ms"), map(int, found.groups())))


def expect(what, value, wanted):
    if value != wanted:
        raise TrialError(f"{what}: {value}, not {wanted}")


def attach(agent, vm, place):
    done = agent.attach(vm, "blue", *place)
    expect(f"attach {vm}", done["state"], "DONE")
    return done


def start_again(agent):
    agent.start()
    agent.wait_ready()
    return in_step(agent.child)


def berthd_dies(agent, traffic, attachments):
    for number in range(RESTARTS):
        agent.child.process.kill()
        agent.child.process.wait()
        traffic.more(FRAMES_WITHOUT_BERTHD)
        step = start_again(agent)
        traffic.more(FRAMES_WITHOUT_BERTHD)
        print(f"restart {number + 1}: {step}, {traffic.rounds} rounds, none lost, slowest frame "
              f"{traffic.longest * 1000:.1f} ms", flush=True)
        expect("rules that were touched", (step["read"], step["added"], step["removed"]), (0, 0, 0))
        expect("attachments", sorted(one["attachment"] for one in agent.list()), sorted(attachments))


def counters_went_on(agent, traffic, web):
    """A rule that had been put in again would have begun at 0."""
    traffic.stop()
    expect("packets from web", agent.counters(web)["from_vm_packets"], 2 * traffic.rounds)
    expect("packets to web", agent.counters(web)["to_vm_packets"], traffic.rounds)


def holder_dies(agent):
    """Its rules and sockets are gone with it: berthd says so, and puts all of it back."""
    rules = len(agent.rules())
    agent.holder.process.kill()
    agent.holder.process.wait()
    agent.child.wait_for("rule holder away", PATIENCE)
    start = len(agent.child.output())
    agent.start_holder()
    step = in_step(agent.child, start)
    print(f"rule holder started anew: {step}", flush=True)
    expect("rules put in again", (step["rules"], step["added"]), (rules, rules))


def play(options):
    with World(f"r{os.getpid()}") as world:
        agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs", eswitchd=options.eswitchd)
        try:
            agent.wait_ready()
            wire = Wire(world, mac_of(UPLINK, world.host))
            world.at_end(wire.close)
            agent.push(VPCS)
            web, db = attach(agent, "vm-web", WEB), attach(agent, "vm-db", DB)
            wait_until(lambda: any(rule["purpose"] == "mapping" for rule in agent.rules()), PATIENCE,
                       "the mapping in the eSwitch")
            ports = [VhostPort(done["interfaces"][0]["port"]["socket"]) for done in (web, db)]
            traffic = Traffic(*ports, wire, mac_of(UPLINK, world.host))
            traffic.start()
            traffic.more(FRAMES_WITHOUT_BERTHD)
            berthd_dies(agent, traffic, [web["attachment"], db["attachment"]])
            third = attach(agent, "vm-3", ("10.1.0.7", "02:00:00:00:01:07"))
            traffic.more(FRAMES_WITHOUT_BERTHD)
            expect("detach vm-3", agent.detach(third["attachment"])["state"], "DONE")
            counters_went_on(agent, traffic, web["attachment"])

            for port in ports:
                port.close()
            holder_dies(agent)
            ports = [VhostPort(done["interfaces"][0]["port"]["socket"]) for done in (web, db)]
            traffic = Traffic(*ports, wire, mac_of(UPLINK, world.host))
            traffic.start()
            traffic.more(FRAMES_WITHOUT_BERTHD)
            traffic.stop()
            for child in (agent.child, agent.holder):
                expect(f"{child.name}'s exit code", child.stop(), 0)
        except (TrialError, OSError) as error:
            print(f"FAILED: {error}\nThe end of berthd's log:\n{agent.log_tail()}")
            return 1
    print("holds")
    return 0


def main():
    parser = argparse.ArgumentParser()
    for program in ("berthd", "berthctl", "eswitchd"):
        parser.add_argument(f"--{program}", type=Path, required=True)
    options = parser.parse_args()
    if missing := what_is_missing():
        print("SKIPPED: this needs " + "; ".join(missing))
        return 77
    return play(options)


if __name__ == "__main__":
    sys.exit(main())
