#!/usr/bin/python3
"""The host loses its power with a VM attached, and comes back: berthd attaches it again by itself.

    reboot_test.py BIN_FOLDER            outside: two labs, one after the other, with one folder that outlives both
    reboot_test.py BIN_FOLDER before     inside the first: attach, and the plug is pulled
    reboot_test.py BIN_FOLDER after      inside the second: another boot of the kernel, the same state.db

Real: the kernel's boot id, VFs that are gone and are made anew, drivers, VFIO, the VM's hotplug. The disk is a copy:
the outer VM has none, so the first lab leaves state.db in the shared folder, as a berthd that was killed has left it.
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from berth import Berthd
from guest import InnerVm
from inside import Claims, NIC, PCI, ROOT, driver_of, modprobe, netdev_of, read, run, until, virtual_functions

MAC = "02:00:00:00:01:05"
HOST = f"""\
functions = "vf"
provider = "pool"
pfs = ["{NIC}"]
"""
DISK = Path("/run/lab/disk")
BOOT_ID = "/proc/sys/kernel/random/boot_id"
LONG_ENOUGH = 300  # seconds for what happens in one of the two


class World:
    berthd = vm = None


def the_host_is_there():
    modprobe("igb", "vfio-pci")
    run("ip", "link", "set", netdev_of(NIC), "up")
    World.vm = InnerVm("vm-1", has_guest=False)
    World.berthd = Berthd(sys.argv[1], HOST)


def bound_functions():
    return [vf for vf in virtual_functions() if driver_of(vf) == "vfio-pci"]


# -- before

def a_VM_is_attached():
    World.berthd.start()
    World.berthd.push_vpc()
    operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
    assert operation["state"] == "DONE", operation
    resolved = next(step["detail"] for step in operation["steps"] if step["name"] == "resolve")
    assert resolved == f"vf0 of {NIC}", resolved
    assert len(World.vm.opened_groups()) == 1


def berthd_is_cut_off_in_the_middle_of_its_work():
    World.berthd.kill()
    DISK.mkdir()
    for file in (World.berthd.folder / "state").iterdir():
        shutil.copy(file, DISK)
    (DISK / "boot_id").write_text(read(BOOT_ID))


# -- after

def nothing_is_left_of_it_but_the_disk():
    assert read(BOOT_ID) != read(DISK / "boot_id"), "the same boot"
    assert virtual_functions() == [], "VFs outlive no reboot"
    state = World.berthd.folder / "state"
    state.mkdir(mode=0o700)
    for file in DISK.glob("state.db*"):
        shutil.copy(file, state)


def berthd_attaches_it_again_before_it_serves():
    World.berthd.start()
    _, reboot, log = World.berthd.log.read_text(errors="replace").partition("the host was rebooted")
    assert reboot, "the log of both labs is one, and tells of no reboot"
    assert -1 < log.find("attachment restored") < log.find(" ready "), "served before it was tried"
    attachments = World.berthd.list()
    assert [one["state"] for one in attachments] == ["ATTACHED"], attachments


def the_VM_that_runs_already_has_its_VF_with_its_MAC():
    assert bound_functions() == virtual_functions()[:1]
    assert World.vm.opened_groups(), "the VM has nothing"
    assert MAC in run("ip", "link", "show", netdev_of(NIC)).stdout


def a_detach_leaves_nothing():
    operation = World.berthd.detach(World.berthd.list()[0]["attachment"])
    assert operation["state"] == "DONE" and not operation.get("fault"), operation
    until(lambda: not World.vm.opened_groups() and not bound_functions(), "a VF that nobody has", 20)
    assert all(read(PCI / vf / "driver_override") == "(null)" for vf in virtual_functions())


BEFORE = [the_host_is_there, a_VM_is_attached, berthd_is_cut_off_in_the_middle_of_its_work]
AFTER = [the_host_is_there, nothing_is_left_of_it_but_the_disk, berthd_attaches_it_again_before_it_serves,
         the_VM_that_runs_already_has_its_VF_with_its_MAC, a_detach_leaves_nothing]


def run_both(bin_folder):
    with tempfile.TemporaryDirectory(prefix="berth-lab-") as folder:
        for part in ("before", "after"):
            command = [ROOT / "tools/lab", "run", "--own", "--folder", folder, "--timeout", str(LONG_ENOUGH), "--",
                       sys.executable, __file__, bin_folder, part]
            code = subprocess.run(command, check=False).returncode
            if code:
                return code
    return 0


def main():
    if len(sys.argv) == 2:
        return run_both(sys.argv[1])
    try:
        return Claims(BEFORE if sys.argv[2] == "before" else AFTER).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(15))


if __name__ == "__main__":
    sys.exit(main())
