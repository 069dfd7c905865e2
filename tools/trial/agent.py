"""berthd as a child process, and berthctl as one of its clients."""
import json
import os
import subprocess

from .process import TrialError, run

TRUST_DOMAIN = "berth.test"

CONFIG = """\
[api]
listen = "127.0.0.1:{port}"
certificate = "{folder}/certs/agent.crt"
private_key = "{folder}/certs/agent.key"
trusted_ca = "{folder}/certs/ca.crt"
trust_domain = "{trust_domain}"

[underlay]
device = "{uplink}"
vtep = "{vtep}"

[eswitch]
{eswitch}
{ports}

[log]
level = "{level}"
"""

EMBEDDED = 'kind = "embedded"'
REMOTE = """\
kind = "remote"
socket = "{folder}/eswitch.sock"
"""
STATE = """
[agent]
state_dir = "{state}"
audit_interval_s = {audit_s}
"""

HOLDER_CONFIG = """\
[holder]
socket = "{folder}/eswitch.sock"

[underlay]
device = "{uplink}"
vtep = "{vtep}"

[eswitch]
{ports}
"""

SOFT_PORTS = """\
functions = {functions}
unbacked_functions = {unbacked}
socket_dir = "{folder}/vhost"
"""
# A NIC in the place of the software eSwitch; the trial itself gives its VFs to whom it likes.
NIC_PORTS = """\
functions = {functions}
pci = "{nic}"

[host]
functions = "unmanaged"
"""


class CallError(TrialError):
    """berthctl said no; `text` is what it printed on standard error."""

    def __init__(self, command, code, text):
        super().__init__(f"berthctl {command}: exit code {code}: {text.strip()}")
        self.code = code
        self.text = text


def berthd_config(folder, uplink, vtep, level="info", functions=4, unbacked=0, is_remote=False, nic=None):
    """The text of berthd's file. `nic`: the address of the PF whose eSwitch it is."""
    ports = (NIC_PORTS if nic else SOFT_PORTS).format(folder=folder, functions=functions, unbacked=unbacked, nic=nic)
    return CONFIG.format(port=0, folder=folder, trust_domain=TRUST_DOMAIN, uplink=uplink, vtep=vtep, level=level,
                         eswitch=(REMOTE if is_remote else EMBEDDED).format(folder=folder), ports=ports)


