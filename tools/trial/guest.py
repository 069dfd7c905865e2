"""A VM, played by dpdk-testpmd: its NIC is virtio-user on the port's vhost-user socket. What it does with
packets is testpmd's forward mode: icmpecho answers ARP and ping for any address, 5tswap sends everything back
where it came from, rxonly counts. It sends packets of its own when told to, from `addresses`."""
import os
import re

from .process import wait_until, run
from .world import allow_ipv6, ip

WRONG_SOURCE = "10.1.0.99"


def testpmd(world, name, socket_path, mac):
    """The command line of one whose port 0 is the VM's NIC, up to what belongs to the application."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return ["nice", "-n", "5", "stdbuf", "-oL", "dpdk-testpmd",
            "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--lcores", f"(0,1)@({cpus})",
            "--file-prefix", f"berth-{world.name}-{name}",
            f"--vdev=net_virtio_user0,path={socket_path},mac={mac},queues=1,queue_size=256"]


class Guest:
    def __init__(self, world, name, socket_path, mac, netns=None, mode="icmpecho",
                 addresses=(WRONG_SOURCE, "10.1.0.6")):
        self.name = name
        self.mode = mode
        argv = [*testpmd(world, name, socket_path, mac), "--", "-i", "--auto-start", f"--forward-mode={mode}", "--total-num-mbufs=2048",
                f"--tx-ip={','.join(addresses)}"]
        self.child = world.spawn(name, argv, netns=netns, wants_input=True)

    def wait_ready(self):
        self.child.wait_for(rf"{self.mode} packet forwarding - ports=1")
        self._command("show port info 0", r"Link status: up")

    def packets(self):
        """(received, sent) by the guest's NIC since it started."""
        text = self._command("show port stats 0", r"TX-packets: \d+[^#]*#{20,}")
        received = re.search(r"RX-packets: (\d+)", text)
        sent = re.search(r"TX-packets: (\d+)", text)
        return int(received.group(1)), int(sent.group(1))

    def send(self, count):
        """Sends UDP packets between its two `addresses`, then goes on in its forward mode."""
        self._command("stop", r"Done\.")
        self._command(f"set burst {count}", r"per burst set to")
        self._command("start tx_first", r"packets/burst")

    def _command(self, line, answer):
        """Types a command; returns its output up to what matches `answer`."""
        before = len(self.child.output())
        self.child.write(line)
        match = self.child.wait_for(answer, start=before)
        return match.string[before:match.end()]


class LinuxGuest:
    """A VM that is Linux: a namespace whose eth0 is a tap device, and testpmd carries frames between that and
    the port. It has its addresses already and knows its gateways; it asks for their MACs as any host does."""

    def __init__(self, world, name, socket_path, mac, ipv4, ipv6, gateways):
        self.netns = world.add_namespace(name)
        self._addresses, self._gateways = (ipv4, ipv6), gateways
        argv = [*testpmd(world, name, socket_path, mac), f"--vdev=net_tap0,iface=eth0,mac={mac}",
                "--", "-i", "--auto-start", "--forward-mode=io", "--total-num-mbufs=2048"]
        self.child = world.spawn(name, argv, netns=self.netns, wants_input=True)

    def wait_ready(self):
        self.child.wait_for(r"io packet forwarding - ports=2")
        wait_until(lambda: run("ip", "link", "show", "eth0", netns=self.netns, check=False).returncode == 0, 10, "eth0")
        allow_ipv6("eth0", self.netns)
        ipv4, ipv6 = self._addresses
        ip([f"address add {ipv4}/24 dev eth0", f"address add {ipv6}/128 dev eth0 nodad", "link set eth0 up",
            f"route add default via {self._gateways[0]} dev eth0",
            f"route add default via {self._gateways[1]} dev eth0 onlink"], netns=self.netns)
