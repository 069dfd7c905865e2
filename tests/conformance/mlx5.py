"""The backend mlx5: a ConnectX in switchdev mode in the place of the software eSwitch. docs/testing.md has the
command and what it assumes of the machine; here is what of that is missing."""
import subprocess
from pathlib import Path

VENDOR = "0x15b3"
DRIVER = "mlx5_core"

# What the project itself has not got yet. While this text stands, a run on a machine with such a NIC fails
# with it: a skip would say that the machine is at fault, and a pass that somebody had looked.
NOT_YET = """\
berthd cannot open an mlx5 eSwitch yet:
  - [eswitch] has no key for a PCI address: what is opened is the software eSwitch;
  - EmbeddedEswitch (dataplane/dpdk/embedded_eswitch.h) has open_soft() only: nothing probes
    "PCI,representor=vf[...],dv_flow_en=..." and hands the PF's ethdev to Engine::open as the proxy;
  - Engine::open finds functions by the names of the software eSwitch, not by switch domain and representor id.
The host's side is there: VFs as functions, their representors found, hardened and up
(host/netlink/eswitch_ports.h).
Then this runner needs endpoints on the VFs' netdevs, and the wire as the netdev of --wire."""


def functions_of(text):
    """The numbers of "0-3" or "0,2,5"."""
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def what_is_missing(pci, representors, sysfs=Path("/sys"), eswitch_mode=None):
    """Why the NIC at `pci` cannot be used; empty when it can."""
    if not pci:
        return ["a ConnectX: --pci ADDRESS, and --representors of its VFs"]
    device = sysfs / "bus/pci/devices" / pci
    if not device.exists():
        return [f"a ConnectX at {pci}: there is no such PCI device"]
    vendor = (device / "vendor").read_text().strip()
    driver = (device / "driver").resolve().name
    if vendor != VENDOR or driver != DRIVER:
        return [f"a ConnectX at {pci}: that one is of vendor {vendor} with driver {driver}"]
    missing = []
    mode = (eswitch_mode or devlink_mode)(pci)
    if mode != "switchdev":
        missing.append(f"the eSwitch of {pci} in mode switchdev, not {mode} "
                       f"(devlink dev eswitch set pci/{pci} mode switchdev)")
    for number in functions_of(representors):
        if not any((device / f"virtfn{number}/net").glob("*")):
            missing.append(f"VF {number} of {pci} with a netdev of its own, bound to {DRIVER}")
    return missing


def devlink_mode(pci):
    try:
        shown = subprocess.run(["devlink", "dev", "eswitch", "show", f"pci/{pci}"], capture_output=True, text=True,
                               timeout=10, check=False).stdout.split()
    except FileNotFoundError:
        return "unknown (devlink is not installed)"
    return shown[shown.index("mode") + 1] if "mode" in shown else "unknown"
