"""What a killed run left behind: found by the folder it locked, removed by the names it used.

Every trial has a folder below ROOT, and beside it a file NAME.lock that its owner holds locked while it
lives. When the lock is free, the trial belongs to nobody any more (or to `tools/quickstart --keep`, which
says so in a file `kept`): its processes carry its name in their environment, and its network namespaces,
with the devices in them, are named `berth-NAME-...`.
"""
import fcntl
import os
import shutil
import signal
from pathlib import Path

from .process import MARK, TrialError, run, wait_until

ROOT = Path("/run/berth-trial")


def namespaces_of(name):
    listed = run("ip", "netns", "list", check=False).stdout.split("\n")
    names = [line.split()[0] for line in listed if line]
    return [n for n in names if n.startswith(f"berth-{name}-")]


def processes_of(name):
    mark = f"{MARK}={name}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            pass
    return [pid for pid in found if pid != os.getpid()]


def remove(name):
    """Ends and removes all that a trial of this name made. Idempotent."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(name):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        try:
            wait_until(lambda: not processes_of(name), 3, "ending processes")
            break
        except TrialError:
            continue
    for namespace in namespaces_of(name):
        run("ip", "netns", "delete", namespace, check=False)
    shutil.rmtree(ROOT / name, ignore_errors=True)


def take_lock(name):
    """The open lock file of a trial, or None when a living process holds it."""
    ROOT.mkdir(parents=True, exist_ok=True)
    path = ROOT / f"{name}.lock"
    while True:
        lock = open(path, "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        if path.exists() and os.fstat(lock.fileno()).st_ino == path.stat().st_ino:
            return lock
        lock.close()  # its last owner removed the file between our open and our lock


def release_lock(name, lock):
    (ROOT / f"{name}.lock").unlink(missing_ok=True)
    lock.close()


def sweep():
    """Removes what dead owners left; returns the names of their trials. Leaves kept trials alone."""
    swept = []
    for path in ROOT.glob("*.lock"):
        name = path.stem
        lock = take_lock(name)
        if not lock:
            continue
        if (ROOT / name / "kept").exists():
            lock.close()
            continue
        remove(name)
        release_lock(name, lock)
        swept.append(name)
    return swept
