#!/usr/bin/python3
"""A guest with an operating system gets all it needs from the slow path, through the whole software eSwitch.

The guest is a network namespace: the kernel's own ARP, neighbour and router discovery, with ISC's dhclient and busybox's
udhcpc. Its veth's other end is a function of the eSwitch.

usage: clients_test.py ANSWER_GUEST [unittest arguments]         exit code 77: something is missing (it says what)
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools"))

from trial.process import netns_prefix, run, wait_until  # noqa: E402
from trial.world import World, ip, what_is_missing  # noqa: E402

ANSWER_GUEST = ""
VM_MAC, GATEWAY_MAC = "02:00:00:00:01:05", "02:00:00:00:00:fe"
GATEWAY_LINK_LOCAL = "fe80::ff:fe00:fe"
PATIENCE = 15

# Clients call it with what they learned in the environment: the address is set, and then it is written down.
HOOK = """#!/bin/sh
event=${{reason:-$1}}
case "$event" in
  bound | BOUND) ip address replace ${{ip:-$new_ip_address}}/24 dev eth0 ;;
  BOUND6) ip -6 address replace $new_ip6_address/128 dev eth0 ;;
esac
env > {folder}/seen-$event.new && mv {folder}/seen-$event.new {folder}/seen-$event
"""
DHCLIENT_OPTIONS = """
option classless-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name, domain-name-servers, host-name, interface-mtu, classless-routes,
  dhcp6.name-servers, dhcp6.domain-search;
