#!/usr/bin/python3
"""A function that a DPU plugs into the host, attached to a VM: a true PCIe hotplug, uevents, vfio-pci, QEMU, a guest.

Real: all of that. Not real: the DPU. fake_virtnet takes the place of its controller's command line, and the outer
hypervisor that of its silicon. The packet goes over the emulated cable; no rule of Berth's sees it.
"""
import sys
from pathlib import Path

from berth import Berthd
from guest import InnerVm, set_up_wire
from inside import Claims, NIC, PCI, driver_of, modprobe, netdev_of, run, until

MAC = "02:00:00:00:01:05"
FUNCTION = "0000:03:00.0"
HOST = f"""\
functions = "vf"
provider = "virtnet"
virtnet = "{Path(__file__).resolve().parent}/fake_virtnet"
"""


class World:
    berthd = vm = operation = None


def berthd_and_a_guest_are_there():
    modprobe("vfio-pci", "virtio_net", "igb")
    # The cable is QEMU's hub, which holds every frame until everybody on it can take one.
    run("ip", "link", "set", netdev_of(NIC), "up")
    set_up_wire()
    World.vm = InnerVm("vm-1")
    World.vm.wait_for("up")
    World.berthd = Berthd(sys.argv[1], HOST, functions=2)
    World.berthd.start()
    World.berthd.push_vpc()
    assert not (PCI / FUNCTION).exists()


def an_attach_plugs_the_function_into_the_host_and_on_into_the_VM():
    World.operation = World.berthd.attach("vm-1", MAC, "10.1.0.5")
    for step in World.operation["steps"]:
        print(f"      {step['name']:8} {step['status']:15} {step['micros']:>9} us  {step['detail']}")
    assert World.operation["state"] == "DONE", World.operation
    expose = next(step for step in World.operation["steps"] if step["name"] == "expose")
    assert "uevent seen" in expose["detail"], expose
    assert driver_of(FUNCTION) == "vfio-pci" and len(World.vm.opened_groups()) == 1


def a_packet_of_the_guest_reaches_the_wire_with_its_MAC():
    World.vm.wait_for(f"netdev eth0 up {MAC}")
    World.vm.wait_for("netdev eth0 ping ok")
    assert MAC in run("ip", "-n", "wire", "neighbour").stdout


def a_detach_takes_it_out_of_the_VM_and_of_the_host():
    operation = World.berthd.detach(World.operation["attachment"])
    for step in operation["steps"]:
        print(f"      {step['name']:8} {step['status']:15} {step['micros']:>9} us  {step['detail']}")
    assert operation["state"] == "DONE" and not operation.get("fault"), operation
    World.vm.wait_for("eth0 gone")
    until(lambda: not (PCI / FUNCTION).exists(), "the end of the function on the host")
    assert World.vm.opened_groups() == [] and World.berthd.list() == []


def the_same_again():
    World.vm.forget()
    an_attach_plugs_the_function_into_the_host_and_on_into_the_VM()
    a_packet_of_the_guest_reaches_the_wire_with_its_MAC()
    a_detach_takes_it_out_of_the_VM_and_of_the_host()


if __name__ == "__main__":
    try:
        code = Claims([berthd_and_a_guest_are_there,
                       an_attach_plugs_the_function_into_the_host_and_on_into_the_VM,
                       a_packet_of_the_guest_reaches_the_wire_with_its_MAC,
                       a_detach_takes_it_out_of_the_VM_and_of_the_host,
                       the_same_again]).run()
    finally:
        if World.berthd:
            print("berthd's last words:\n" + World.berthd.log_tail(15))
    sys.exit(code)
