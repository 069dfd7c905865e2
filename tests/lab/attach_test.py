#!/usr/bin/python3
"""A VM gets a VF of the NIC, and a drive with it, through berthd's API; a packet crosses to the wire; it gives both back.

Real: kernel, igb, vfio-pci, QEMU, the guest. WHAT FORWARDS THE PACKET IS NOT BERTH: igb has a switch of its own and no
rules. Berth's rules for this port are held by the software eSwitch, and counted there, and see none of its packets.
"""
import os
import sys

from berth import Berthd
from guest import InnerVm, set_up_wire
from inside import (Claims, DRIVE, NIC, PCI, Qmp, driver_of, group_of, is_up, modprobe, netdev_of, read, run, until,
                    virtual_functions)

MAC = "02:00:00:00:01:05"
HOST = f"""\
functions = "vf"
provider = "pool"
pfs = ["{NIC}"]
devices = ["{DRIVE}"]
"""


class World:
    berthd = vm = operation = None


def berthd_starts_and_makes_the_VFs_once_without_drivers():
    modprobe("igb", "nvme", "vfio-pci")
    run("ip", "link", "set", netdev_of(NIC), "up")
    until(lambda: driver_of(DRIVE) == "nvme", "the drive's driver")
    set_up_wire()
    World.vm = InnerVm("vm-1")
    World.vm.wait_for("up")
    World.berthd = Berthd(sys.argv[1], HOST)
    World.berthd.start()
    World.berthd.push_vpc()
    assert len(virtual_functions()) == 4
    assert {driver_of(vf) for vf in virtual_functions()} == {None}
    assert read(PCI / NIC / "sriov_drivers_autoprobe") == "0"
    until(lambda: is_up(netdev_of(NIC)), "the NIC's carrier")


def an_attach_ends_with_the_function_and_the_drive_in_the_VM():
    World.operation = World.berthd.attach("vm-1", MAC, "10.1.0.5", "--device", DRIVE)
    for step in World.operation["steps"]:
        print(f"      {step['name']:8} {step['status']:15} {step['micros']:>9} us  {step['detail']}")
    assert World.operation["state"] == "DONE", World.operation
    vf = virtual_functions()[0]
    assert (driver_of(vf), driver_of(DRIVE)) == ("vfio-pci", "vfio-pci")
    wanted = sorted([f"/dev/vfio/{group_of(vf)}", f"/dev/vfio/{group_of(DRIVE)}"])
    assert World.vm.opened_groups() == wanted, World.vm.opened_groups()
    assert len(World.vm.devices()) == 2, World.vm.devices()


def the_guest_has_them_by_hotplug():
    World.vm.wait_for(f"netdev eth0 up {MAC}")
    World.vm.wait_for("block nvme0n1 reads berth-lab-nvme")


def a_packet_of_the_guest_reaches_the_wire():
    World.vm.wait_for("netdev eth0 ping ok")
    assert MAC in run("ip", "-n", "wire", "neighbour").stdout
    print("      NOTE: forwarded by igb's own switch; a legacy NIC knows no rules of ours")


def a_detach_ends_with_both_out_of_the_VM():
    operation = World.berthd.detach(World.operation["attachment"])
    for step in operation["steps"]:
        print(f"      {step['name']:8} {step['status']:15} {step['micros']:>9} us  {step['detail']}")
    assert operation["state"] == "DONE" and not operation.get("fault"), operation
    World.vm.wait_for("eth0 gone")
    World.vm.wait_for("nvme0n1 gone")
    assert World.vm.opened_groups() == [] and World.vm.devices() == []
    assert World.berthd.list() == []


def the_function_was_reset_and_is_back_in_the_pool():
    vf = virtual_functions()[0]
    assert driver_of(vf) is None and read(PCI / vf / "driver_override") == "(null)"
    assert driver_of(DRIVE) is None and read(PCI / DRIVE / "driver_override") == "(null)"
    assert "vf 0 " in run("ip", "link", "show", netdev_of(NIC)).stdout
    assert MAC not in run("ip", "link", "show", netdev_of(NIC)).stdout, "the PF remembers the tenant's MAC"


def a_guest_that_ignores_the_unplug_keeps_the_function_and_nobody_else_gets_it():
    World.vm.forget()
    World.operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
    World.vm.wait_for("netdev eth0 ping ok")
    vf = next(vf for vf in virtual_functions() if driver_of(vf))
    monitor = Qmp(World.vm.own_socket)
    monitor.call("stop")  # the guest hears nothing any more
    operation = World.berthd.detach(World.operation["attachment"])
    assert operation["fault"]["reason"] == "GUEST_IGNORES_UNPLUG", operation
    assert driver_of(vf) == "vfio-pci" and World.vm.opened_groups() == [f"/dev/vfio/{group_of(vf)}"]
    other = World.berthd.attach("vm-2", "02:00:00:00:01:06", "10.1.0.6")  # a VM that does not run
    assert other["interfaces"][0]["port"]["pci_address"] != vf, other
    World.berthd.detach(other["attachment"])
    monitor.call("cont")  # it hears at last
    monitor.close()
    World.vm.wait_for("eth0 gone")
    until(lambda: not World.berthd.list(), "the end of the quarantine")
    assert driver_of(vf) is None and read(PCI / vf / "driver_override") == "(null)"


def a_killed_QEMU_gives_the_function_back():
    World.operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
    vf = next(vf for vf in virtual_functions() if driver_of(vf))
    World.vm.kill()
    assert World.berthd.detach(World.operation["attachment"])["state"] == "DONE"
    assert driver_of(vf) is None and World.berthd.list() == []
    World.berthd.stop()


if __name__ == "__main__":
    try:
        code = Claims([berthd_starts_and_makes_the_VFs_once_without_drivers,
                       an_attach_ends_with_the_function_and_the_drive_in_the_VM,
                       the_guest_has_them_by_hotplug,
                       a_packet_of_the_guest_reaches_the_wire,
                       a_detach_ends_with_both_out_of_the_VM,
                       the_function_was_reset_and_is_back_in_the_pool,
                       a_guest_that_ignores_the_unplug_keeps_the_function_and_nobody_else_gets_it,
                       a_killed_QEMU_gives_the_function_back]).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(15))
    sys.exit(code)
