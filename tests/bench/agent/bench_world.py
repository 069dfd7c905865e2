"""What the benches attach and restart have in common: a world with a state folder on a real disk, the load
generator as a child, the machine's other work behind, and figures of a sample."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import Agent  # noqa: E402
from trial.process import MARK, TrialError  # noqa: E402
from trial.world import PEER_VTEP, what_is_missing  # noqa: E402

RAISED_NICE = -10
FSYNCS = 200
VPCS = 4
NEIGHBOUR_WAIT = 2.5  # seconds; the agent asks for a neighbour every second


def parser_of(description):
    """Of the command line, with what each bench takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--state", type=Path, default=Path("/var/tmp"), help="a folder on the disk to be measured")
    return parser


def measure(name, make_bench, options):
    """Plays a bench and prints its result; returns the exit code. `make_bench` gets the options, the programs and a
    new folder on the disk of --state."""
    if missing := what_is_missing():
        print("SKIPPED: this needs " + "; ".join(missing), file=sys.stderr)
        return 77
    go_first(os.getpid())
    folder = Path(tempfile.mkdtemp(prefix="berth-bench-", dir=options.state))
    try:
        bench = make_bench(options, Programs(Path(sys.argv[0]).absolute().parent), folder)
        bench.play()
        result = bench.result()
    except TrialError as error:
        print(f"bench {name}: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            if not isinstance(value, list):  # a table is for programs
                print(f"{key:20} {value}")
    return 0


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def milliseconds(micros):
    return {"p50_ms": round(statistics.median(micros) / 1000, 3), "p99_ms": round(percentile(micros, 0.99) / 1000, 3),
            "max_ms": round(max(micros) / 1000, 3)}


def go_first(pid):
    """Before the machine's other work, as root may: Linux shares the processor between sessions first, and every
    child of a trial is a session of its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, RAISED_NICE)
        Path(f"/proc/{pid}/autogroup").write_text(str(RAISED_NICE))
    except OSError:
        pass  # not root, or a kernel without autogroups


def fsync_milliseconds(folder):
    """What one durable write costs on the disk of the state folder, by itself."""
    samples = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.monotonic()
            os.fsync(file.fileno())
            samples.append((time.monotonic() - begun) * 1e6)
    return milliseconds(samples)


def filesystem_of(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True).stdout.strip()


class Programs:
    """Beside the bench: build/release/bin."""

    def __init__(self, folder):
        for name in ("berthd", "berthd_next", "berthctl", "berth-eswitchd", "attach_load"):
            setattr(self, name.replace("-", "_"), Path(folder) / name)

    def agent(self, world, state, unbacked, functions=1, remote=False):
        agent = Agent(world, self.berthd, self.berthctl, ROOT / "tools/certs", level="info",
                      functions=functions, unbacked=unbacked, state=state,
                      eswitchd=self.berth_eswitchd if remote else None)
        return agent


class Load:
    """attach_load in the host's namespace: see its main.cc for the commands."""

    def __init__(self, world, program, agent):
        argv = world.in_host(program, agent.endpoint, world.folder / "certs")
        self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, MARK: world.name}, start_new_session=True)
        go_first(self.process.pid)
        world.at_end(self.close)

    def ask(self, *command):
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise TrialError(f"attach_load ended at '{command[0]}' with code {self.process.wait()}")
        return json.loads(answer)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)


def push(load, mappings):
    """Returns when the eSwitch has the rules of all mappings: a push waits for its rules, and those of a mapping are
    made once the way to its host is known, which a first push with some mappings sees to."""
    if mappings:
        load.ask("push", VPCS, VPCS, PEER_VTEP)
        time.sleep(NEIGHBOUR_WAIT)
    pushed = load.ask("push", VPCS, mappings, PEER_VTEP)
    progress(f"{mappings} mappings pushed in {pushed['seconds']:.2f} s")


def memory_mib(pid):
    """Resident, and the most it ever was."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {name: round(int(lines[key].split()[0]) / 1024, 1) for name, key in (("rss", "VmRSS"), ("peak", "VmHWM"))}
