#!/usr/bin/python3
"""An example of docs/examples/api against a real berthd: it must end well, and berthd must have attached and
detached what it says. Before it, a controller pushes docs/examples/vpcs.toml.

    run_example.py --berthd PATH --berthctl PATH [--node FOLDER] COMMAND...
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import Agent  # noqa: E402
from trial.world import World, what_is_missing  # noqa: E402

SKIPPED = 77
VPCS = """
[[vpc]]
id = "blue"
vni = 7001
[[vpc.subnet]]
prefix = "10.1.0.0/24"
gateway = "10.1.0.1"
[[vpc]]
id = "green"
vni = 7002
[[vpc.subnet]]
prefix = "10.2.0.0/24"
gateway = "10.2.0.1"
"""


def play(agent, command):
    """Runs the example; returns what is wrong, or nothing."""
    ended = subprocess.run(agent.world.in_host(*command), env={**os.environ, **agent.environment("vmaas")},
                           capture_output=True, text=True, timeout=60)
    print(ended.stdout + ended.stderr, end="")
    operations = agent.ask("vmaas", "operations")
    done = [(one["kind"], one.get("error")) for one in operations if one["kind"] != "update" or one.get("error")]
    said = [line.split()[:2] for line in ended.stdout.splitlines()]
    if ended.returncode:
        return f"exit code {ended.returncode}"
    if said != [["vm-1", "blue"], ["vm-1", "green"], ["detached", operations[0]["attachment"]]]:
        return f"it said {said}"
    if done != [("detach", None), ("attach", None)]:
        return f"berthd has done {done}"
    attached = operations[-1]["interfaces"]
    if [one["network_class"] for one in attached] != ["COMPUTE", "STORAGE"]:
        return f"berthd attached {attached}"
    return f"still there: {agent.list()}" if agent.list() else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--berthd", required=True)
    parser.add_argument("--berthctl", required=True)
    parser.add_argument("--node", help="folder of the modules that tests/interop/js/install.sh installs")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    missing = what_is_missing()
    if missing:
        print("SKIPPED: needs", ", ".join(missing))
        return SKIPPED
    if options.node:
        installed = subprocess.run([ROOT / "tests/interop/js/install.sh", options.node])
        if installed.returncode:
            return installed.returncode
        os.environ["NODE_PATH"] = f"{options.node}/node_modules"
    with World(f"example{os.getpid()}") as world:
        agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs")
        agent.wait_ready()
        agent.push((ROOT / "docs/examples/vpcs.toml").read_text())  # is taken as it stands
        agent.push(VPCS)
        wrong = play(agent, options.command)
        if wrong:
            print(f"FAILED: {wrong}\n{agent.log_tail()}")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
