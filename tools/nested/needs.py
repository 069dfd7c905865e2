"""What the lab needs from the machine it runs on, and how it says so when that is missing."""
import os
import shutil
import subprocess
from pathlib import Path

QEMU = "qemu-system-x86_64"
SKIPPED = 77  # what ctest takes for "skipped"


class Missing(Exception):
    """The lab cannot run here; the message names what is missing and the cure."""


class LabError(Exception):
    """Something of the lab did not do what it should; the message is for the user."""


def cache_folder():
    """Outside the source tree: work trees share it, and a clean build does not cost it."""
    named = os.environ.get("BERTH_LAB_CACHE")
    if named:
        return Path(named).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "berth-lab"


def programs(*names):
    absent = [name for name in names if not shutil.which(name)]
    if absent:
        raise Missing(f"{', '.join(absent)} (tools/deps install lab)")


def qemu():
    """QEMU 7.2, bookworm's own, has no SR-IOV NIC. Asked by what it can do, not by its version."""
    programs(QEMU)
    devices = subprocess.run([QEMU, "-device", "help"], capture_output=True, text=True).stdout
    if '"igb"' not in devices:
        version = subprocess.run([QEMU, "--version"], capture_output=True, text=True).stdout.splitlines()[:1]
        raise Missing(f"QEMU >= 8.0 with the igb NIC (tools/deps install lab); here is {''.join(version)}")
    return QEMU
