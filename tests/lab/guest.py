"""The VM that a function is given to: a QEMU inside the outer VM, with a Linux guest or without one.

With a guest: KVM on the AMD virtualisation that the outer, emulated CPU has. 20 seconds to its init; emulation in
emulation would take four minutes. Its init (tools/nested/inner/init) reports on the serial port.
Without (`has_guest=False`): QEMU is stopped at its first instruction. Devices are really opened, mapped and hot-plugged;
nothing in the VM uses them. Half a second.
"""
import os
import subprocess
from pathlib import Path

from inside import Qmp, modprobe, netdev_of, run, until, WIRE

CACHE = Path(os.environ.get("BERTH_LAB_CACHE", ""))
FREE_PORTS = 3


class InnerVm:
    def __init__(self, name, has_guest=True, address="198.51.100.21/24", ping="198.51.100.2", native_hotplug=None):
        self.name = name
        self.has_guest = has_guest
        self.socket = Path(f"/run/{name}.qmp")  # berthd's
        self.own_socket = Path(f"/run/{name}.test.qmp")  # ours: a monitor serves one client at a time
        self.serial = Path(f"/run/lab/{name}.serial")
        self.serial.write_text("")
        words = """-machine q35 -m 192 -nodefaults -no-user-config -no-reboot -display none
            -object memory-backend-memfd,id=ram,size=192M,share=on -numa node,memdev=ram"""
        for socket, monitor in ((self.socket, "m0"), (self.own_socket, "m1")):
            socket.unlink(missing_ok=True)
            words += f" -chardev socket,id={monitor},path={socket},server=on,wait=off -mon chardev={monitor},mode=control"
        for number in range(1, FREE_PORTS + 1):
            words += f" -device pcie-root-port,id=slot{number},chassis={number},slot={number}"
        # The guest gets what berthd leaves: there is one CPU, and nobody waits for the guest with a short deadline.
        argv = ["nice", "-n", "10", "qemu-system-x86_64", *words.split()]
        if has_guest:
            modprobe("kvm-amd")
            argv += ["-accel", "kvm", "-cpu", "host", "-serial", f"file:{self.serial}", "-kernel", CACHE / "vmlinux",
                     "-initrd", CACHE / "inner.cpio", "-append",
                     f"console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests guest.address={address} guest.ping={ping}"]
        else:
            argv += ["-accel", "tcg", "-S"]
        # Without a guest nobody could confirm an ACPI ejection. A slot that native hotplug never powered up needs
        # nobody: there the device goes at once.
        if native_hotplug if native_hotplug is not None else not has_guest:
            argv += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        self.log = Path(f"/run/lab/{name}.qemu.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.socket.exists() and self.own_socket.exists() or self._died(), f"{name}'s monitor", 60)

    def _died(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name}: QEMU ended with code {self.process.returncode}: {self.log.read_text()}")

    def wait_for(self, line, timeout=120):
        """A line that its guest has said, or will."""
        try:
            until(lambda: f"guest: {line}" in self.heard() or self._died(), f"'guest: {line}' from {self.name}", timeout)
        except AssertionError:
            print(self.heard()[-1500:])
            raise

    def heard(self):
        return self.serial.read_text(errors="replace").replace("\r", "")

    def forget(self):
        """What was heard so far counts no more."""
        with open(self.serial, "r+") as file:
            file.truncate()

    def devices(self):
        """The PCI devices that QEMU says it has behind its hotplug ports: their ids."""
        qmp = Qmp(self.own_socket)
        buses = qmp.call("query-pci")
        qmp.close()
        return [device["qdev_id"] for bus in buses for bridge in bus["devices"] if "pci_bridge" in bridge
                for device in bridge["pci_bridge"].get("devices", [])]

    def opened_groups(self):
        links = []
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                links.append(os.readlink(path))
            except FileNotFoundError:
                pass  # closed meanwhile
        return sorted(link for link in links if link.startswith("/dev/vfio/") and link != "/dev/vfio/vfio")

    def kill(self):
        self.process.kill()
        self.process.wait()


def set_up_wire(address="198.51.100.2/24"):
    """The other end of the NIC's cable, in a namespace of its own."""
    modprobe("virtio_net")
    device = netdev_of(WIRE)
    run("ip", "netns", "add", "wire")
    run("ip", "link", "set", device, "netns", "wire")
    run("ip", "-n", "wire", "address", "add", address, "dev", device)
    run("ip", "-n", "wire", "link", "set", device, "up")
    return device
