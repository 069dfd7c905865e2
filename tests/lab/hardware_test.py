#!/usr/bin/python3
"""The lab is what docs/lab.md says: an SR-IOV NIC and drive, an IOMMU, vfio-pci, hotplug slots, a wire. None of it
is ours; when something here fails, what the other lab tests say means nothing."""
import re
import socket
import sys

from inside import (Claims, DRIVE, FREE_SLOTS, NIC, PCI, WIRE, bind, driver_of, group_of, hypervisor, is_up, modprobe,
                    netdev_of, read, run, until, virtual_functions, write)

UEVENTS = 15  # NETLINK_KOBJECT_UEVENT


def the_NIC_makes_virtual_functions_that_no_driver_takes():
    modprobe("igb")
    run("ip", "link", "set", netdev_of(NIC), "up")
    write(PCI / NIC / "sriov_drivers_autoprobe", 0)
    write(PCI / NIC / "sriov_numvfs", 2)
    assert virtual_functions() == ["0000:01:10.0", "0000:01:10.2"], virtual_functions()
    assert [driver_of(vf) for vf in virtual_functions()] == [None, None]


def every_virtual_function_has_an_iommu_group_of_its_own():
    for vf in virtual_functions():
        assert [path.name for path in (PCI / vf / "iommu_group/devices").iterdir()] == [vf]


def vfio_pci_takes_one_and_offers_its_group():
    vf = virtual_functions()[0]
    bind(vf, "vfio-pci")
    until(lambda: run("test", "-c", f"/dev/vfio/{group_of(vf)}", check=False).returncode == 0, "/dev/vfio/GROUP")


def a_packet_of_a_virtual_function_reaches_the_wire():
    vf = virtual_functions()[1]
    uplink = netdev_of(NIC)
    run("ip", "link", "set", uplink, "vf", "1", "mac", "02:00:00:00:07:01")
    bind(vf, "igbvf")
    modprobe("virtio_net")
    for namespace, address, device in (("vm", "192.0.2.11", netdev_of(vf)), ("wire", "192.0.2.2", netdev_of(WIRE))):
        run("ip", "netns", "add", namespace)
        run("ip", "link", "set", device, "netns", namespace)
        run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", device)
        run("ip", "-n", namespace, "link", "set", device, "up")
    until(lambda: is_up(uplink), "the NIC's carrier")
    run("ip", "netns", "exec", "vm", "ping", "-c", "2", "-W", "10", "192.0.2.2")
    assert "02:00:00:00:07:01" in run("ip", "-n", "wire", "neighbour").stdout, "the VF does not send with its admin MAC"


def a_virtual_function_of_the_drive_can_be_bound_too():
    modprobe("nvme")
    until(lambda: driver_of(DRIVE) == "nvme", "the drive's driver")
    write(PCI / DRIVE / "sriov_drivers_autoprobe", 0)
    write(PCI / DRIVE / "sriov_numvfs", 1)
    bind(virtual_functions(DRIVE)[0], "vfio-pci")


def a_device_plugged_into_a_free_slot_appears_with_a_uevent_and_goes():
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, UEVENTS)
    events.bind((0, 1))
    events.settimeout(20)

    def wait_for(action):
        while not re.match(rf"{action}@.*/0000:03:00\.0\0", events.recv(65536).decode(errors="replace")):
            pass

    outer = hypervisor()
    outer.call("device_add", driver="igb", id="added", bus=FREE_SLOTS[0])
    wait_for("add")
    until(lambda: driver_of("0000:03:00.0") == "igb", "a driver for the new device")
    outer.call("device_del", id="added")
    assert outer.wait_for("DEVICE_DELETED", "added") is not None
    wait_for("remove")
    assert not (PCI / "0000:03:00.0").exists()
    outer.close()


def virtual_functions_go_when_nobody_has_them():
    write(PCI / NIC / "sriov_numvfs", 0)
    assert read(PCI / NIC / "sriov_numvfs") == "0" and not (PCI / "0000:01:10.0").exists()


if __name__ == "__main__":
    sys.exit(Claims([the_NIC_makes_virtual_functions_that_no_driver_takes,
                     every_virtual_function_has_an_iommu_group_of_its_own,
                     vfio_pci_takes_one_and_offers_its_group,
                     a_packet_of_a_virtual_function_reaches_the_wire,
                     a_virtual_function_of_the_drive_can_be_bound_too,
                     a_device_plugged_into_a_free_slot_appears_with_a_uevent_and_goes,
                     virtual_functions_go_when_nobody_has_them]).run())
