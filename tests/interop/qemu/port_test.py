#!/usr/bin/python3
"""VMs of a real QEMU get their ports of berthd's software eSwitch by hotplug, and give them back. No guest runs:
QEMU's own side is what is tested, and that the eSwitch sees it come and go.

    port_test.py --berthd PATH --berthctl PATH
"""
import argparse
import json
import os
import shutil
import socket
import sys
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import Agent, CallError  # noqa: E402
from trial.process import wait_until  # noqa: E402
from trial.tenants import BLUE, vpcs_toml  # noqa: E402
from trial.world import World, what_is_missing  # noqa: E402

QEMU = "qemu-system-x86_64"
QEMU_TABLE = """
[qemu]
monitor = "{folder}/vm/{{vm}}.sock"
unplug_wait_ms = 300
unplug_attempts = 2
"""
NATIVE_HOTPLUG = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
PORTS = ["-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2"]


class Vm:
    def __init__(self, world, name, arguments):
        self.monitor = world.folder / "vm" / f"{name}.sock"
        self.monitor.unlink(missing_ok=True)
        self.child = world.spawn(name, [
            QEMU, "-S", "-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "q35,memory-backend=ram",
            "-object", "memory-backend-memfd,id=ram,size=64M,share=on", "-m", "64",
            "-qmp", f"unix:{self.monitor},server=on,wait=off", *arguments])
        wait_until(lambda: self.listens() or not self.child.is_running(), 20, f"monitor of {name}")

    def listens(self):
        """The file is there a moment earlier."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.monitor)) == 0

    def devices(self):
        """Names and types of what has an id, asked by another client than berthd."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.monitor))
            lines = client.makefile("rw")
            lines.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}):
                lines.write(json.dumps(command) + "\n")
                lines.flush()
                reply = json.loads(lines.readline())
        return {item["name"]: item["type"] for item in reply["return"]}

    def kill(self):
        self.child.process.kill()
        self.child.process.wait()


