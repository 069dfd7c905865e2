"""tools/lab: a host with an SR-IOV NIC, an IOMMU and free hotplug slots, in a VM that needs no special hardware.

  tools/lab build                       what VMs boot from, once for each kernel (about a minute, 100 MB)
  tools/lab run [OPTIONS] -- COMMAND    runs the command inside, in this folder, and exits with its code;
                                        in the lab that is up, or in one of its own
  tools/lab shell                       a shell inside
  tools/lab up | down                   starts a lab that stays, and ends it
  tools/lab test [--all] [CTEST...]     the tests of label `lab`; --all: those of `lab-long` too

Inside, every file of this machine is where it is here; what is written vanishes, but for /run/lab. docs/lab.md tells
more. Exit code 77: the lab cannot run here, and why is on standard error.
"""
import argparse
import os
import select
import subprocess
import sys
import termios
import tty
from contextlib import contextmanager
from pathlib import Path

from . import needs
from .cache import Cache
from .machine import Machine

ROOT = Path(__file__).resolve().parents[2]


def say(text):
    print(f"tools/lab: {text}", file=sys.stderr, flush=True)


def parse(argv):
    parser = argparse.ArgumentParser(prog="tools/lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)
    commands.add_parser("build")
    run = commands.add_parser("run", help="see `tools/lab run --help`")
    run.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for the command; default 300")
    run.add_argument("--env", action="append", default=[], metavar="NAME", help="pass this variable on")
    run.add_argument("--own", action="store_true", help="in a lab of its own, even if one is up")
    run.add_argument("argv", nargs="+", metavar="COMMAND")
    test = commands.add_parser("test")
    test.add_argument("--all", action="store_true")
    test.add_argument("--preset", default="dev")
    for command in (run, commands.add_parser("shell"), commands.add_parser("up")):
        command.add_argument("--memory", type=int, default=2560, metavar="MB", help="of the outer VM")
        command.add_argument("--no-iommu", action="store_true", help="a machine whose IOMMU is off")
        command.add_argument("--folder", type=Path, help="/run/lab inside; kept afterwards")
    commands.add_parser("down")
    options, rest = parser.parse_known_args(argv)
    if rest and options.name != "test":
        parser.error(f"unknown: {' '.join(rest)}")
    return options, rest


def standing(cache):
    """The lab that `up` started, whether it runs or not."""
    return Machine(cache, folder=cache.folder / "up")


@contextmanager
def some_lab(cache, options):
    """The one that is up, or one for this command only."""
    lab = standing(cache)
    if lab.is_running() and not getattr(options, "own", False):
        yield lab
        return
    lab = Machine(cache, folder=options.folder, memory_mb=options.memory, has_iommu=not options.no_iommu)
    try:
        lab.boot()
        yield lab
    finally:
        lab.stop()


def run(cache, options):
    with some_lab(cache, options) as lab:
        return lab.execute(options.argv, options.timeout, environment=options.env)


def up(cache, options):
    lab = standing(cache)
    if lab.is_running():
        say("is up already")
        return 0
    lab = Machine(cache, folder=cache.folder / "up", memory_mb=options.memory, has_iommu=not options.no_iommu)
    lab.boot(outlives=True)
    say(f"is up: tools/lab run -- COMMAND, tools/lab shell; /run/lab is {lab.folder}")
    return 0


def down(cache, _):
    standing(cache).stop()
    return 0


def shell(cache, options):
    if not sys.stdin.isatty():
        raise needs.LabError("a shell needs a terminal; without one: tools/lab run -- COMMAND")
    with some_lab(cache, options) as lab:
        console, ended, _port = lab.start_shell()
        before = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)
        try:
            while not ended.exists():
                for ready in select.select([console, sys.stdin], [], [], 0.2)[0]:
                    data = os.read(ready.fileno(), 4096)
                    os.write(sys.stdout.fileno() if ready is console else console.fileno(), data)
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    return 0


def test(_, options, rest):
    label = "^lab" if options.all else "^lab$"
    return subprocess.run(["ctest", "--test-dir", ROOT / "build" / options.preset, "-L", label, "--output-on-failure",
                           "--no-tests=error", *rest]).returncode


def main(argv):
    options, rest = parse(argv)
    cache = Cache(needs.cache_folder())
    try:
        if options.name == "build":
            cache.build(say)
            return 0
        if options.name == "test":
            return test(cache, options, rest)
        return {"run": run, "shell": shell, "up": up, "down": down}[options.name](cache, options)
    except needs.Missing as missing:
        say(f"SKIPPED: needs {missing}")
        return needs.SKIPPED
    except (needs.LabError, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
