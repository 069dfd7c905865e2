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
ADDRESS = r"[0-9.]+"
PREFIX = r"[0-9.]+/[0-9]+"
MAC = r"[0-9a-f:]{17}"

# verb -> what follows it; a longer verb stands before the one it begins with.
STATEMENTS = {
    "vpc": rf"(?P<vpc>{NAME}) vni (?P<vni>\d+) subnet (?P<subnet>{PREFIX}) gateway (?P<gateway>{ADDRESS})",
    "remote": rf"(?P<name>{NAME}) ip (?P<ip>{ADDRESS}) mac (?P<mac>{MAC}) in (?P<vpc>{NAME})",
    "policy": (rf"(?P<vpc>{NAME}) (?P<direction>ingress|egress) (?P<priority>\d+) (?P<action>allow|deny) "
               rf"(?P<protocol>tcp|udp|icmp|any)( remote (?P<remote>{PREFIX}))?( ports (?P<ports>[\d-]+))?"),
    "port": rf"(?P<name>{NAME}) ip (?P<ip>{ADDRESS}) mac (?P<mac>{MAC}) in (?P<vpc>{NAME})",
    "detach": rf"(?P<name>{NAME})",
    "send": rf"(?P<name>{NAME}) (?P<frame>.+)",
    "expect dropped by": rf"(?P<purpose>{NAME})",
    "expect counter": rf"(?P<name>{NAME}) (?P<counter>[a-z_]+) (?P<value>\d+)",
    "expect host as remembered": r"",
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
