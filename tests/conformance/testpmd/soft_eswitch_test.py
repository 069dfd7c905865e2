#!/usr/bin/python3
"""The software eSwitch as a plugin of dpdk-testpmd: rules typed by hand work as on a NIC.

usage: soft_eswitch_test.py PLUGIN.so PRINT_RULES [unittest arguments]

No root, hugepages or sockets. Functions are net_null ports; the first one sends endless frames, which
shows that the switch runs by itself on a service core. Exit code 77: dpdk-testpmd is not installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from testpmd import ON_ONE_CORE, Testpmd, command_line

PLUGIN = PRINT_RULES = ""
PROXY, VF0, VF1 = 3, 4, 5  # ethdevs 0..2 are the backing ports

SET_VXLAN = ("set vxlan ip-version ipv4 vni 7001 udp-src 0 udp-dst 4789 ip-src 10.0.0.1 ip-dst 10.0.0.2 "
             "eth-src 02:aa:00:00:00:01 eth-dst 02:aa:00:00:00:02")


def create(text):
    text = text.replace("from:", "represented_port ethdev_port_id is ").replace("to:", "represented_port ethdev_port_id ")
    return f"flow create {PROXY} transfer {text}"


RULES = [
    create(f"pattern from:{VF0} / end actions jump group 1 / end"),
    create(f"group 1 priority 9 pattern from:{VF0} / eth / end actions count / drop / end"),
    create(f"group 1 pattern from:{VF0} / eth src is 02:00:00:00:00:01 has_vlan is 0 / ipv4 src is 10.1.0.5 / end "
           "actions count / modify_field op set dst_type tag dst_level 0 src_type value src_value 591b0000 width 32 "
           "/ jump group 2 / end"),
    create(f"group 2 pattern from:{VF0} / eth / ipv4 dst spec 10.1.0.0 dst mask 255.255.255.0 / tcp dst is 22 / end "
           "actions drop / end"),
    SET_VXLAN,
    create(f"group 3 pattern from:{VF0} / tag index is 0 data is 7001 / eth / ipv4 dst is 10.1.0.6 / end actions "
           "count / modify_field op set dst_type mac_dst src_type value src_value 020000000002 width 48 / "
           f"vxlan_encap / to:{PROXY} / end"),
    create(f"group 1 pattern from:{PROXY} / eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 7001 / "
           "end actions vxlan_decap / count / jump group 4 / end"),
]

VDEVS = ("net_null0,no-rx=1", "net_null1", "net_null2,no-rx=1",
         "net_berth0,uplink=net_null0,function=net_null1,function=net_null2")


def play(commands):
    """Runs testpmd with the commands and returns what it printed. No packet moves."""
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "commands")
        with open(script, "w") as file:
            file.write("\n".join([*commands, "quit"]) + "\n")
        done = subprocess.run([*command_line(PLUGIN, VDEVS, ON_ONE_CORE), f"--cmdline-file={script}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60)
        return done.stdout


class SoftEswitch(unittest.TestCase):
    def test_only_proxy_and_representors_are_ports(self):
        output = play(["show port summary all", f"show port {VF1} flow transfer proxy"])
        names = re.findall(r"^\d+ +[0-9A-F:]{17} (\S+) +net_berth", output, re.M)
        self.assertEqual(names, ["net_berth0", "net_berth0_representor_vf0", "net_berth0_representor_vf1"])
        self.assertRegex(output, rf"Transfer proxy port ID: {PROXY}")

    def test_rules_are_created_listed_queried_and_destroyed(self):
        output = play([*RULES, f"flow list {PROXY}", f"flow query {PROXY} 1 count", f"flow destroy {PROXY} rule 1",
                       f"flow list {PROXY}", f"flow flush {PROXY}", f"flow dump {PROXY} all"])
        self.assertEqual(output.count("Flow rule #"), 6 + 1, output)
        self.assertNotIn("port_flow_complain", output)
        self.assertIn("REPRESENTED_PORT TAG ETH IPV4 => COUNT MODIFY_FIELD VXLAN_ENCAP REPRESENTED_PORT", output)
        self.assertIn("hits_set: 1", output)
        self.assertEqual(output.count("=> COUNT DROP"), 1, output)
        self.assertNotIn("flow create", output.split("Flow rule #1 destroyed")[1])

    def test_a_dump_typed_back_gives_the_same_rules(self):
        first = play([*RULES, f"flow dump {PROXY} all"])
        dumped = [line for line in first.splitlines() if line.startswith(("flow create", "set vxlan"))]
        self.assertEqual(len(dumped), 7, first)
        second = play([*dumped, f"flow dump {PROXY} all"])
        self.assertEqual([line for line in second.splitlines() if line.startswith(("flow create", "set vxlan"))],
                         dumped)

    def test_refusals_say_which_point_of_the_profile_is_broken(self):
        output = play([
            create("group 1 pattern eth / end actions drop / end"),
            create(f"group 1 pattern from:{VF0} / eth / ipv4 src spec 10.0.0.1 src last 10.0.0.9 src mask "
                   "255.255.255.255 / end actions drop / end"),
            create(f"group 1 pattern from:{VF0} / eth / end actions jump group 1 / end"),
            f"flow validate {PROXY} ingress pattern eth / end actions drop / end",
        ])
        self.assertEqual(re.findall(r"HP-\d+", output), ["HP-02", "HP-12", "HP-03", "HP-01"], output)

    def test_what_berth_prints_can_be_typed(self):
        lines = subprocess.run([PRINT_RULES], capture_output=True, text=True, check=True).stdout.splitlines()
        created = sum(line.startswith("flow create") for line in lines)
        self.assertGreater(created, 30)
        output = play(lines)
        refused = [line for line in output.splitlines() if "error" in line.lower() or "Bad arguments" in line]
        self.assertEqual(refused, [], output)
        self.assertEqual(len(re.findall(r"Flow rule #\d+ created", output)), created, output)

    def test_the_switch_runs_by_itself_on_a_service_core(self):
        session = Testpmd(PLUGIN, VDEVS)
        try:
            session.ask(create(f"pattern from:{VF0} / end actions jump group 1 / end"), "rule #0 created")
            session.ask(create(f"group 1 pattern from:{VF0} / eth / end actions count / to:{VF1} / end"),
                        "rule #1 created")
            deadline = time.monotonic() + 30
            while int(session.ask(f"flow query {PROXY} 1 count", r"hits: (\d+)")[1]) == 0:
                self.assertLess(time.monotonic(), deadline, "no packet reached the rule")
            self.assertGreater(int(session.ask(f"show port xstats {VF1}", r"function_sent_packets: (\d+)")[1]), 0)
        finally:
            session.quit()


if __name__ == "__main__":
    if shutil.which("dpdk-testpmd") is None:
        print("SKIPPED: dpdk-testpmd is not installed (package dpdk-dev)", file=sys.stderr)
        sys.exit(77)
    PLUGIN = os.path.abspath(sys.argv.pop(1))
    PRINT_RULES = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
