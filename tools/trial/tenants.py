"""The address plan of the demonstration: two tenants that chose the same addresses."""
from dataclasses import dataclass

VM_ADDRESS = "10.1.0.5"
PEER_ADDRESS = "10.1.0.6"


@dataclass(frozen=True)
class Tenant:
    vpc: str
    vni: int
    vm: str
    vm_mac: str
    peer_mac: str


BLUE = Tenant("blue", 7001, "vm-blue", "02:00:00:00:01:05", "02:00:00:00:01:06")
GREEN = Tenant("green", 7002, "vm-green", "02:00:00:00:02:05", "02:00:00:00:02:06")


def vpcs_toml(tenants, peer_vtep):
    """The VPC file a controller pushes (docs/examples/vpcs.toml explains every line of it)."""
    return "\n".join(f"""\
[[vpc]]
id = "{tenant.vpc}"
vni = {tenant.vni}
[[vpc.subnet]]
prefix = "10.1.0.0/24"
gateway = "10.1.0.1"
[[vpc.mapping]]
ip = "{PEER_ADDRESS}"
mac = "{tenant.peer_mac}"
vtep = "{peer_vtep}"
""" for tenant in tenants)
