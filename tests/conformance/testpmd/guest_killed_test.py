#!/usr/bin/python3
"""A hundred guests are killed while they send: the switch survives, the next one's traffic flows, nothing leaks.

usage: guest_killed_test.py PLUGIN.so [ROUNDS]

The switch is the plugin in dpdk-testpmd with a vhost-user socket as its function. A guest is a process of its
own with the virtio driver of vhost_port.py; SIGKILL takes it in the middle of its sending. Exit code 77:
dpdk-testpmd is not installed.
"""
import os
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from testpmd import Testpmd  # noqa: E402
from vhost_port import VhostPort  # noqa: E402

PROXY, VF = 2, 3  # ethdevs 0 and 1 are the backing ports
FRAME = bytes.fromhex("0200000000fe" "020000000001" "0800" "4500002e00000000401166bb0a0100050a010006" "03e80035001a0000"
                      ) + bytes(18)
SETTLED = 10  # rounds until what is allocated once has been allocated
GROWTH_KIBIBYTES = 2048


class Switch(Testpmd):
    def __init__(self, plugin, socket):
        super().__init__(plugin, ("net_null0,no-rx=1", f"net_vhost0,iface={socket}",
                                  "net_berth0,uplink=net_null0,function=net_vhost0"))

    def hits(self, rule):
        return int(self.ask(f"flow query {PROXY} {rule} count", r"hits: (\d+)").group(1))

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kibibytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def rules(self):
        self.tell(f"flow list {PROXY}", f"show port {PROXY} flow transfer proxy")
        lines, _ = self.lines_until("proxy port ID", "flow list")
        return [text for text in lines if "=>" in text]


def guest(socket, report):
    """Sends without end, and says so after the first three frames."""
    port = VhostPort(socket)
    for count in range(1 << 30):
        port.send(FRAME)
        if count == 2:
            os.write(report, b"x")


def start_guest(socket):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            guest(socket, writing)
        finally:
            os._exit(1)
    os.close(writing)
    says = os.read(reading, 1)  # empty when it ended instead
    os.close(reading)
    return child, says == b"x"


def wait_for(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def check(plugin, rounds, directory):
    socket = os.path.join(directory, "vm.sock")
    switch = Switch(plugin, socket)
    switch.ask(f"flow create {PROXY} transfer pattern represented_port ethdev_port_id is {VF} / end "
               "actions jump group 1 / end", "rule #0 created")
    switch.ask(f"flow create {PROXY} transfer group 1 pattern represented_port ethdev_port_id is {VF} / eth / ipv4 / "
               f"udp dst is 53 / end actions count / represented_port ethdev_port_id {PROXY} / end", "rule #1 created")
    rules = switch.rules()
    files = memory = 0
    counted = 0
    idle_files = switch.files()
    for number in range(rounds):
        child, is_sending = start_guest(socket)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert is_sending, f"guest {number} could not send"
        hits = switch.hits(1)
        assert hits >= counted + 3, f"guest {number}: {hits - counted} of 3 frames were counted"
        counted = hits
        # The switch lets go of the dead guest's memory and descriptors.
        wait_for(lambda: switch.files() <= idle_files, f"guest {number}'s descriptors are closed: {switch.files()} "
                 f"files, {idle_files} without a guest")
        if number == min(SETTLED, rounds // 2):
            files, memory = switch.files(), switch.kibibytes()
    assert switch.rules() == rules, "the rules are not what they were"
    assert switch.files() == files, f"{switch.files()} files are open, {files} were"
    growth = switch.kibibytes() - memory
    assert growth < GROWTH_KIBIBYTES, f"the switch grew by {growth} KiB"
    print(f"{rounds} guests killed, {counted} frames forwarded, {files} files open, memory grew by {growth} KiB")
    switch.quit()


def main():
    if shutil.which("dpdk-testpmd") is None:
        print("SKIPPED: dpdk-testpmd is not installed")
        return 77
    plugin = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as directory:
        check(plugin, rounds, directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
