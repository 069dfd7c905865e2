"""The network of the tests: br-int with two VMs and a tunnel port, br-phy with the wire, and all three's other ends."""
from private_ovs import BACKINGS, PROXY_ETHDEV, PrivateOvs, wait_for
from telemetry import Telemetry
from vhost_port import VhostPort

UPLINK, VF0, VF1 = (PROXY_ETHDEV + number for number in range(3))
PORTS = dict(zip(BACKINGS, (UPLINK, VF0, VF1)))
MAC = {"vm0": "02:00:00:00:00:01", "vm1": "02:00:00:00:00:02", "router": "02:00:00:00:00:fe",
       "uplink": "02:aa:00:00:00:02", "host": "02:aa:00:00:00:01"}
HOST_VTEP, PEER_VTEP = "192.168.77.1", "192.168.77.2"
TO_PHY = "patch-int"  # br-int's way to br-phy


class Bridges:
    """Open vSwitch with its two bridges, the guests and the wire."""

    def __init__(self, folder, plugin):
        self.ovs = PrivateOvs(folder, plugin)
        self.inside = ("nsenter", "-t", str(self.ovs.vswitchd.pid), "-n")
        self.eswitch = None
        self.guests = {}
        self.sent = 0
        try:
            self._build(folder)
        except BaseException:
            self.close()
            raise

    def _build(self, folder):
        # The kernel's own IPv6 says hello on every bridge.
        self.ovs.run(*self.inside, "sh", "-c", "for one in /proc/sys/net/ipv6/conf/*/disable_ipv6; do "
                     "[ ! -e $one ] || echo 1 > $one; done")
        bridge = "datapath_type=netdev fail_mode=secure".split()
        self.ovs.vsctl("add-br", "br-phy", "--", "set", "bridge", "br-phy", *bridge,
                       f"other-config:hwaddr={MAC['host']}")
        self.ovs.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", *bridge)
        # The proxy first, the representors behind it (HP-42).
        self.add_port("br-phy", "wire", "net_berth0")
        self.add_port("br-int", "vm0", "net_berth0,representor=vf0")
        self.add_port("br-int", "vm1", "net_berth0,representor=vf1")
        self.ovs.vsctl(
            "add-port", "br-int", TO_PHY, "--", "set", "interface", TO_PHY, "type=patch", "options:peer=patch-phy",
            "--", "add-port", "br-phy", "patch-phy", "--", "set", "interface", "patch-phy", "type=patch",
            f"options:peer={TO_PHY}", "--", "add-port", "br-int", "tunnel", "--", "set", "interface", "tunnel",
            "type=vxlan", f"options:remote_ip={PEER_VTEP}", "options:key=7001")
        self.ovs.run(*self.inside, "ip", "address", "add", f"{HOST_VTEP}/24", "dev", "br-phy")
        self.ovs.run(*self.inside, "ip", "link", "set", "br-phy", "up")
        self.ovs.appctl("tnl/neigh/set", "br-phy", PEER_VTEP, MAC["uplink"])
        self.ovs.ofctl("br-phy", "add-flow", "in_port=LOCAL,actions=output:wire")
        self.ovs.ofctl("br-phy", "add-flow", "in_port=patch-phy,actions=output:wire")
        self.ovs.ofctl("br-phy", "add-flow", f"priority=9,in_port=wire,ip,nw_dst={HOST_VTEP},actions=LOCAL")
        self.ovs.ofctl("br-phy", "add-flow", "priority=1,in_port=wire,actions=output:patch-phy")

        self.eswitch = Telemetry(f"{folder}/dpdk/berth-ovs/dpdk_telemetry.v2")
        self.guests = {name: VhostPort(f"{folder}/{name}.sock") for name in BACKINGS}

    def add_port(self, bridge, name, device):
        self.ovs.vsctl("add-port", bridge, name, "--", "set", "interface", name, "type=dpdk",
                       f"options:dpdk-devargs={device}", "options:n_rxq_desc=512", "options:n_txq_desc=512")
        error = self.ovs.vsctl("get", "interface", name, "error").strip()
        assert error == "[]", f"{name}: {error}{self.ovs.log_tail()}"

    def rules(self, source=None):
        return [rule for rule in self.eswitch.rules(PROXY_ETHDEV) if source in (None, rule.source)]

    def send(self, name, frame, count=1):
        for _ in range(count):
            self.guests[name].send(bytes(frame))
        self.sent += count

    def receive(self, name, count):
        """So many frames, or as many as come."""
        frames = []
        while len(frames) < count and (frame := self.guests[name].receive(5)) is not None:
            frames.append(frame)
        return frames

    def is_settled(self):
        """Open vSwitch has taken every packet that missed."""
        numbers = [self.eswitch.ask(f"/ethdev/xstats,{port}") for port in PORTS.values()]
        return all(port["missed_packets"] == port["miss_dropped_packets"] + port["rx_good_packets"]
                   for port in numbers)

    def drain(self):
        """What arrives anywhere until nothing does for a while."""
        wait_for(self.is_settled, "Open vSwitch takes what missed")
        frames = []
        while arrived := [frame for guest in self.guests.values() if (frame := guest.receive(0.1)) is not None]:
            frames += arrived
        return frames

    def close(self):
        """The exit code of ovs-vswitchd."""
        for guest in self.guests.values():
            guest.close()
        if self.eswitch is not None:
            self.eswitch.close()
        try:
            return self.ovs.stop()
        finally:
            self.ovs.kill()