class Ports(unittest.TestCase):
    world = agent = None

    def attach(self, vm, last):
        return self.agent.attach(vm, "blue", f"10.1.0.{last}", f"02:00:00:00:01:{last:02x}")

    def step(self, operation, name):
        return next(step for step in operation["steps"] if step["name"] == name)

    def test_running_vm_gets_its_port_and_gives_it_back(self):
        vm = Vm(self.world, "vm-run", NATIVE_HOTPLUG + PORTS)
        for _ in range(5):
            done = self.attach("vm-run", 20)
            step = self.step(done, "plug")
            self.assertEqual(step["status"], "done")
            device = step["detail"].split()[0]
            self.assertEqual(step["detail"], f"{device} on rp1")
            self.assertEqual(vm.devices()[device], "child<virtio-net-pci>")
            gone = self.agent.detach(done["attachment"])
            self.assertEqual(self.step(gone, "unplug")["status"], "done")
            self.assertNotIn(device, vm.devices())
        self.assertEqual(self.agent.list(), [])
        vm.kill()

    def test_vm_that_does_not_run_starts_with_what_it_is_told(self):
        done = self.attach("vm-late", 30)
        self.assertIn("when it starts", self.step(done, "plug")["detail"])
        port = json.loads(self.agent.call("vmaas", "get", done["attachment"], "--json"))["interfaces"][0]["port"]
        self.assertIn(f"path='{port['socket']}'", port["start_arguments"]["libvirt_xml"])
        vm = Vm(self.world, "vm-late", port["start_arguments"]["qemu"])
        self.assertIn("child<virtio-net-pci>", vm.devices().values())
        vm.kill()
        self.assertEqual(self.step(self.agent.detach(done["attachment"]), "unplug")["detail"], "the VM does not run")

    def test_guest_that_keeps_its_port_sends_it_into_quarantine_until_it_is_stopped(self):
        vm = Vm(self.world, "vm-deaf", PORTS)  # ACPI hotplug and a guest that stands still
        done = self.attach("vm-deaf", 40)
        step = self.step(self.agent.detach(done["attachment"]), "unplug")
        self.assertEqual(step["status"], "failed")
        self.assertIn("the guest has not let go after 2 requests", step["detail"])
        self.assertEqual([a["state"] for a in self.agent.list()], ["QUARANTINED"])
        vm.kill()
        wait_until(lambda: self.agent.list() == [], 20, "end of the quarantine")

    def test_vm_killed_with_its_port_leaves_nothing_and_a_new_one_gets_one(self):
        for _ in range(3):
            vm = Vm(self.world, "vm-shot", NATIVE_HOTPLUG + PORTS)
            done = self.attach("vm-shot", 60)
            self.assertEqual(self.step(done, "plug")["status"], "done")
            vm.kill()
            gone = self.agent.detach(done["attachment"])
            self.assertEqual(gone["state"], "DONE")
            self.assertEqual(self.step(gone, "unplug")["detail"], "the VM does not run")
            self.assertEqual(self.step(gone, "reset")["status"], "done")
            self.assertEqual(self.agent.list(), [])

    def test_vm_killed_and_started_again_is_attached_as_before(self):
        vm = Vm(self.world, "vm-again", NATIVE_HOTPLUG + PORTS)
        done = self.attach("vm-again", 70)
        vm.kill()
        self.assertEqual([one["state"] for one in self.agent.list()], ["ATTACHED"])
        arguments = json.loads(self.agent.call("vmaas", "get", done["attachment"], "--json"))["interfaces"][0]["port"]["start_arguments"]
        vm = Vm(self.world, "vm-again", NATIVE_HOTPLUG + PORTS + arguments["qemu"])
        self.assertIn("child<virtio-net-pci>", vm.devices().values())
        vm.kill()
        self.assertEqual(self.agent.detach(done["attachment"])["state"], "DONE")
        self.assertEqual(self.agent.list(), [])

    def test_vm_killed_while_its_port_is_plugged_or_unplugged_leaves_nothing(self):
        for moment in range(8):
            vm = Vm(self.world, "vm-race", NATIVE_HOTPLUG + PORTS)
            killer = threading.Timer(0.02 * moment, vm.kill)  # not to wait for anything: the moment of the kill
            killer.start()
            try:
                done = self.attach("vm-race", 80)
                self.assertEqual(self.agent.detach(done["attachment"])["state"], "DONE")
            except CallError as error:  # it went while something was asked of it
                self.assertRegex(error.text, r"reason: [A-Z_]+")
                print(error.text, flush=True)
            killer.join()
            wait_until(lambda: self.agent.list() == [], 20, "no attachment")

    def test_private_memory_is_refused_and_leaves_nothing(self):
        vm = Vm(self.world, "vm-private", PORTS + ["-machine", "memory-backend=mine",
                                                   "-object", "memory-backend-ram,id=mine,size=64M,share=off"])
        with self.assertRaises(CallError) as refused:
            self.attach("vm-private", 50)
        self.assertIn("MEMORY_NOT_SHARED", refused.exception.text)
        self.assertEqual(self.agent.list(), [])
        vm.kill()

    def test_topology_of_this_host_is_told_to_those_who_may_ask(self):
        self.assertIn("X    self", self.agent.call("operator", "topology"))
        devices = self.agent.ask("vmaas", "topology")[0].get("devices", [])
        for device in devices:
            self.assertTrue(Path("/sys/bus/pci/devices", device["address"]).exists())
        for role, words, reason in (("controller", ["topology"], "ROLE_MAY_NOT"),
                                    ("operator", ["topology", "plan", "--device", "fffe:01:02.3"], "DEVICE_UNKNOWN"),
                                    ("operator", ["topology", "plan", "--device", "3b:00"], "MALFORMED_PCI_ADDRESS")):
            with self.assertRaises(CallError) as refused:
                self.agent.call(role, *words)
            self.assertIn(reason, refused.exception.text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--berthd", required=True)
    parser.add_argument("--berthctl", required=True)
    options = parser.parse_args()
    missing = what_is_missing() + ([] if shutil.which(QEMU) else [f"{QEMU} (10.0, bookworm-backports)"])
    if missing:
        print("SKIPPED: needs", ", ".join(missing))
        return 77
    with World(f"qemu{os.getpid()}") as world:
        (world.folder / "vm").mkdir()
        agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs",
                      more=QEMU_TABLE.format(folder=world.folder))
        agent.wait_ready()
        agent.push(vpcs_toml([BLUE], world.peer_vtep))
        Ports.world, Ports.agent = world, agent
        result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
        if not result.wasSuccessful():
            print(agent.log_tail())
        return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