class Agent:
    """With `eswitchd`, the eSwitch is in that program, and berthd has a memory: both may be killed and started.
    `state`: the folder of that memory, should it lie elsewhere, or berthd have one without eswitchd."""

    def __init__(self, world, berthd, berthctl, certs_tool, level="info", functions=4, eswitchd=None, more="",
                 unbacked=0, state=None, audit_s=30, nic=None):
        self.world = world
        self.berthd = berthd
        self.berthctl = berthctl
        self.eswitchd = eswitchd
        folder = world.folder
        run(certs_tool, folder / "certs", "--trust-domain", TRUST_DOMAIN, "--foreign")
        (folder / "vhost").mkdir()
        self.config = folder / "berthd.toml"
        self.config.write_text(berthd_config(folder, world.uplink, world.host_vtep, level, functions, unbacked,
                                             bool(eswitchd), nic))
        with open(self.config, "a") as file:
            file.write(more)  # tables of a test's own
        self.functions = functions
        self.unbacked = unbacked
        if eswitchd or state:
            with open(self.config, "a") as file:
                file.write(STATE.format(state=state or folder / "state", audit_s=audit_s))
        if eswitchd:
            self.start_holder()
        self.start()

    def start(self):
        self.child = self.world.spawn("berthd", [self.berthd, "--config", self.config], netns=self.world.host)

    def start_holder(self):
        config = self.world.folder / "eswitchd.toml"
        ports = SOFT_PORTS.format(folder=self.world.folder, functions=self.functions, unbacked=self.unbacked)
        config.write_text(HOLDER_CONFIG.format(folder=self.world.folder, uplink=self.world.uplink,
                                               vtep=self.world.host_vtep, ports=ports))
        self.holder = self.world.spawn("eswitchd", [self.eswitchd, "--config", config], netns=self.world.host)
        self.holder.wait_for(r"ready.* socket=")

    def wait_ready(self):
        self.endpoint = self.child.wait_for(r"ready.* listen=(127\.0\.0\.1:\d+)").group(1)

    def log_tail(self, count=25):
        """The end of the log, without what DPDK's vhost library says of every message."""
        lines = [line for line in self.child.output().splitlines() if not line.startswith("VHOST_CONFIG")]
        return "\n".join(f"    | {line}" for line in lines[-count:])

    def environment(self, role):
        """What berthctl needs to know to be a client of this role."""
        certs = self.world.folder / "certs"
        return {"BERTH_ENDPOINT": self.endpoint, "BERTH_CERTIFICATE": str(certs / f"{role}.crt"),
                "BERTH_PRIVATE_KEY": str(certs / f"{role}.key"), "BERTH_TRUSTED_CA": str(certs / "ca.crt")}

    def call(self, role, *command):
        """Runs berthctl to its end; returns what it printed. CallError when it failed."""
        argv = self.world.in_host(self.berthctl, *map(str, command))
        result = subprocess.run(argv, env={**os.environ, **self.environment(role)}, timeout=30,
                                capture_output=True, text=True)
        if result.returncode:
            raise CallError(" ".join(map(str, command)), result.returncode, result.stderr)
        return result.stdout

    def ask(self, role, *command):
        """The same with --json: the list of objects printed (a list printed as one counts as its items)."""
        values = [json.loads(line) for line in self.call(role, "--json", *command).splitlines() if line.strip()]
        return values[0] if len(values) == 1 and isinstance(values[0], list) else values

    def watch(self, role="vmaas"):
        """A client that stays: prints a JSON object for every completion, from the first that is kept."""
        environment = [f"{key}={value}" for key, value in self.environment(role).items()]
        command = [self.berthctl, "--json", "watch", "--after-revision", "0"]
        return self.world.spawn("watch", ["env", *environment, *command], netns=self.world.host)

    def push(self, text):
        path = self.world.folder / "vpcs.toml"
        path.write_text(text)
        return self.call("controller", "vpc", "push", path)

    def attach(self, vm, vpc, addresses, mac, mtu=None, from_vm=None, to_vm=None, groups=()):
        """`addresses`: one, or a list with one of each family. `from_vm` and `to_vm`: rates like "10Mbit"."""
        addresses = [addresses] if isinstance(addresses, str) else addresses
        options = {"--mtu": mtu, "--max-rate-from-vm": from_vm, "--max-rate-to-vm": to_vm}
        words = [word for address in addresses for word in ("--ip", address)]
        words += [word for group in groups for word in ("--policy-group", group)]
        words += [word for option, value in options.items() if value is not None for word in (option, value)]
        return self.ask("vmaas", "attach", "--vm", vm, "--vpc", vpc, "--mac", mac, *words)[-1]

    def update(self, attachment, from_vm=None, to_vm=None, groups=None):
        """Of an attachment with one interface. None: as it is."""
        options = {"--max-rate-from-vm": from_vm, "--max-rate-to-vm": to_vm}
        words = [word for option, value in options.items() if value is not None for word in (option, value)]
        words += [word for group in groups or () for word in ("--policy-group", group)]
        words += ["--clear-policy-groups"] if groups == [] else []
        return self.ask("vmaas", "update", attachment, *words)[-1]

    def detach(self, attachment):
        return self.ask("vmaas", "detach", attachment)[-1]

    def list(self):
        values = self.ask("vmaas", "list")
        return values[0]["attachments"] if values and "attachments" in values[0] else values

    def counters(self, attachment):
        counters = self.ask("vmaas", "get", attachment)[-1]["interfaces"][0]["counters"]
        return {name: int(value) for name, value in counters.items()}

    def rules(self):
        """The rules the eSwitch holds, each with `testpmd`, `purpose` and `packets`."""
        values = self.ask("operator", "show", "rules")
        return values[0]["rules"] if values and "rules" in values[0] else values
