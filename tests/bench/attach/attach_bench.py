#!/usr/bin/python3
"""How long an attach takes, and whether that depends on what is there already.

    bench_attach [--json] [--quick] [--scale]

A real berthd, with its state on a disk and the software eSwitch in it, driven over gRPC and mutual TLS by
attach_load. The VMs are attached to unbacked functions (docs/bench.md): everything of the network part is
done, and no guest is there. The network part of an attach is what the agent says of it: from the arrival of the
intent to where its rules have been read back, the journal's write included.
"""
import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_world import (Load, Programs, TrialError, filesystem_of, fsync_milliseconds, go_first,  # noqa: E402
                         memory_mib, milliseconds, progress, push)

from trial.world import World, what_is_missing  # noqa: E402

MAPPINGS = (0, 1000, 100000)
PRESENT = (0, 1000, 9000)  # attachments that are there before
AT_ONCE = (256, 1000)
ONE_BY_ONE = 200
FUNCTIONS = 10240
WARM_UP = 50


class Bench:
    def __init__(self, options, programs, folder):
        self.options = options
        self.programs = programs
        self.folder = folder
        self.cells = []
        self.alone = []  # network micros of every attach that was alone

    def measure(self, load, mappings, present, in_flight):
        count = max(in_flight, ONE_BY_ONE if in_flight == 1 else 0)
        done = load.ask("attach", count, in_flight)
        load.ask("detach", count, 256)
        micros = done["network_micros"]
        steps = {name: round(statistics.median(values) / 1000, 3) for name, values in done["step_micros"].items()}
        cell = {"mappings": mappings, "attachments": present, "in_flight": in_flight, "count": count,
                "seconds": round(done["seconds"], 4), "attaches_per_s": round(count / done["seconds"], 1),
                **milliseconds(micros), "step_p50_ms": steps}
        self.cells.append(cell)
        if in_flight == 1:
            self.alone += micros
        progress(json.dumps({key: value for key, value in cell.items() if key != "step_p50_ms" or in_flight == 1}))

    def play(self, mappings):
        state = self.folder / f"state-{mappings}"
        with World(f"attach{os.getpid()}") as world:
            agent = self.programs.agent(world, state, FUNCTIONS, remote=self.options.remote)
            go_first(agent.child.pid)
            agent.wait_ready()
            load = Load(world, self.programs.attach_load, agent)
            push(load, mappings)
            load.ask("attach", WARM_UP, 1)
            load.ask("detach", WARM_UP, 1)
            there = 0
            for present in PRESENT:
                if self.options.quick and present > 1000:
                    continue
                if present > there:
                    load.ask("attach", present - there, 256)
                    there = present
                for in_flight in (1, *AT_ONCE):
                    self.measure(load, mappings, present, in_flight)
            progress(f"berthd's memory: {memory_mib(agent.child.pid)} MiB")

    def result(self):
        alone = [cell for cell in self.cells if cell["in_flight"] == 1]
        medians = [cell["p50_ms"] for cell in alone]
        thousand = [cell["seconds"] for cell in self.cells if cell["in_flight"] == 1000]
        return {**{key: value for key, value in milliseconds(self.alone).items() if key != "max_ms"},
                "seconds_1000": max(thousand), "flat_ratio": round(max(medians) / min(medians), 3),
                "agent": "berthd in a process of its own, gRPC over mutual TLS",
                "eswitch": "berth-eswitchd" if self.options.remote else "embedded",
                "functions": "unbacked", "state_filesystem": filesystem_of(self.folder),
                "fsync": fsync_milliseconds(self.folder), "cpus": os.cpu_count(), "load_average": os.getloadavg()[0],
                "cells": self.cells}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="at most 1,000 attachments present")
    parser.add_argument("--remote", action="store_true", help="with the eSwitch in berth-eswitchd")
    parser.add_argument("--mappings", type=int, action="append", help="only with so many (again for more)")
    parser.add_argument("--state", type=Path, default=Path("/var/tmp"), help="a folder on the disk to be measured")
    options = parser.parse_args()
    if missing := what_is_missing():
        print("SKIPPED: this needs " + "; ".join(missing), file=sys.stderr)
        return 77
    go_first(os.getpid())
    folder = Path(tempfile.mkdtemp(prefix="berth-bench-", dir=options.state))
    try:
        bench = Bench(options, Programs(Path(sys.argv[0]).absolute().parent), folder)
        for mappings in options.mappings or MAPPINGS:
            bench.play(mappings)
        result = bench.result()
    except TrialError as error:
        print(f"bench attach: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:18} {value}" if key != "cells" else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
