"""berthd inside the lab, and berthctl as its clients: certificates, configuration, life and death.

berthd runs in the outer VM's only network namespace, because the PF is in it. Its underlay is a veth of its own: the
tunnels of the software eSwitch have nothing to do with the emulated NIC's cable.
"""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from inside import ROOT, read, run, until

UPLINK = "berth-up0"
VTEP = "192.0.2.1"
VPC = """\
[[vpc]]
id = "blue"
vni = 7001

[[vpc.subnet]]
prefix = "10.1.0.0/24"
gateway = "10.1.0.1"
"""


class CallError(Exception):
    """berthctl said no."""

    def __init__(self, command, result):
        super().__init__(f"berthctl {' '.join(command)}: exit code {result.returncode}: {result.stderr.strip()}")
        self.text = result.stderr


class Berthd:
    """`bin_folder` has berthd and berthctl. State is in memory, the log in the run folder."""

    def __init__(self, bin_folder, host_section, functions=4):
        self.bin = Path(bin_folder)
        self.folder = Path("/run/berth")
        self.folder.mkdir(mode=0o700)
        self.log = Path("/run/lab/berthd.log")
        self.process = None
        run("ip", "link", "add", UPLINK, "mtu", 1600, "type", "veth", "peer", "name", "berth-up1", "mtu", 1600)
        for device in (UPLINK, "berth-up1"):
            run("ip", "link", "set", device, "up")
        run("ip", "address", "add", f"{VTEP}/24", "dev", UPLINK)
        run(ROOT / "tools/certs", self.folder / "certs", "--trust-domain", "berth.test")
        (self.folder / "vhost").mkdir()
        self.config = self.folder / "berthd.toml"
        self.config.write_text(f"""\
[api]
listen = "127.0.0.1:7443"
certificate = "{self.folder}/certs/agent.crt"
private_key = "{self.folder}/certs/agent.key"
trusted_ca = "{self.folder}/certs/ca.crt"
trust_domain = "berth.test"

[underlay]
device = "{UPLINK}"
vtep = "{VTEP}"

[eswitch]
kind = "embedded"
functions = {functions}
socket_dir = "{self.folder}/vhost"

[agent]
state_dir = "{self.folder}/state"

[log]
level = "debug"

[qemu]
monitor = "/run/{{vm}}.qmp"
unplug_wait_ms = 5000
unplug_attempts = 3

[host]
{host_section}
""")

    def start(self):
        begin = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.bin / "berthd", "--config", self.config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        try:
            until(lambda: re.search(rb"ready.* listen=", self.log.read_bytes()[begin:]) or self._died(), "berthd ready", 90)
        except AssertionError:
            print(self.log_tail())
            raise

    def _died(self):
        if self.process.poll() is not None:
            raise AssertionError(f"berthd ended with code {self.process.returncode}\n{self.log_tail()}")

    def kill(self):
        """As a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def log_tail(self, count=40):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    | {line}" for line in lines[-count:])

    # -- clients

    def call(self, role, *command, timeout=120):
        certs = self.folder / "certs"
        environment = {"BERTH_ENDPOINT": "127.0.0.1:7443", "BERTH_CERTIFICATE": f"{certs}/{role}.crt",
                       "BERTH_PRIVATE_KEY": f"{certs}/{role}.key", "BERTH_TRUSTED_CA": f"{certs}/ca.crt"}
        command = [str(word) for word in command]
        result = subprocess.run([self.bin / "berthctl", "--json", *command], env={**os.environ, **environment},
                                capture_output=True, text=True, timeout=timeout)
        if result.returncode:
            raise CallError(command, result)
        return [json.loads(line) for line in result.stdout.splitlines() if line.strip()]

    def insist(self, *command):
        """A call that may be repeated. berthctl gives up after 10 s, which an emulated CPU that boots a guest may need."""
        for attempt in range(6):
            try:
                return self.call(*command)
            except CallError as error:
                if "DEADLINE_EXCEEDED" not in error.text or attempt == 5:
                    raise

    def push_vpc(self):
        path = self.folder / "vpcs.toml"
        path.write_text(VPC)
        self.insist("controller", "vpc", "push", path)

    def attach(self, vm, mac, address, *options):
        """The operation when it is over. CallError when it was refused at once."""
        return self.call("vmaas", "attach", "--vm", vm, "--vpc", "blue", "--mac", mac, "--ip", address,
                         "--timeout", "100s", *options)[-1]

    def detach(self, attachment):
        return self.call("vmaas", "detach", attachment, "--timeout", "100s")[-1]

    def list(self):
        values = self.insist("vmaas", "list")
        return values[0]["attachments"] if values and "attachments" in values[0] else values

    # -- what a leak would show in

    def open_files(self):
        return sorted(os.readlink(path) for path in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def memory_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{self.process.pid}/status")).group(1))

    def thread_count(self):
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))
