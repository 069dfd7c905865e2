"""A private Open vSwitch with its DPDK datapath, hardware offload on, on the software eSwitch's ports.

Database, sockets and network namespace are its own; no hugepages are used. The switch's ports are vhost-user
sockets in `folder`: uplink.sock, vm0.sock, vm1.sock.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-appctl", "ovs-ofctl", "unshare", "nsenter",
            "setpriv", "ip")

BACKINGS = ("uplink", "vm0", "vm1")  # as net_vhost0 and on; the switch's ethdevs come behind them
PROXY_ETHDEV = len(BACKINGS)
PATIENCE = 30  # seconds until an event that should come is given up


def what_is_missing():
    """Why it cannot run here; empty when it can."""
    missing = [] if os.geteuid() == 0 else ["root (a network namespace, a bridge's own port)"]
    if not os.path.exists(VSWITCHD):
        missing.append("Open vSwitch with DPDK (openvswitch-switch-dpdk: tools/deps install test)")
    missing += [program for program in PROGRAMS if shutil.which(program) is None]
    if len(os.sched_getaffinity(0)) < 2:
        missing.append("a second CPU: the eSwitch's worker has one of its own")
    return missing


def wait_for(condition, what, seconds=PATIENCE):
    """What the condition returned when it was true for the first time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return value


class PrivateOvs:
    def __init__(self, folder, plugin):
        self.folder = folder
        self.database = f"unix:{folder}/db.sock"
        self.control = f"{folder}/ctl"
        self._processes = []
        self._environment = dict(os.environ, OVS_RUNDIR=folder, OVS_LOGDIR=folder, OVS_DBDIR=folder,
                                 RUNTIME_DIRECTORY=folder)  # the last one is DPDK's
        self.run("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
        self._start("ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{folder}/db.sock",
                    f"--unixctl={folder}/db.ctl", f"--log-file={folder}/ovsdb-server.log")
        wait_for(lambda: os.path.exists(f"{folder}/db.sock"), "the database runs")
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *self._options(plugin))
        self.vswitchd = self._start("unshare", "--net", VSWITCHD, self.database, f"--unixctl={self.control}",
                                    f"--log-file={folder}/ovs-vswitchd.log")
        wait_for(lambda: os.path.exists(self.control) or self.vswitchd.poll() is not None, "ovs-vswitchd starts")
        assert self.vswitchd.poll() is None, f"ovs-vswitchd ended{self.log_tail()}"

    def _options(self, plugin):
        backings = [f"net_vhost{number},iface={self.folder}/{name}.sock" for number, name in enumerate(BACKINGS)]
        switch = "net_berth0,uplink=net_vhost0," + ",".join(
            f"function=net_vhost{number}" for number in range(1, len(BACKINGS)))
        # The polling thread shares a CPU with the main one, the eSwitch's worker (a service core) has the other.
        # Both nap when idle.
        polling, worker = sorted(os.sched_getaffinity(0))[:2]
        extra = ["--no-huge", "--legacy-mem", "-m", "768", "--no-pci", "--file-prefix=berth-ovs",
                 "-l", f"{polling},{worker}", "-S", str(worker), "-d", plugin,
                 *(f"--vdev={backing}" for backing in backings),
                 f"--vdev={switch},steering=software,idle_nap=100,mbufs=8192"]
        return ["other_config:dpdk-init=true", "other_config:hw-offload=true",
                f"other_config:pmd-cpu-mask={1 << polling:#x}", "other_config:pmd-maxsleep=100",
                "other_config:per-port-memory=true", "other_config:dpdk-extra=" + json.dumps(" ".join(extra))]

    def _start(self, *command):
        log = open(f"{self.folder}/output", "a")
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], env=self._environment,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self._processes.append(process)
        return process

    def run(self, *command):
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}{self.log_tail()}")
        return done.stdout

    def vsctl(self, *command):
        return self.run("ovs-vsctl", f"--db={self.database}", "--timeout=30", *command)

    def appctl(self, *command):
        return self.run("ovs-appctl", "-t", self.control, *command)

    def ofctl(self, bridge, command, *arguments):
        return self.run("ovs-ofctl", command, f"unix:{self.folder}/{bridge}.mgmt", *arguments)

    def polled_packets(self):
        """Packets that the polling thread took from the representors, of any fate."""
        text = self.appctl("dpif-netdev/pmd-stats-show")
        threads = text.split("pmd thread ")[1:]
        assert len(threads) == 1, text
        return int(re.search(r"packets received: (\d+)", threads[0]).group(1))

    def forget_flows_after(self, milliseconds):
        """How long the datapath keeps a flow that no packet uses."""
        self.vsctl("set", "Open_vSwitch", ".", f"other_config:max-idle={milliseconds}")

    def flows(self, kind="all"):
        """Of the datapath, or of it only the offloaded ones: {text: packets}."""
        return {flow: int(re.search(r"packets:(\d+)", flow).group(1))
                for flow in self.appctl("dpctl/dump-flows", f"type={kind}").splitlines() if "packets:" in flow}

    def buffers_in_use(self):
        """Of every packet pool of the process: {name: buffers}."""
        in_use = {}
        for pool in self.appctl("netdev-dpdk/get-mempool-info").split("mempool <")[1:]:
            number = {name: int(re.search(rf"^  {name}=(\d+)", pool, re.MULTILINE).group(1))
                      for name in ("size", "common_pool_count")}
            cached = sum(int(count) for count in re.findall(r"cache_count\[\d+\]=(\d+)", pool))
            in_use[pool.split(">")[0]] = number["size"] - number["common_pool_count"] - cached
        return in_use

    def log_tail(self):
        text = ""
        for name in ("ovs-vswitchd.log", "output"):
            if os.path.exists(f"{self.folder}/{name}"):
                with open(f"{self.folder}/{name}") as log:
                    text += f"\n--- {name}\n" + "".join(log.readlines()[-25:])
        return text

    def stop(self):
        """Exit code of ovs-vswitchd, asked politely."""
        code = None
        if self.vswitchd.poll() is None:
            self.appctl("exit", "--cleanup")
            code = self.vswitchd.wait(timeout=60)
        self.kill()
        return code

    def kill(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
