#!/usr/bin/python3
"""Bad input to a running berthd: a clear status, a stable reason, and nothing applied.

    refusals_test.py --berthd PATH --berthctl PATH
"""
import argparse
import os
import socket
import ssl
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import Agent, CallError  # noqa: E402
from trial.process import TrialError  # noqa: E402
from trial.tenants import BLUE, vpcs_toml  # noqa: E402
from trial.world import PEER_VTEP, World, socket_in, what_is_missing  # noqa: E402

MAC = "02:00:00:00:01:05"
HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
AGENT = None  # the one berthd of all tests, with VPC blue; each test leaves it as it found it


def attach_command(vm="vm-1", vpc="blue", ip="10.1.0.5", mac=MAC, request=None):
    command = ["attach", "--vm", vm, "--vpc", vpc, "--ip", ip, "--mac", mac]
    return command + (["--request-id", request] if request else [])


class Refusals(unittest.TestCase):
    def setUp(self):
        self.before = self.state()

    def tearDown(self):
        self.assertEqual(self.state(), self.before, "a refused call changed something")

    def state(self):
        return sorted(rule["testpmd"] for rule in AGENT.rules()), AGENT.list(), AGENT.call("operator", "vpc", "list")

    def refused(self, role, command, *words):
        with self.assertRaises(CallError) as caught:
            AGENT.call(role, *command)
        self.assertEqual(caught.exception.code, 1, caught.exception.text)
        for word in words:
            self.assertIn(word, caught.exception.text)

    def pushed(self, text, *words):
        file = AGENT.world.folder / "bad.toml"
        file.write_text(text)
        self.refused("controller", ["vpc", "push", file], *words)


class BadIntents(Refusals):
    CASES = [
        (attach_command(vpc="violet"), "NOT_FOUND", "VPC_UNKNOWN"),
        (attach_command(ip="10.2.0.5"), "INVALID_ARGUMENT", "IP_OUTSIDE_SUBNET"),
        (attach_command(ip="10.1.0.1"), "INVALID_ARGUMENT", "IP_RESERVED"),
        (attach_command(ip="10.1.0.255"), "INVALID_ARGUMENT", "IP_RESERVED"),
        (attach_command(ip="10.1.0.6"), "ALREADY_EXISTS", "IP_TAKEN"),  # by a VM of the other host
        (attach_command(mac=BLUE.peer_mac), "ALREADY_EXISTS", "MAC_TAKEN"),
        (attach_command(ip="10.1.0"), "INVALID_ARGUMENT", "MALFORMED_IP"),
        (attach_command(ip="fd00::5"), "INVALID_ARGUMENT", "IP_OUTSIDE_SUBNET"),
        (attach_command(mac="02:00:00:00:01"), "INVALID_ARGUMENT", "MALFORMED_MAC"),
        (attach_command(mac="ff:ff:ff:ff:ff:ff"), "INVALID_ARGUMENT", "MAC_NOT_UNICAST"),
        (attach_command(vm="../vm"), "INVALID_ARGUMENT", "MALFORMED_ID"),
        (attach_command(vm="v" * 64), "INVALID_ARGUMENT", "MALFORMED_ID"),
        (attach_command(vpc=""), "INVALID_ARGUMENT", "MALFORMED_ID"),
        (["get", "att-nobody"], "NOT_FOUND", "ATTACHMENT_UNKNOWN"),
        (["detach", "att-nobody"], "NOT_FOUND", "ATTACHMENT_UNKNOWN"),
    ]

    def test_each_is_refused_by_code_and_reason(self):
        for command, code, reason in self.CASES:
            with self.subTest(command=" ".join(command)):
                self.refused("vmaas", command, code, reason)


