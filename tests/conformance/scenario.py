"""A scenario file: one statement a line, "#" begins a comment. docs/testing.md lists the statements.

    scenario: two VMs of one VPC on two hosts reach each other
    vpc     blue vni 7001 subnet 10.1.0.0/24 gateway 10.1.0.1
    remote  db   ip 10.1.0.6 mac 02:00:00:00:01:06 in blue
    port    web  ip 10.1.0.5 mac 02:00:00:00:01:05 in blue
    send    web  ipv4 > db / tcp 40000 > 5432
    expect  uplink ipv4 host > peer / udp > 4789 / vxlan 7001 / same-inner
"""
import re
from dataclasses import dataclass

NAME = r"[a-z][a-z0-9-]*"
ADDRESS = r"[0-9a-f.:]+"
PREFIX = r"[0-9a-f.:]+/[0-9]+"
MAC = r"[0-9a-f:]{17}"
RATE = r"\d+(?:k|M|G)bit"
RULE = (r"(?P<direction>ingress|egress) (?P<priority>\d+) (?P<action>allow|deny) (?P<protocol>tcp|udp|icmp|any)"
        rf"( remote (?P<remote>{PREFIX}))?( ports (?P<ports>[\d-]+))?")
ADDRESSES = rf"(?P<ips>ip {ADDRESS}( ip {ADDRESS})?)"

# verb -> what follows it; a longer verb stands before the one it begins with.
STATEMENTS = {
    "underlay": r"(?P<family>ipv4|ipv6)",
    "vpc": rf"(?P<vpc>{NAME}) vni (?P<vni>\d+)(?P<subnets>( subnet {PREFIX} gateway {ADDRESS})+)",
    "remote": rf"(?P<name>{NAME}) {ADDRESSES} mac (?P<mac>{MAC}) in (?P<vpc>{NAME})",
    "policy": rf"(?P<vpc>{NAME}) {RULE}",
    "group": rf"(?P<group>{NAME}) of (?P<vpc>{NAME})( {RULE})?",
    "route": rf"(?P<vpc>{NAME}) (?P<prefix>{PREFIX}) mac (?P<mac>{MAC})( vni (?P<vni>\d+))?",
    "peering": rf"(?P<vpc>{NAME}) with (?P<other>{NAME}) for (?P<prefixes>{PREFIX}( {PREFIX})*)",
    "port": (rf"(?P<name>{NAME}) {ADDRESSES} mac (?P<mac>{MAC}) in (?P<vpc>{NAME})( mtu (?P<mtu>\d+))?"
             rf"( from-vm (?P<from_vm>{RATE}))?( to-vm (?P<to_vm>{RATE}))?"
             rf"( groups (?P<groups>{NAME}( {NAME})*))?"),
    "update": (rf"(?P<name>{NAME})( from-vm (?P<from_vm>{RATE}|unlimited))?( to-vm (?P<to_vm>{RATE}|unlimited))?"
               rf"( (?P<no_groups>no groups)| groups (?P<groups>{NAME}( {NAME})*))?"),
    "detach": rf"(?P<name>{NAME})",
    "forget": rf"(?P<table>policy|group|route|peering) of (?P<vpc>{NAME})",
    "push": r"",
    "stream": rf"(?P<stream>{NAME}) (?P<name>{NAME}) (?P<frame>.+)",
    "send": rf"(?P<name>{NAME})( x (?P<count>\d+))? (?P<frame>.+)",
    "expect dropped by": rf"(?P<purpose>{NAME})",
    "expect counter": rf"(?P<name>{NAME}) (?P<counter>[a-z_]+) (?P<value>\d+)",
    "expect rule": (rf"(?P<purpose>{NAME}) of (?P<vpc>{NAME}) for (?P<key>.+) "
                    r"counts (?P<packets>\d+) packets (?P<bytes>\d+) bytes"),
    "expect host as remembered": r"",
    "expect stream": rf"(?P<stream>{NAME}) (arrives at (?P<name>{NAME})|dropped by (?P<purpose>{NAME}))",
    "expect at most": rf"(?P<rate>{RATE}|\d+pps) burst (?P<burst>\d+) at (?P<name>{NAME}) (?P<frame>.+)",
    "expect all of it at": rf"(?P<name>{NAME}) (?P<frame>.+)",
    "expect": rf"(?P<name>{NAME}) (?P<frame>.+)",
    "remember host": r"",
}


class ScenarioError(Exception):
    """The file cannot be understood."""


@dataclass
class Statement:
    line: int
    text: str
    verb: str
    words: dict


def parse(text):
    """(title, statements)"""
    title = None
    statements = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"\s+", " ", raw.split("#")[0]).strip()
        if not line:
            continue
        if title is None:
            if not line.startswith("scenario: "):
                raise ScenarioError(f"line {number}: a scenario begins with 'scenario: what it claims'")
            title = line.removeprefix("scenario: ")
            continue
        statements.append(parse_statement(number, line))
        if statements[-1].verb == "underlay" and len(statements) > 1:
            raise ScenarioError(f"line {number}: 'underlay' is the first statement: the world is built on it")
    if title is None or not any(s.verb.startswith("expect") for s in statements):
        raise ScenarioError("a scenario needs a title and something that it expects")
    return title, statements


def parse_statement(number, line):
    for verb, pattern in STATEMENTS.items():
        if line == verb or line.startswith(verb + " "):
            match = re.fullmatch(pattern, line.removeprefix(verb).strip())
            if not match:
                break
            words = {key: value for key, value in match.groupdict().items() if value is not None}
            return Statement(number, line, verb, words)
    raise ScenarioError(f"line {number}: cannot understand '{line}'")


def underlay_of(statements):
    return statements[0].words["family"] if statements and statements[0].verb == "underlay" else "ipv4"


def per_second(rate):
    """(how many, frames or bytes) of a text like "10Mbit" or "100pps"."""
    number, unit = re.fullmatch(r"(\d+)([kMG]bit|pps)", rate).groups()
    if unit == "pps":
        return int(number), "frames"
    return int(number) * {"k": 10**3, "M": 10**6, "G": 10**9}[unit[0]] / 8, "bytes"
