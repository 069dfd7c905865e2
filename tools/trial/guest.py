"""A VM, played by dpdk-testpmd: its NIC is virtio-user on the port's vhost-user socket. It answers ARP
and ping for any address (icmpecho), and sends with a wrong source address when told to."""
import os
import re

WRONG_SOURCE = "10.1.0.99"


class Guest:
    def __init__(self, world, name, socket_path, mac, netns=None):
        self.name = name
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        argv = ["nice", "-n", "5", "stdbuf", "-oL", "dpdk-testpmd",
                "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--lcores", f"(0,1)@({cpus})",
                "--file-prefix", f"berth-{world.name}-{name}",
                f"--vdev=net_virtio_user0,path={socket_path},mac={mac},queues=1,queue_size=256",
                "--", "-i", "--auto-start", "--forward-mode=icmpecho", "--total-num-mbufs=2048",
                f"--tx-ip={WRONG_SOURCE},10.1.0.6"]
        self.child = world.spawn(name, argv, netns=netns, wants_input=True)

    def wait_ready(self):
        self.child.wait_for(r"icmpecho packet forwarding - ports=1")
        self._command("show port info 0", r"Link status: up")

    def packets(self):
        """(received, sent) by the guest's NIC since it started."""
        text = self._command("show port stats 0", r"TX-packets: \d+[^#]*#{20,}")
        received = re.search(r"RX-packets: (\d+)", text)
        sent = re.search(r"TX-packets: (\d+)", text)
        return int(received.group(1)), int(sent.group(1))

    def send_spoofed(self, count):
        """Sends UDP packets from an address that is not the guest's, then goes on answering."""
        self._command("stop", r"Done\.")
        self._command(f"set burst {count}", r"per burst set to")
        self._command("start tx_first", r"packets/burst")

    def _command(self, line, answer):
        """Types a command; returns its output up to what matches `answer`."""
        before = len(self.child.output())
        self.child.write(line)
        match = self.child.wait_for(answer, start=before)
        return match.string[before:match.end()]
