"""What the controller of a scenario knows: VPCs, and where which address is."""
import ipaddress
import re

from kinds import GATEWAY_MAC

FAMILIES = {4: "ipv4", 6: "ipv6"}


class UnknownName(Exception):
    """A frame's text names nobody of the scenario."""


def family_of(address):
    return FAMILIES[ipaddress.ip_address(address).version]


class Network:
    def __init__(self, host, peer):
        """`host` and `peer`: the MAC and, by family, the address of the two tunnel ends."""
        self.vpcs = {}
        self.places = {}  # name -> {"mac", "vpc", "ipv4", "ipv6"} of a remote or a port
        self._ends = {"host": host, "peer": peer}
        self._vtep = peer.get("ipv4") or peer["ipv6"]

    def add_vpc(self, vpc, vni, subnets):
        found = re.findall(r"subnet (\S+) gateway (\S+)", subnets)
        self.vpcs[vpc] = {"vni": int(vni), "subnet": [{"prefix": p, "gateway": g} for p, g in found],
                          "mapping": [], "policy": [], "route": [], "peering": [], "policy_group": []}

    def add_place(self, name, ips, mac, vpc):
        addresses = ips.removeprefix("ip ").split(" ip ")
        self.places[name] = {"mac": mac, "vpc": vpc, **{family_of(address): address for address in addresses}}
        return addresses

    def add_remote(self, name, ips, mac, vpc):
        for address in self.add_place(name, ips, mac, vpc):
            self.vpcs[vpc]["mapping"].append({"ip": address, "mac": mac, "vtep": self._vtep})

    def add_policy(self, vpc, priority, **rule):
        self.vpcs[vpc]["policy"].append({**rule, "priority": int(priority)})

    def add_group(self, vpc, group, priority=None, **rule):
        """The group, and a rule of it."""
        groups = self.vpcs[vpc]["policy_group"]
        found = next((one for one in groups if one["id"] == group), None)
        if not found:
            groups.append(found := {"id": group, "rule": []})
        if priority:
            found["rule"].append({**rule, "priority": int(priority)})

    def add_route(self, vpc, vni=None, **route):
        self.vpcs[vpc]["route"].append({**route, "vtep": self._vtep, **({"vni": int(vni)} if vni else {})})

    def add_peering(self, vpc, other, prefixes):
        self.vpcs[vpc]["peering"].append({"vpc": other, "prefixes": prefixes.split(" ")})

    def tunnelled(self):
        """How many mapping rules there are at least: peerings only add some."""
        return sum(len(vpc["mapping"]) + len(vpc["route"]) for vpc in self.vpcs.values())

    def toml(self):
        lines = []
        for name, vpc in self.vpcs.items():
            lines += ["[[vpc]]", f'id = "{name}"', f"vni = {vpc['vni']}"]
            for table in ("subnet", "mapping", "policy", "route", "peering", "policy_group"):
                for entry in vpc[table]:
                    lines += toml_table(f"vpc.{table}", {key: value for key, value in entry.items() if key != "rule"})
                    for rule in entry.get("rule", ()):
                        lines += toml_table(f"vpc.{table}.rule", rule)
        return "\n".join(lines) + "\n"

    def resolve(self, kind, name, vpc=None):
        """The address of `name` in a layer of that kind ("eth": its MAC). The gateway is the one of `vpc`."""
        if name == "gateway":
            return GATEWAY_MAC if kind == "eth" else self.gateway(vpc, kind)
        place = self._ends.get(name) or self.places.get(name)
        if place:
            address = place.get("mac" if kind == "eth" else kind)
            if not address:
                raise UnknownName(f"'{name}' has no {kind} address")
            return address
        if not re.fullmatch(r"[0-9.]+|[0-9a-f]*:[0-9a-f:.]+", name):
            raise UnknownName(f"nothing is called '{name}'")
        return name

    def gateway(self, vpc, family):
        subnets = self.vpcs[vpc or next(iter(self.vpcs))]["subnet"]
        found = [subnet["gateway"] for subnet in subnets if family_of(subnet["gateway"]) == family]
        if not found:
            raise UnknownName(f"'{vpc}' has no {family} gateway")
        return found[0]

    def ethernet(self, place, ip):
        """Addresses of a frame whose text names none: of who has its IP addresses, else the gateway's."""
        fields = ip.fields if ip else {}
        source = place["mac"] if place else self._mac_of(place, fields.get("src"))
        if ip is None:
            return {"src": source, "dst": "ff:ff:ff:ff:ff:ff"}
        return {"src": source, "dst": group_mac(fields.get("dst")) or self._mac_of(place, fields.get("dst"))}

    def _mac_of(self, place, address):
        for other in self.places.values():
            if (not place or other["vpc"] == place["vpc"]) and address in (other.get("ipv4", ""), other.get("ipv6", "")):
                return other["mac"]
        return GATEWAY_MAC


def group_mac(address):
    """RFC 2464 section 7, and IPv4's broadcast."""
    if address == "255.255.255.255":
        return "ff:ff:ff:ff:ff:ff"
    if address and family_of(address) == "ipv6" and ipaddress.ip_address(address).is_multicast:
        return "33:33:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed[-4:])
    return None


def toml_table(name, entry):
    return [f"[[{name}]]", *(f"{key} = {toml_value(value)}" for key, value in entry.items())]


def toml_value(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'
