#!/usr/bin/python3
"""Twenty times attach and detach, into a real QEMU by hotplug: nothing is left, nothing grows.

The VM has no guest (tests/lab/guest.py says what that leaves out), which makes a cycle a matter of seconds;
attach_test.py has one. Then berthd is killed in the middle of both, at every step, and comes back.
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
pf = "{NIC}"
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
    assert operation["state"] == "DONE", operation


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


def berthd_killed_at_any_moment_of_an_attach_converges():
    for delay in (0.0, 0.1, 0.25, 0.5, 0.9):
        killed_during(lambda: World.berthd.attach("vm-1", MAC, "10.1.0.5"), delay)
        state = until(settled, f"an end of the attach that was interrupted after {delay} s", 60)
        print(f"      killed {delay:.2f} s into the attach: then {state or 'not attached'}")
        for attachment in World.berthd.list():
            World.berthd.detach(attachment["attachment"])
        expect_nothing_left()


def berthd_killed_at_any_moment_of_a_detach_converges():
    for delay in (0.0, 0.2, 0.5):
        operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
        killed_during(lambda: World.berthd.detach(operation["attachment"]), delay)
        until(lambda: not World.berthd.list(), f"the end of the detach that was interrupted after {delay} s", 60)
        expect_nothing_left()


def killed_during(call, delay):
    def swallow():
        try:
            call()
        except (CallError, subprocess.TimeoutExpired):
            pass  # the server died under it

    thread = threading.Thread(target=swallow)
    thread.start()
    time.sleep(delay)  # not a wait for anything: when the crash comes
    World.berthd.kill()
    thread.join()
    World.berthd.start()


def settled():
    """"attached" or "" when nothing is pending any more."""
    states = [attachment["state"] for attachment in World.berthd.list()]
    if not states:
        return "nothing"
    return states[0] if states[0] in ("ATTACHED", "FAILED") else None


def expect_nothing_left():
    until(lambda: not World.vm.opened_groups() and not World.vm.devices(), "a VM without devices", 20)
    until(lambda: {driver_of(vf) for vf in virtual_functions()} == {None}, "VFs without a driver", 20)
    assert len(virtual_functions()) == 4


if __name__ == "__main__":
    try:
        code = Claims([berthd_and_a_VM_are_there,
                       twenty_cycles_leave_nothing,
                       berthd_killed_at_any_moment_of_an_attach_converges,
                       berthd_killed_at_any_moment_of_a_detach_converges]).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(15))
    sys.exit(code)
