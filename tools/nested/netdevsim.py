"""Builds netdevsim, which Debian's kernel leaves out, from Debian's source of the same kernel.

netdevsim is the kernel's simulated NIC for testing devlink and rtnetlink: an eSwitch with modes, VF representors,
rates, VF attributes. What a switchdev NIC has besides, the attributes of a port's *function* (its MAC, its state), is
added by port_function.patch.
"""
import os
import re
import subprocess
from pathlib import Path

from .needs import LabError

PATCH = Path(__file__).resolve().parent / "port_function.patch"


def build(cache, packages):
    """Returns the path of netdevsim.ko."""
    source = _unpack(cache, packages)
    headers = packages.root / "usr/src" / f"linux-headers-{packages.version}"
    # The headers expect to lie in /usr/src; they are in the cache.
    makefile = headers / "Makefile"
    text = makefile.read_text()
    makefile.write_text(re.sub(r"^include /usr/src", f"include {packages.root}/usr/src", text, flags=re.MULTILINE))
    # No BTF: pahole and a vmlinux with debug information would be needed.
    result = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "-C", headers, f"M={source}", "CONFIG_NETDEVSIM=m",
                             "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"], capture_output=True, text=True)
    module = source / "netdevsim.ko"
    if result.returncode or not module.exists():
        raise LabError(f"netdevsim does not build:\n{result.stderr[-2000:]}")
    subprocess.run(["strip", "--strip-debug", module], check=True)
    return module


def _unpack(cache, packages):
    folder = cache / "source"
    folder.mkdir(exist_ok=True)
    inside = f"{packages.source}/drivers/net/netdevsim"
    subprocess.run(f"""set -o pipefail
        dpkg-deb --fsys-tarfile '{packages.file(packages.source)}' |
        tar -xO ./usr/src/{packages.source}.tar.xz | xz -dc -T2 | tar -x -C '{folder}' '{inside}'""",
                   shell=True, executable="/bin/bash", check=True)
    result = subprocess.run(["patch", "-p1", "-s", "-d", folder / packages.source, "-i", PATCH],
                            capture_output=True, text=True)
    if result.returncode:
        raise LabError(f"{PATCH.name} does not fit this kernel: {result.stdout}{result.stderr}")
    return folder / inside
