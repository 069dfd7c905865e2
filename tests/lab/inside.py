"""What tests inside the lab's outer VM have in common: claims, waiting, sysfs, and the VM's own hypervisor.

Run by `tools/lab run`; a program of these tests that is started elsewhere says so and does nothing.
"""
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from nested.qmp import Qmp  # noqa: E402

PCI = Path("/sys/bus/pci/devices")
NIC = "0000:01:00.0"  # igb
DRIVE = "0000:02:00.0"  # NVMe
WIRE = "0000:00:14.0"  # the other end of the NIC's cable
FREE_SLOTS = ("rp3", "rp4")


def run(*argv, check=True, timeout=60, **options):
    """Runs a command to its end; what it said becomes the error when it fails."""
    result = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=timeout, **options)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: {(result.stderr or result.stdout).strip()}")
    return result


def until(condition, what, timeout=30):
    """Polls until `condition` holds, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.05)


def modprobe(*modules):
    for module in modules:
        run("modprobe", module)


def read(path):
    return Path(path).read_text().strip()


def write(path, value):
    Path(path).write_text(f"{value}\n")


def driver_of(address):
    link = PCI / address / "driver"
    return os.path.basename(os.readlink(link)) if link.exists() else None


def group_of(address):
    return os.path.basename(os.readlink(PCI / address / "iommu_group"))


def netdev_of(address, timeout=20):
    """The name of the device's network interface, once its driver has made one (virtio's lies one folder deeper)."""
    def names():
        return [path.name for path in (PCI / address).glob("**/net/*")]
    return until(names, f"a network interface of {address}", timeout)[0]


def is_up(device):
    return int(read(f"/sys/class/net/{device}/flags"), 16) & 1 and read(f"/sys/class/net/{device}/carrier") == "1"


def virtual_functions(address=NIC):
    links = sorted((PCI / address).glob("virtfn*"), key=lambda path: int(path.name.removeprefix("virtfn")))
    return [os.path.basename(os.readlink(path)) for path in links]


def bind(address, driver):
    modprobe(driver)
    if driver_of(address):
        write(PCI / address / "driver/unbind", address)
    write(PCI / address / "driver_override", driver)
    write("/sys/bus/pci/drivers_probe", address)
    until(lambda: driver_of(address) == driver, f"{address} with driver {driver}")


def hypervisor():
    """QMP of the VM that this runs in."""
    return Qmp("/dev/vport0p1")


class Claims:
    """Runs the steps of a test in order and tells each, with the time it took. The first that fails ends it."""

    def __init__(self, steps):
        self.steps = steps

    def run(self):
        if not os.environ.get("BERTH_LAB"):
            print("SKIPPED: runs inside the lab only: tools/lab run -- " + " ".join(sys.argv))
            return 77
        for step in self.steps:
            started = time.monotonic()
            claim = step.__name__.replace("_", " ")
            try:
                step()
            except Exception:  # whatever it was, it is a failed claim
                traceback.print_exc(file=sys.stdout)
                print(f"FAILED  {claim}")
                print(run("dmesg", check=False).stdout[-2000:])
                return 1
            print(f"ok {time.monotonic() - started:6.2f} s  {claim}", flush=True)
        return 0
