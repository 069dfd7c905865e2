#!/usr/bin/python3
"""Twenty times attach and detach, into a real QEMU by hotplug: nothing is left, nothing grows.

The VM has no guest (tests/lab/guest.py says what that leaves out), which makes a cycle a matter of seconds;
attach_test.py has one. With `--crashes` instead: berthd is killed in the middle of both, at every step, and comes back.
"""
import subprocess
import sys
import threading
import time

from berth import Berthd, CallError
from guest import InnerVm
from inside import Claims, NIC, PCI, driver_of, modprobe, netdev_of, read, run, until, virtual_functions

MAC = "02:00:00:00:01:05"
HOST = f"""\
functions = "vf"
provider = "pool"
pfs = ["{NIC}"]
"""
CYCLES = 20
# berthd's allocators keep what they once had; a leak grows with every cycle.
MAX_GROWTH_KB = 512


class World:
    berthd = vm = settled = None


def usage():
    return {"files": len(World.berthd.open_files()), "threads": World.berthd.thread_count(),
            "groups": World.vm.opened_groups(), "vfs": len(virtual_functions()),
            "drivers": [driver_of(vf) for vf in virtual_functions()],
            "overrides": [read(PCI / vf / "driver_override") for vf in virtual_functions()],
            "attachments": World.berthd.list(), "devices in the VM": World.vm.devices()}


def cycle():
    operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
    assert operation["state"] == "DONE", operation
    assert len(World.vm.opened_groups()) == 1
    operation = World.berthd.detach(operation["attachment"])
    assert operation["state"] == "DONE" and not operation.get("fault"), operation


def berthd_and_a_VM_are_there():
    modprobe("igb", "vfio-pci")
    run("ip", "link", "set", netdev_of(NIC), "up")
    World.vm = InnerVm("vm-1", has_guest=False)
    World.berthd = Berthd(sys.argv[1], HOST)
    World.berthd.start()
    World.berthd.push_vpc()


def twenty_cycles_leave_nothing():
    for _ in range(3):  # what is opened and allocated once
        cycle()
    before, memory = usage(), World.berthd.memory_kb()
    for _ in range(CYCLES):
        cycle()
    until(lambda: usage() == before, f"the state before the cycles; now {usage()}, before {before}", 20)
    growth = World.berthd.memory_kb() - memory
    print(f"      {CYCLES} cycles: {before['vfs']} VFs, {before['files']} files, "
          f"{before['threads']} threads, memory {growth:+d} kB")
    assert growth < MAX_GROWTH_KB, f"berthd grew by {growth} kB in {CYCLES} cycles"


def the_function():
    """The VF that is somebody's, once it is bound."""
    return next((vf for vf in virtual_functions() if driver_of(vf)), None)


# What can be seen from outside when berthd is between two steps.
DURING_ATTACH = {
    "the MAC is set": lambda: MAC in run("ip", "link", "show", netdev_of(NIC)).stdout,
    "the override is set": lambda: any(read(PCI / vf / "driver_override") == "vfio-pci" for vf in virtual_functions()),
    "the function is bound": the_function,
    "QEMU has it open": lambda: World.vm.opened_groups(),
}
DURING_DETACH = {
    "QEMU has closed it": lambda: not World.vm.opened_groups(),
    "the function has no driver": lambda: not the_function(),
}


def berthd_killed_at_every_step_of_an_attach_converges():
    for moment, has_come in DURING_ATTACH.items():
        killed_when(has_come, lambda: World.berthd.attach("vm-1", MAC, "10.1.0.5"), moment)
        found = settle(moment)
        assert len(found) == 1, "an attach that has begun goes on"
        assert len(World.vm.opened_groups()) == 1, "attached, and the VM has nothing"
        World.berthd.detach(found[0]["attachment"])
        expect_nothing_left()


def berthd_killed_at_every_step_of_a_detach_converges():
    for moment, has_come in DURING_DETACH.items():
        operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
        killed_when(has_come, lambda: World.berthd.detach(operation["attachment"]), moment)
        assert settle(moment) == [], "a detach that has begun goes on"
        expect_nothing_left()


def killed_when(has_come, call, moment):
    """Kills berthd as soon as `has_come` holds while `call` is under way, and starts it again."""
    def swallow():
        try:
            call()
        except (CallError, subprocess.TimeoutExpired):
            pass  # the server died under it

    thread = threading.Thread(target=swallow)
    thread.start()
    deadline = time.monotonic() + 60
    while not has_come():
        assert time.monotonic() < deadline, f"'{moment}' never came"
    World.berthd.kill()
    thread.join()
    World.berthd.start()


def settle(moment):
    """The attachments, once each is attached or gone."""
    def attachments():
        found = World.berthd.list()
        return [found] if all(one["state"] == "ATTACHED" for one in found) else None

    found = until(attachments, f"an end, after the crash when {moment}", 60)[0]
    print(f"      killed when {moment}: then {'attached' if found else 'not attached'}")
    return found


def expect_nothing_left():
    until(lambda: not World.vm.opened_groups() and not World.vm.devices(), "a VM without devices", 20)
    until(lambda: {driver_of(vf) for vf in virtual_functions()} == {None}, "VFs without a driver", 20)
    assert len(virtual_functions()) == 4


if __name__ == "__main__":
    try:
        crashes = [berthd_killed_at_every_step_of_an_attach_converges, berthd_killed_at_every_step_of_a_detach_converges]
        what = crashes if "--crashes" in sys.argv else [twenty_cycles_leave_nothing]
        code = Claims([berthd_and_a_VM_are_there, *what]).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(15))
    sys.exit(code)
