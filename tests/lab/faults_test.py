#!/usr/bin/python3
"""What a real kernel does to an agent: a sysfs write that hangs, VFs that vanish, a driver that will not bind. Each ends in
a named status, berthd answers all the time, and what was not proven clean is given to nobody.

The hang is real: while a QEMU has a VF, the kernel ends a write of 0 to sriov_numvfs only when QEMU lets go, and holds the
PF's lock meanwhile. Here somebody else, the test, writes it. VMs have no guest (tests/lab/guest.py).
"""
import subprocess
import sys
import time

from berth import Berthd
from guest import InnerVm
from inside import Claims, NIC, PCI, driver_of, modprobe, netdev_of, run, until, virtual_functions

HOST = f"""\
functions = "vf"
provider = "pool"
pfs = ["{NIC}"]
"""
ANSWERS_WITHIN = 10  # seconds; an emulated CPU's half a second


class World:
    berthd = vm = other = operation = writer = None


def fault_of(operation):
    return (operation.get("fault") or operation.get("error") or {}).get("reason") or str(operation)


def attach(vm, number):
    """The operation, or the text of its refusal."""
    try:
        return World.berthd.attach(vm, f"02:00:00:00:01:{number:02x}", f"10.1.0.{number}")
    except Exception as error:  # a failed attach is what most of this is about
        return str(error)


def berthd_and_two_VMs_are_there():
    modprobe("igb", "vfio-pci")
    run("ip", "link", "set", netdev_of(NIC), "up")
    # ACPI hotplug, and no guest that would eject: this VM gives nothing back, whoever asks.
    World.vm = InnerVm("vm-1", has_guest=False, native_hotplug=False)
    World.other = InnerVm("vm-2", has_guest=False)
    World.berthd = Berthd(sys.argv[1], HOST)
    World.berthd.start()
    World.berthd.push_vpc()


def a_bind_that_the_kernel_refuses_ends_by_name_and_takes_nothing():
    run("modprobe", "-r", "vfio-pci")
    module = next(path for path in run("modinfo", "-n", "vfio-pci").stdout.split())
    run("mount", "--bind", "/dev/null", module)  # berthd may load it, and cannot
    refused = attach("vm-1", 5)
    run("umount", module)
    modprobe("vfio-pci")
    assert "VFIO_PCI_MISSING" in refused, refused
    assert World.berthd.list() == [] and {driver_of(vf) for vf in virtual_functions()} == {None}


def a_killed_QEMU_gives_its_function_back():
    operation = attach("vm-2", 6)
    assert isinstance(operation, dict) and operation["state"] == "DONE", operation
    World.other.kill()
    operation = World.berthd.detach(operation["attachment"])
    assert operation["state"] == "DONE" and not operation.get("fault"), operation
    assert {driver_of(vf) for vf in virtual_functions()} == {None}


def while_a_write_to_sysfs_hangs_berthd_answers():
    World.operation = attach("vm-1", 5)
    assert isinstance(World.operation, dict) and World.operation["state"] == "DONE", World.operation
    World.writer = subprocess.Popen(["sh", "-c", f"echo 0 > {PCI / NIC}/sriov_numvfs"])
    until(lambda: "blocked" in run("dmesg").stdout or "Relaying device request" in run("dmesg").stdout,
          "the kernel's word that it waits")
    assert World.writer.poll() is None
    for _ in range(3):
        begun = time.monotonic()
        assert len(World.berthd.list()) == 1
        assert time.monotonic() - begun < ANSWERS_WITHIN


def an_attach_meanwhile_ends_by_name():
    begun = time.monotonic()
    outcome = attach("vm-2", 7)
    print(f"      after {time.monotonic() - begun:.0f} s: {str(outcome)[:300]}")
    assert World.writer.poll() is None, "the write does not hang any more"
    if isinstance(outcome, dict):  # VF 1 was not reached by the kernel yet: it may still work
        assert outcome["state"] == "DONE", outcome
        World.berthd.detach(outcome["attachment"])


def a_VM_that_gives_nothing_back_leaves_the_function_in_quarantine():
    operation = World.berthd.detach(World.operation["attachment"])
    assert fault_of(operation) == "GUEST_IGNORES_UNPLUG", operation
    assert World.writer.poll() is None and len(World.vm.opened_groups()) == 1


def with_QEMU_dead_the_write_ends_and_VFs_that_are_gone_are_nobodys():
    World.vm.kill()
    until(lambda: World.writer.poll() is not None, "the end of the write")
    assert World.writer.returncode == 0 and virtual_functions() == []
    outcome = attach("vm-1", 8)  # what vanished can be proven nothing
    print(f"      then an attach: {str(outcome)[:300]}")
    assert not isinstance(outcome, dict) and ("VFS_LOST" in outcome or "RESOURCE_EXHAUSTED" in outcome), outcome


if __name__ == "__main__":
    try:
        code = Claims([berthd_and_two_VMs_are_there,
                       a_bind_that_the_kernel_refuses_ends_by_name_and_takes_nothing,
                       a_killed_QEMU_gives_its_function_back,
                       while_a_write_to_sysfs_hangs_berthd_answers,
                       an_attach_meanwhile_ends_by_name,
                       a_VM_that_gives_nothing_back_leaves_the_function_in_quarantine,
                       with_QEMU_dead_the_write_ends_and_VFs_that_are_gone_are_nobodys]).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(25))
    sys.exit(code)
