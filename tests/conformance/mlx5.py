"""The backend mlx5: a ConnectX in switchdev mode in the place of the software eSwitch. docs/testing.md has the
command and what it assumes of the machine; here is what of that is missing, and where on it things are.

No machine with such a NIC was at hand: none of this has ever found one."""
import re
import subprocess
from pathlib import Path

VENDOR = "0x15b3"
DRIVER = "mlx5_core"
HUGEPAGES_MIB = 512  # as berthd wants them (dataplane/dpdk/devices.h)


def functions_of(text):
    """The numbers of "0-3" or "0,1,2"."""
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def what_is_missing(pci, representors, wire, sysfs=Path("/sys"), eswitch_mode=None):
    """Why the NIC at `pci` cannot be used; empty when it can."""
    if not pci:
        return ["a ConnectX: --pci ADDRESS, --representors of its VFs, and --wire"]
    device = sysfs / "bus/pci/devices" / pci
    if not device.exists():
        return [f"a ConnectX at {pci}: there is no such PCI device"]
    vendor = (device / "vendor").read_text().strip()
    driver = (device / "driver").resolve().name
    if vendor != VENDOR or driver != DRIVER:
        return [f"a ConnectX at {pci}: that one is of vendor {vendor} with driver {driver}"]
    missing = []
    mode = (eswitch_mode or devlink_mode)(pci)
    if mode != "switchdev":
        missing.append(f"the eSwitch of {pci} in mode switchdev, not {mode} "
                       f"(devlink dev eswitch set pci/{pci} mode switchdev)")
    if not uplink_of(pci, sysfs):
        missing.append(f"a network device of {pci} for its wire (phys_port_name p0)")
    numbers = functions_of(representors)
    if numbers != list(range(len(numbers))):
        missing.append(f"--representors from 0 on, without gaps, not {representors}: vf0 is VF 0, and berthd chooses")
    for number in numbers:
        if not netdev_of_vf(pci, number, sysfs):
            missing.append(f"VF {number} of {pci} with a netdev of its own, bound to {DRIVER}")
    if not wire:
        missing.append("the other end of the cable: --wire NETDEV")
    elif not (sysfs / "class/net" / wire).exists():
        missing.append(f"the other end of the cable: there is no network device {wire}")
    if not (device / "infiniband_verbs").exists():
        missing.append(f"a verbs device of {pci} (rdma-core; modprobe -a mlx5_ib ib_uverbs)")
    if (mib := free_hugepages_mib(sysfs)) < HUGEPAGES_MIB:
        missing.append(f"{HUGEPAGES_MIB} MiB in hugepages, of which {mib} are free")
    return missing


def uplink_of(pci, sysfs=Path("/sys")):
    """The PF's network device that is its wire, not a representor; None when there is none."""
    for netdev in sorted((sysfs / "bus/pci/devices" / pci / "net").glob("*")):
        try:
            if re.fullmatch(r"p\d+(s\d+)?", (netdev / "phys_port_name").read_text().strip()):
                return netdev.name
        except OSError:  # a device without a port's name cannot be read
            pass
    return None


def netdev_of_vf(pci, number, sysfs=Path("/sys")):
    return next((netdev.name for netdev in (sysfs / "bus/pci/devices" / pci / f"virtfn{number}/net").glob("*")), None)


def free_hugepages_mib(sysfs):
    kib = 0
    for size in (sysfs / "kernel/mm/hugepages").glob("hugepages-*kB"):
        kib += int(size.name[len("hugepages-"):-len("kB")]) * int((size / "free_hugepages").read_text())
    return kib // 1024


def devlink_mode(pci):
    try:
        shown = subprocess.run(["devlink", "dev", "eswitch", "show", f"pci/{pci}"], capture_output=True, text=True,
                               timeout=10, check=False).stdout.split()
    except FileNotFoundError:
        return "unknown (devlink is not installed)"
    return shown[shown.index("mode") + 1] if "mode" in shown else "unknown"
