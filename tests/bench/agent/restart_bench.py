#!/usr/bin/python3
"""Whether VMs' packets are lost while berthd is away, and how soon it is in step again.

    bench_restart [--json] [--mappings N] [--attachments N] [--history N] [--state FOLDER]

berth-eswitchd holds the rules and the ports; frames cross at a steady rate between two VMs and to and from another
host. Meanwhile berthd is stopped, killed, replaced by another build of itself, and started while no controller is
there. A frame that does not arrive is lost, whatever the reason. Afterwards berth-eswitchd is started anew, without
traffic: its rules are gone, and all of them have to be made again.
"""
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_world import VPCS, Load, TrialError, go_first, measure, memory_mib, parser_of, progress, push  # noqa: E402
from traffic import RATE, Traffic  # noqa: E402

from trial.world import PEER_VTEP, UPLINK, World, mac_of  # noqa: E402

MAPPINGS = 100000
VMS = 5  # they take turns with the four VPCs: the first and the fifth are neighbours
FUNCTIONS = VMS + 1
LATE = ("bench-0", "10.0.255.9", "02:21:00:00:00:00")  # VPC, address and MAC of a VM that comes while nobody pushes
FILL = 256  # in flight
HISTORY_BLOCK = 200  # attachments that come and go
FIRST_VNI = 100000  # as load.cc has them
FAR = ("10.16.0.16", "02:10:00:00:00:00")
AWAY = 1.0  # seconds that berthd is gone
SETTLE = 1.0
START_PATIENCE = 60


class Bench:
    def __init__(self, options, programs, folder):
        self.options = options
        self.programs = programs
        self.folder = folder
        self.cases = {}

    def play(self):
        with World(f"restart{os.getpid()}") as world:
            more = max(0, self.options.attachments - VMS)
            self.agent = self.programs.agent(world, self.folder / "state", more + HISTORY_BLOCK, functions=FUNCTIONS,
                                             remote=True)
            for child in (self.agent.holder, self.agent.child):
                go_first(child.pid)
            self.agent.wait_ready()
            self.world = world
            load = Load(world, self.programs.attach_load, self.agent)
            push(load, self.options.mappings)
            load.ask("attach", VMS, 1)
            if more:
                load.ask("attach", more, FILL)
            for _ in range(self.options.history // (2 * HISTORY_BLOCK)):
                load.ask("attach", HISTORY_BLOCK, FILL)
                load.ask("detach", HISTORY_BLOCK, FILL)
            load.close()
            ports = {one["vm"]: (port["port"]["socket"], port["ips"][0], port["mac"]) for one in self.agent.list()
                     for port in one["interfaces"] if port["port"]["socket"]}
            self.traffic = Traffic(world, mac_of(UPLINK, world.host), FIRST_VNI, ports["vm-0"], ports["vm-4"], FAR)
            world.at_end(self.traffic.close)
            self.case("undisturbed", lambda: time.sleep(AWAY))
            self.case("stopped", lambda: self.restart(lambda child: child.stop()))
            self.case("killed", lambda: self.restart(kill))
            self.case("upgraded", lambda: self.restart(lambda child: child.stop(), berthd=self.programs.berthd_next))
            self.case("controller_absent", lambda: self.restart(kill, controller=False))
            self.sent = sum(self.traffic.sent())
            self.sender_late = self.traffic.latest
            self.memory = {"berthd": memory_mib(self.agent.child.pid), "eswitchd": memory_mib(self.agent.holder.pid)}
            self.holder_anew()

    def case(self, name, happen):
        """The frames from a moment before to a moment after what happens are its own."""
        first = self.traffic.sent()
        time.sleep(SETTLE)
        found = happen() or {}
        time.sleep(SETTLE)
        last = self.traffic.sent()
        if self.traffic.error:
            raise TrialError(f"{name}: {self.traffic.error}")
        lost = self.traffic.lost_between(first, last)
        self.cases[name] = {"sent": sum(last) - sum(first), "lost": lost, **found}
        progress(f"{name}: {self.cases[name]}")

    def restart(self, end, berthd=None, controller=True):
        before = version_of(self.agent.berthd)
        end(self.agent.child)
        time.sleep(AWAY)
        self.agent.berthd = berthd or self.agent.berthd
        found = self.start()
        if berthd:
            found["version"] = f"{before} -> {version_of(berthd)}"
        if controller:
            load = Load(self.world, self.programs.attach_load, self.agent)
            load.ask("push", VPCS, self.options.mappings, PEER_VTEP)  # it says all of it again
            load.close()
        late = self.agent.attach("vm-late", *LATE)  # with or without it: the VPC is known
        self.agent.detach(late["attachment"])
        return found

    def start(self):
        """Seconds from the start of the process, and what berthd itself says of its rules."""
        begun = time.monotonic()
        self.agent.start()
        go_first(self.agent.child.pid)
        step = self.in_step()
        in_step = time.monotonic() - begun
        self.agent.wait_ready()
        return {"in_step_s": round(in_step, 3), "serving_s": round(time.monotonic() - begun, 3), **step}

    def in_step(self, start=0):
        pattern = r"eswitch in step.* rules=(\d+) read=(\d+) added=(\d+) removed=(\d+) ms=(\d+)"
        found = self.agent.child.wait_for(pattern, START_PATIENCE, start)
        return dict(zip(("rules", "read", "added", "removed", "compare_ms"), map(int, found.groups())))

    def holder_anew(self):
        self.traffic.close()
        kill(self.agent.holder)
        self.agent.child.wait_for("rule holder away", START_PATIENCE)
        start = len(self.agent.child.output())
        begun = time.monotonic()
        self.agent.start_holder()
        step = self.in_step(start)
        self.anew = {"in_step_s": round(time.monotonic() - begun, 3), **step}
        progress(f"rule holder anew: {self.anew}")

    def result(self):
        restarts = [case for case in self.cases.values() if "in_step_s" in case]
        return {"sent": sum(case["sent"] for case in self.cases.values()),
                "lost": sum(case["lost"] for case in self.cases.values()),
                "reconciled_s_100k": max(case["in_step_s"] for case in restarts),
                "serving_s": max(case["serving_s"] for case in restarts),
                "rules": max(case["rules"] for case in restarts), "attachments": self.options.attachments,
                "history": self.options.history,
                "frames_per_s": 3 * RATE, "sender_late_s": round(self.sender_late, 3), "cases": self.cases,
                "holder_anew": self.anew, "memory_mib": self.memory, "cpus": os.cpu_count(),
                "load_average": round(os.getloadavg()[0], 1)}


def kill(child):
    child.process.kill()
    child.process.wait()


def version_of(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--mappings", type=int, default=MAPPINGS, help="%(default)s")
    parser.add_argument("--attachments", type=int, default=VMS,
                        help="%(default)s; those beyond are of unbacked functions")
    parser.add_argument("--history", type=int, default=0, help="operations that are over by then; %(default)s")
    return measure("restart", Bench, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