"""


class Clients(unittest.TestCase):
    def setUp(self):
        self.world = World(f"clients{os.getpid()}")
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.guest = self.world.add_namespace("guest")
        ip([f"link add berth-vf0 type veth peer name eth0 netns {self.guest}"], netns=self.world.host)
        # A veth leaves checksums to hardware that it does not have.
        for device, netns in (("berth-vf0", self.world.host), ("eth0", self.guest)):
            run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off", netns=netns)
        ip(["link set berth-vf0 up"], netns=self.world.host)
        self.eswitch = subprocess.Popen([*netns_prefix(self.world.host), ANSWER_GUEST, "berth-vf0"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_eswitch)
        self.assertEqual(self.eswitch.stdout.readline(), "ready\n")
        run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6", netns=self.guest)
        ip([f"link set eth0 address {VM_MAC} up"], netns=self.guest)
        self.hook = self.world.folder / "hook"
        self.hook.write_text(HOOK.format(folder=self.world.folder))
        self.hook.chmod(0o755)

    def end_eswitch(self):
        self.eswitch.stdin.close()
        self.eswitch.stdout.close()
        self.assertEqual(self.eswitch.wait(PATIENCE), 0)

    def in_guest(self, *argv, check=True):
        return run(*argv, netns=self.guest, check=check)

    def counters(self):
        self.eswitch.stdin.write("\n")
        self.eswitch.stdin.flush()
        return {name: int(value) for name, value in
                (word.split("=") for word in self.eswitch.stdout.readline().split())}

    def learned(self, reason):
        """What the hook was told."""
        seen = self.world.folder / f"seen-{reason}"
        wait_until(seen.exists, PATIENCE, f"the client's {reason}")
        return dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)

    def neighbour(self, address):
        shown = json.loads(self.in_guest("ip", "-j", "neighbour", "show", "to", address, "dev", "eth0").stdout)
        return shown[0].get("lladdr") if shown else None

    def addresses(self, family):
        shown = json.loads(self.in_guest("ip", "-j", f"-{family}", "address", "show", "dev", "eth0").stdout)
        return {address["local"]: address for address in shown[0].get("addr_info", [])} if shown else {}

    def wait_for_address(self, address):
        """Until duplicate address detection is over; returns what it found."""
        def result():
            found = self.addresses(6).get(address)
            return found if found and (not found.get("tentative") or found.get("dadfailed")) else None
        return wait_until(result, PATIENCE, f"the end of detection of {address}")

    def dhclient(self, family):
        config = self.world.folder / "dhclient.conf"
        config.write_text(DHCLIENT_OPTIONS)
        return self.world.spawn(f"dhclient{family}", [
            "dhclient", f"-{family}", "-d", "-cf", config, "-sf", self.hook, "-lf",
            self.world.folder / f"leases{family}", "-pf", self.world.folder / f"pid{family}", "eth0"], netns=self.guest)

    def check_ipv4_works(self):
        self.in_guest("ping", "-c", "2", "-i", "0.2", "-W", "5", "10.1.0.1")
        self.assertEqual(self.neighbour("10.1.0.1"), GATEWAY_MAC)
        self.in_guest("ping", "-c", "1", "-W", "1", "10.1.0.6", check=False)  # nobody is there: only asked for
        self.assertEqual(self.neighbour("10.1.0.6"), GATEWAY_MAC)

    def test_udhcpc_gets_a_lease(self):
        self.in_guest("udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", self.hook, "-O", "mtu", "-O", "staticroutes",
                      "-O", "hostname", "-O", "domain")
        lease = self.learned("bound")
        wanted = {"ip": "10.1.0.5", "subnet": "255.255.255.0", "router": "10.1.0.1", "dns": "10.1.0.2 10.1.0.3",
                  "mtu": "1450", "lease": "7200", "serverid": "10.1.0.1", "domain": "blue.example", "hostname": "web",
                  "staticroutes": "10.2.0.0/16 10.1.0.1 0.0.0.0/0 10.1.0.1"}
        self.assertEqual({name: lease.get(name) for name in wanted}, wanted)
        self.check_ipv4_works()

    def test_dhclient_gets_a_lease_keeps_it_and_gives_it_back(self):
        client = self.dhclient(4)
        lease = self.learned("BOUND")
        wanted = {"new_ip_address": "10.1.0.5", "new_subnet_mask": "255.255.255.0", "new_routers": "10.1.0.1",
                  "new_domain_name_servers": "10.1.0.2 10.1.0.3", "new_interface_mtu": "1450",
                  "new_domain_name": "blue.example", "new_host_name": "web", "new_dhcp_lease_time": "7200",
                  "new_classless_routes": "16 10 2 10 1 0 1 0 10 1 0 1"}
        self.assertEqual({name: lease.get(name) for name in wanted}, wanted)
        self.check_ipv4_works()
        client.stop()
        self.dhclient(4)  # with the lease of before: INIT-REBOOT
        self.learned("REBOOT")
        self.in_guest("dhclient", "-4", "-r", "-cf", self.world.folder / "dhclient.conf", "-sf", self.hook, "-lf",
                      self.world.folder / "leases4", "-pf", self.world.folder / "pid4", "eth0")
        wait_until(lambda: self.counters().get("dhcp-release"), PATIENCE, "the release")

    def test_dhclient_gets_an_ipv6_address(self):
        self.wait_for_address("fe80::ff:fe00:105")  # DHCPv6 begins with it
        self.dhclient(6)
        lease = self.learned("BOUND6")
        wanted = {"new_ip6_address": "2001:db8:1::5", "new_dhcp6_name_servers": "2001:db8:1::2",
                  "new_dhcp6_domain_search": "blue.example.", "new_max_life": "7200"}
        self.assertEqual({name: lease.get(name) for name in wanted}, wanted)
        self.assertNotIn("dadfailed", self.wait_for_address("2001:db8:1::5"))
        self.in_guest("ping", "-6", "-c", "2", "-i", "0.2", "-W", "5", "2001:db8:1::1")
        self.in_guest("ping", "-6", "-c", "1", "-W", "5", f"{GATEWAY_LINK_LOCAL}%eth0")
        self.assertEqual(self.neighbour(GATEWAY_LINK_LOCAL), GATEWAY_MAC)

    def test_the_kernel_learns_its_router_and_detects_duplicates(self):
        self.wait_for_address("fe80::ff:fe00:105")

        def routes():
            return json.loads(self.in_guest("ip", "-j", "-6", "route", "show", "dev", "eth0").stdout)
        wait_until(lambda: any(route["dst"] == "default" for route in routes()), PATIENCE, "a default route")
        default = next(route for route in routes() if route["dst"] == "default")
        self.assertEqual((default["gateway"], default["protocol"]), (GATEWAY_LINK_LOCAL, "ra"))
        self.assertFalse([route for route in routes() if route["dst"].startswith("2001:")], "nothing is on-link")
        self.assertEqual(set(self.addresses(6)), {"fe80::ff:fe00:105"}, "no autonomous address")
        mtu = self.in_guest("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").stdout.strip()
        self.assertEqual(mtu, "1450")
        ip(["address add 2001:db8:1::5/64 dev eth0", "address add 2001:db8:1::77/64 dev eth0"], netns=self.guest)
        self.assertNotIn("dadfailed", self.wait_for_address("2001:db8:1::5"))
        self.assertIn("dadfailed", self.wait_for_address("2001:db8:1::77"))

    def test_a_vm_that_floods_is_limited(self):
        ip(["address add 10.1.0.5/24 dev eth0"], netns=self.guest)
        started = time.monotonic()
        self.in_guest("ping", "-f", "-c", "3000", "-w", "5", "-q", "10.1.0.1", check=False)
        seconds = time.monotonic() - started
        counters = self.counters()
        self.assertGreater(counters["rate-limited"], 0)
        self.assertLessEqual(counters["echo"], 100 + 100 * (seconds + 1))


def missing():
    found = what_is_missing()
    return found + [f"{program} (tools/deps install test)" for program in ("dhclient", "udhcpc")
                    if not shutil.which(program)]


if __name__ == "__main__":
    ANSWER_GUEST = sys.argv.pop(1)
    if absent := missing():
        print("skipped: " + ", ".join(absent))
        sys.exit(77)
    unittest.main()
