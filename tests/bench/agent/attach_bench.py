#!/usr/bin/python3
"""How long an attach takes, and whether that depends on what is there already.

    bench_attach [--json] [--vs ovn] [--most ATTACHMENTS] [--mappings N]... [--remote] [--state FOLDER]

A real berthd, with its state on a disk and the software eSwitch in it, driven over gRPC and mutual TLS by
attach_load. The VMs are attached to unbacked functions (docs/bench.md): everything of the network part is
done, and no guest is there. The network part of an attach is what the agent says of it: from the arrival of the
intent to where its rules have been read back, the journal's write included.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_world import (Load, TrialError, filesystem_of, fsync_milliseconds, go_first, measure,  # noqa: E402
                         memory_mib, milliseconds, parser_of, progress, push)

from trial.world import World  # noqa: E402

MAPPINGS = (0, 1000, 100000)
PRESENT = (0, 1000, 9000)  # attachments that are there before
AT_ONCE = (256, 1000)
ROUNDS = 3
ALONE = 100  # attaches of a visit to a cell that have the agent to themselves
FILL = 256  # in flight, where nothing is measured
FUNCTIONS = 10240
WARM_UP = 50
OVN_PROGRAMS = ("ovn-nbctl", "ovn-northd", "ovn-controller", "ovs-vswitchd", "ovsdb-server")
OVN_ALONE = 50
OVN_PATIENCE = 600
OVN_COMMANDS = 3  # to add a port, to bind it, to wait for it


class Host:
    """A berthd with so many mappings, and what was measured on it."""

    def __init__(self, bench, ends, mappings):
        self.mappings = mappings
        self.present = 0
        world = ends.enter_context(World(f"attach{os.getpid()}m{mappings}"))
        self.agent = bench.programs.agent(world, bench.folder / f"state-{mappings}", FUNCTIONS,
                                          remote=bench.options.remote)
        go_first(self.agent.child.pid)
        self.agent.wait_ready()
        self.load = Load(world, bench.programs.attach_load, self.agent)
        push(self.load, mappings)
        self.load.ask("attach", 1, 1)  # has the one function with a socket, for good
        self.attach_and_detach(WARM_UP, 1)

    def attach_and_detach(self, count, in_flight):
        done = self.load.ask("attach", count, in_flight)
        self.load.ask("detach", count, FILL)
        return done

    def bring_to(self, present):
        difference = present - self.present
        if difference:
            self.load.ask("attach" if difference > 0 else "detach", abs(difference), FILL)
        self.present = present


class Cell:
    """Attaches beside so many mappings and attachments."""

    def __init__(self):
        self.alone = []  # micros of attaches that had the agent to themselves
        self.steps = {}  # the same, of each step
        self.at_once = {}  # in flight -> list of (seconds, micros)
        self.relative = []  # of each visit: the median here, over that of all hosts in the same minute

    def add(self, done):
        self.alone += done["network_micros"]
        for name, micros in done["step_micros"].items():
            self.steps.setdefault(name, []).extend(micros)

    def without_journal(self):
        """What the steps took; the journal is written between them."""
        return [sum(micros[at] for micros in self.steps.values()) for at in range(len(self.alone))]

    def figures(self):
        found = {**milliseconds(self.alone),
                 "without_journal_p50_ms": round(statistics.median(self.without_journal()) / 1000, 3),
                 "step_p50_ms": {name: round(statistics.median(micros) / 1000, 3)
                                 for name, micros in self.steps.items()}}
        for count, runs in self.at_once.items():
            micros = [one for _, all_micros in runs for one in all_micros]
            seconds = [run[0] for run in runs]
            found[f"at_once_{count}"] = {"seconds": [round(one, 3) for one in seconds],
                                         "attaches_per_s": round(count / statistics.median(seconds)),
                                         **milliseconds(micros)}
        return found


class Bench:
    def __init__(self, options, programs, folder):
        self.options = options
        self.programs = programs
        self.folder = folder
        self.cells = {}
        self.memory = {}

    def play(self):
        """All hosts in turn, and each with another number of attachments: whatever else the machine does meets every
        cell alike."""
        with ExitStack() as ends:
            hosts = [Host(self, ends, mappings) for mappings in self.options.mappings or MAPPINGS]
            levels = [level for level in PRESENT if level <= self.options.most]
            for visit in range(ROUNDS * len(levels)):
                for number, host in enumerate(hosts):
                    host.bring_to(levels[(visit + number) % len(levels)])
                self.visit(hosts)
            for host in hosts:
                host.bring_to(levels[-1])
                self.memory[host.mappings] = memory_mib(host.agent.child.pid)

    def visit(self, hosts):
        for _ in range(ALONE):
            for host in hosts:
                self.cell(host).add(host.attach_and_detach(1, 1))
        latest = [self.cell(host).alone[-ALONE:] for host in hosts]
        median_of_all = statistics.median(micros for micros_of_one in latest for micros in micros_of_one)
        for host, micros in zip(hosts, latest):
            self.cell(host).relative.append(statistics.median(micros) / median_of_all)
        for count in AT_ONCE:
            for host in hosts:
                done = host.attach_and_detach(count, count)
                runs = self.cell(host).at_once.setdefault(count, [])
                runs.append((done["seconds"], done["network_micros"]))
        for host in hosts:
            progress(f"{host.mappings} mappings, {host.present} attachments: {json.dumps(self.cell(host).figures())}")

    def ask_ovn(self):
        """The same job, on the same machine, when ours is over."""
        if missing := [name for name in OVN_PROGRAMS if not shutil.which(name)]:
            progress(f"SKIPPED: --vs ovn: no {', '.join(missing)} (tools/deps install bench)")
            return {"ovn": f"SKIPPED: no {', '.join(missing)}"}
        jobs = [f"alone:{OVN_ALONE}", "at_once:1000", f"alone:{OVN_ALONE}"]
        script = Path(__file__).resolve().parent / "ovn_attach.sh"
        try:
            version = subprocess.run(["ovn-controller", "--version"], capture_output=True, text=True, check=True)
            output = subprocess.run([script, *jobs], stdout=subprocess.PIPE, text=True, check=True,
                                    timeout=OVN_PATIENCE).stdout
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise TrialError(f"OVN: {error}") from error
        client, beside_none, at_once, beside_1000 = map(json.loads, output.splitlines())
        start = OVN_COMMANDS * client["micros"]  # of the programs that tell OVN: not OVN's own
        alone = [[micros - start for micros in run["samples"]] for run in (beside_none, beside_1000)]
        return {"ovn_p50_ms_0": milliseconds(alone[0])["p50_ms"], "ovn_p50_ms_1000": milliseconds(alone[1])["p50_ms"],
                "ovn_seconds_1000": round((at_once["micros"] - start) / 1e6, 3),
                "ovn_clients_ms": round(start / 1000, 1), "ovn_version": version.stdout.splitlines()[0]}

    def cell(self, host):
        return self.cells.setdefault((host.mappings, host.present), Cell())

    def result(self):
        cells = self.cells.values()
        alone = milliseconds([micros for cell in cells for micros in cell.alone])
        steps = milliseconds([micros for cell in cells for micros in cell.without_journal()])

        def spread(values):
            values = list(values)
            return round(max(values) / min(values), 3)

        thousand = [seconds for cell in cells for seconds, _ in cell.at_once[1000]]
        found = {"p50_ms": alone["p50_ms"], "p99_ms": alone["p99_ms"],
                "seconds_1000": round(statistics.median(thousand), 4),
                "flat_ratio": spread(statistics.mean(cell.relative) for cell in cells),
                "flat_ratio_of_plain_medians": spread(statistics.median(cell.alone) for cell in cells),
                "worst_seconds_1000": round(max(thousand), 4),
                "without_journal": steps,
                "fsync_alone": fsync_milliseconds(self.folder),
                "agent": "berthd in a process of its own, gRPC over mutual TLS",
                "eswitch": "berth-eswitchd" if self.options.remote else "embedded", "functions": "unbacked",
                "state_filesystem": filesystem_of(self.folder), "cpus": os.cpu_count(),
                "load_average": round(os.getloadavg()[0], 1), "berthd_mib": self.memory,
                "cells": [{"mappings": mappings, "attachments": present, **cell.figures()}
                          for (mappings, present), cell in self.cells.items()]}
        return {**found, **self.ask_ovn()} if self.options.vs else found


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--most", type=int, default=PRESENT[-1], help="attachments present at most (%(default)s)")
    parser.add_argument("--vs", choices=["ovn"], help="and the same job with OVN")
    parser.add_argument("--remote", action="store_true", help="with the eSwitch in berth-eswitchd")
    parser.add_argument("--mappings", type=int, action="append", help="only with so many (again for more)")
    return measure("attach", Bench, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