class SecondAttach(Refusals):
    def setUp(self):
        super().setUp()
        self.request = self._testMethodName  # an id is never used for two things, as a VMaaS would not
        self.first = AGENT.ask("vmaas", *attach_command(request=self.request))[-1]
        self.assertEqual(self.first["state"], "DONE")
        self.held = self.state()

    def tearDown(self):
        self.assertEqual(self.state(), self.held, "a refused call changed something")
        AGENT.detach(self.first["attachment"])
        super().tearDown()

    def test_the_same_request_is_the_same_operation(self):
        again = AGENT.ask("vmaas", *attach_command(request=self.request))[-1]
        self.assertEqual((again["operation"], again["attachment"]),
                         (self.first["operation"], self.first["attachment"]))

    def test_anything_that_collides_is_refused(self):
        for command, reason in [
                (attach_command(request="req-2"), "VM_ALREADY_ATTACHED"),
                (attach_command(vm="vm-2", mac="02:00:00:00:01:07", request="req-3"), "IP_TAKEN"),
                (attach_command(vm="vm-2", ip="10.1.0.7", request="req-4"), "MAC_TAKEN"),
                (attach_command(vm="vm-2", ip="10.1.0.7", mac="02:00:00:00:01:07", request=self.request),
                 "REQUEST_ID_REUSED")]:
            with self.subTest(reason=reason):
                self.refused("vmaas", command, reason)

    def test_a_vpc_in_use_cannot_be_withdrawn(self):
        self.pushed("", "VPC_IN_USE", "blue")


class BadPushes(Refusals):
    def test_one_error_for_every_bad_resource_and_nothing_applied(self):
        text = vpcs_toml((BLUE,), PEER_VTEP)
        twin = text.replace('"blue"', '"twin"')
        self.pushed(text + twin, "VNI_TAKEN", "twin")
        self.pushed(text.replace("vni = 7001", "vni = 16777216"), "MALFORMED_VNI", "blue")
        self.pushed(text.replace('gateway = "10.1.0.1"', 'gateway = "10.9.0.1"'), "GATEWAY_OUTSIDE_SUBNET")
        self.pushed(text.replace("10.1.0.0/24", "10.1.0.0/33"), "MALFORMED_PREFIX")


class WrongCallers(Refusals):
    def test_roles_may_only_what_is_theirs(self):
        file = AGENT.world.folder / "good.toml"
        file.write_text(vpcs_toml((BLUE,), PEER_VTEP))
        for role, command in [("controller", attach_command()), ("operator", attach_command()),
                              ("vmaas", ["vpc", "push", file]), ("operator", ["vpc", "push", file]),
                              ("vmaas", ["show", "rules"]), ("controller", ["show", "rules"]),
                              ("operator", ["detach", "att-1"]), ("agent", ["list"])]:
            with self.subTest(role=role, command=command[0]):
                self.refused(role, command, "PERMISSION_DENIED")

    def test_a_certificate_of_a_foreign_authority_gets_no_answer(self):
        with self.assertRaises(CallError):
            AGENT.call("foreign-vmaas", "list")

    def test_no_certificate_gets_no_answer(self):
        self.assertEqual(self.first_bytes(ssl.TLSVersion.TLSv1_3, None), b"")

    def test_a_good_certificate_gets_one(self):
        self.assertEqual(self.first_bytes(ssl.TLSVersion.TLSv1_3, "vmaas")[3:4], b"\x04")  # SETTINGS

    def test_tls_1_2_gets_none(self):
        self.assertEqual(self.first_bytes(ssl.TLSVersion.TLSv1_2, "vmaas"), b"")

    def first_bytes(self, version, role):
        """What the server says to an HTTP/2 greeting; b"" when it closes or refuses."""
        certs = AGENT.world.folder / "certs"
        context = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2"])
        if role:
            context.load_cert_chain(certs / f"{role}.crt", certs / f"{role}.key")
        address, port = AGENT.endpoint.split(":")
        plain = socket_in(AGENT.world.host, socket.AF_INET, socket.SOCK_STREAM)
        plain.settimeout(10)
        plain.connect((address, int(port)))
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(HTTP2_GREETING)
                return tls.recv(9)
        except (ssl.SSLError, ConnectionError):
            return b""


def main():
    global AGENT
    parser = argparse.ArgumentParser()
    parser.add_argument("--berthd", type=Path, required=True)
    parser.add_argument("--berthctl", type=Path, required=True)
    options = parser.parse_args()
    missing = what_is_missing()
    if missing:
        print("SKIPPED: this needs " + ", ".join(missing))
        return 77
    with World(f"r{os.getpid()}") as world:
        AGENT = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs")
        try:
            AGENT.wait_ready()
            AGENT.push(vpcs_toml((BLUE,), PEER_VTEP))
        except TrialError as error:
            print(f"FAILED: {error}")
            return 1
        program = unittest.main(argv=sys.argv[:1], exit=False)
        if not program.result.wasSuccessful():
            print("The end of berthd's log:\n" + AGENT.log_tail())
        return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
