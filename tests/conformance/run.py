#!/usr/bin/python3
"""Plays one scenario file against berthd.

    run.py FILE --berthd PATH --berthctl PATH [--restart]
    run.py FILE --berthd PATH --berthctl PATH --backend mlx5 --pci 0000:3b:00.0 --representors 0-3 --wire NETDEV

Exit code 0: it holds; 1: it does not; 77: it cannot run here (the output says what is missing).
"""
import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import mlx5  # noqa: E402
from trial.process import TrialError  # noqa: E402
from trial.world import World, what_is_missing  # noqa: E402

SKIPPED = 77


def missing_for(options):
    missing = what_is_missing()
    try:
        import scapy.layers.vxlan  # noqa: F401
    except ImportError:
        missing.append("python3-scapy (tools/deps install test)")
    if options.backend == "mlx5":
        missing += mlx5.what_is_missing(options.pci, options.representors, options.wire)
    if options.restart:
        missing.append("--restart: berthd does not survive a restart yet")
    return missing


def play(options):
    from scenario import parse, underlay_of
    from stage import Failed, Stage
    title, statements = parse(options.file.read_text())
    print(f"scenario: {title}")
    world, eswitch = world_for(options, underlay_of(statements))
    with world:
        stage = None
        try:
            stage = Stage(world, options.berthd, options.berthctl, ROOT / "tools/certs", **eswitch)
            for statement in statements:
                print(f"{statement.line:4}  {statement.text}", flush=True)
                stage.play(statement)
            stage.finish()
        except (Failed, TrialError, OSError) as error:
            print(f"FAILED: {error}")
            if stage:
                print("The end of berthd's log:\n" + stage.agent.log_tail())
            return 1
    print("holds")
    return 0


def world_for(options, underlay):
    """The world, and what berthd is told of its eSwitch."""
    name = f"c{os.getpid()}"
    if options.backend == "soft":
        return World(name, underlay=underlay), {}
    from nic_world import NicWorld
    vfs = mlx5.functions_of(options.representors)
    world = NicWorld(name, options.pci, vfs, options.wire, underlay=underlay)
    return world, {"nic": options.pci, "functions": len(vfs)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--berthd", type=Path, required=True)
    parser.add_argument("--berthctl", type=Path, required=True)
    parser.add_argument("--backend", default="soft", choices=["soft", "mlx5"])
    parser.add_argument("--pci", help="mlx5: the PF whose eSwitch it is")
    parser.add_argument("--representors", default="0-3", help="mlx5: VFs that play the VMs, from 0 on")
    parser.add_argument("--wire", help="mlx5: the netdev at the other end of the PF's cable")
    parser.add_argument("--restart", action="store_true", help="restart berthd between any two lines")
    options = parser.parse_args()
    missing = missing_for(options)
    if missing:
        print("SKIPPED: this needs " + "; ".join(missing))
        return SKIPPED
    return play(options)


if __name__ == "__main__":
    sys.exit(main())
