"""The outer VM: a host with an SR-IOV NIC, an NVMe drive, an IOMMU and free hotplug slots, all emulated.

    00:10.0 .. 00:13.0   root ports rp1 .. rp4
      rp1  01:00.0       igb, 7 VFs (01:10.0, 01:10.2, ...); its cable leads to
    00:14.0              virtio-net, "the wire": what leaves the NIC can be seen and answered there
      rp2  02:00.0       NVMe with 4 VFs (02:00.1 ...) and a namespace of 1 MB that begins with "berth-lab-nvme\n"
      rp3, rp4           empty: /dev/vport0p1 is QMP of this very VM, so that a program in it can plug devices into itself

Always emulated, never KVM: /dev/kvm of a machine that is a VM itself may open, and then fail in the middle of a boot.
"""
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import needs
from .cache import HERE, Cache
from .qmp import Qmp

NVME_MAGIC = b"berth-lab-nvme\n"
BOOT_SECONDS = 120  # 6 s on an idle machine


class Machine:
    """`folder` is /run/lab inside; None: a new one, which is removed in the end."""

    def __init__(self, cache: Cache, folder=None, memory_mb=2560, has_iommu=True, kernel_arguments=""):
        self.cache = cache
        self._is_own = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="berth-lab-")).resolve()
        self.memory_mb = memory_mb
        self.has_iommu = has_iommu
        self.kernel_arguments = kernel_arguments
        self._process = None

    # -- life

    def boot(self, outlives=False):
        qemu = needs.qemu()
        self.cache.require()
        self._prepare_folder()
        prefix = [] if outlives else ["setpriv", "--pdeathsig", "KILL", "--"]
        with open(self.folder / "qemu.log", "wb") as log:
            self._process = subprocess.Popen([*prefix, qemu, *self._arguments()], stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, start_new_session=True)
        self._wait_for("ready", BOOT_SECONDS)

    def is_running(self):
        if self._process:
            return self._process.poll() is None
        try:
            pid = int((self.folder / "pid").read_text())
            return str(self.folder) in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):
            return False

    def stop(self):
        """Pulls the plug: nothing in there is worth a shutdown."""
        if self.is_running():
            try:
                Qmp(self.folder / "qmp.sock", timeout=5).call("quit")
            except (needs.LabError, OSError):
                if self._process:
                    self._process.kill()
        if self._process:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._is_own:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- jobs

    def execute(self, argv, timeout, folder=None, environment=(), echo=sys.stdout):
        """Runs a command inside, in the same folder as here; returns its exit code. Its output is copied as it comes."""
        job = self._new_job(argv, folder or os.getcwd(), environment)
        with self._submit(job), open(job / "output", errors="replace") as output:
            deadline = time.monotonic() + timeout
            while True:
                code = job / "code"
                has_ended = code.exists()
                text = output.read()
                if text:
                    echo.write(text)
                    echo.flush()
                if has_ended:
                    return int(code.read_text())
                self._check_alive()
                if time.monotonic() > deadline:
                    raise needs.LabError(f"{shlex.join(argv)}: no end after {timeout:g} s")
                time.sleep(0.05)

    def start_shell(self):
        """Starts a shell on the console; returns the console's socket and the file that exists when it has ended."""
        columns, rows = shutil.get_terminal_size()
        job = self._new_job(["bash", "-c", f"stty rows {rows} cols {columns}; exec bash -i"], os.getcwd(),
                            ("TERM",))
        (job / "interactive").touch()
        console = socket.socket(socket.AF_UNIX)
        console.connect(str(self.folder / "console.sock"))
        return console, job / "code", self._submit(job)

    def _new_job(self, argv, folder, environment):
        jobs = self.folder / "jobs"
        job = jobs / str(len(list(jobs.iterdir())) + 1)
        job.mkdir()
        exports = "".join(f"export {name}={shlex.quote(os.environ[name])}\n" for name in environment
                          if name in os.environ)
        (job / "command").write_text(f"{exports}cd {shlex.quote(str(folder))} || exit 125\nexec {shlex.join(argv)}\n")
        (job / "output").touch()
        return job

    def _submit(self, job):
        port = socket.socket(socket.AF_UNIX)
        port.connect(str(self.folder / "jobs.sock"))
        port.sendall(job.name.encode() + b"\n")
        return port

    def _wait_for(self, name, timeout):
        deadline = time.monotonic() + timeout
        while not (self.folder / name).exists():
            self._check_alive()
            if time.monotonic() > deadline:
                raise needs.LabError(f"the outer VM: no '{name}' within {timeout} s\n{self._last_words()}")
            time.sleep(0.05)

    def _check_alive(self):
        if not self.is_running():
            raise needs.LabError(f"the outer VM ended (a panic?)\n{self._last_words()}")

    def _last_words(self):
        words = []
        for name in ("qemu.log", "kernel.log"):
            path = self.folder / name
            if path.exists():
                words += [f"  {name}: {line}" for line in path.read_text(errors="replace").splitlines()[-8:]]
        return "\n".join(words)

    # -- hardware

    def _prepare_folder(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("ready", "pid", "qmp.sock", "loop.sock", "jobs.sock", "console.sock"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "jobs", ignore_errors=True)
        (self.folder / "jobs").mkdir()
        shutil.copy(HERE / "outer/boot", self.folder / "boot")
        (self.folder / "environment").write_text(
            f"export BERTH_LAB=1 BERTH_LAB_CACHE={shlex.quote(str(self.cache.folder))}\n")
        with open(self.folder / "nvme.raw", "wb") as disk:
            disk.write(NVME_MAGIC)
            disk.truncate(1 << 20)

    def _arguments(self):
        folder = self.folder
        words = f"""
            -machine q35 -accel tcg,thread=multi -smp 1 -m {self.memory_mb}
            -nodefaults -no-user-config -no-reboot -display none -serial file:{folder}/kernel.log -pidfile {folder}/pid
            -kernel {self.cache.vmlinux} -initrd {self.cache.outer}"""
        # phys-bits=39: with RAM above 2.75 GB and the usual 40 bits SeaBIOS opens 64-bit windows on the root ports,
        # and QEMU 10.0 then cuts the addresses of VF BARs to 32 bits: VFs enumerate, and their registers are dead.
        # la57=off: five levels of page tables cost an emulated CPU time.
        words += " -cpu max,la57=off,phys-bits=39"
        # One CPU: with -smp 2 the emulation spends more on locks than it gains on two cores.
        if self.has_iommu:  # before the devices that it translates for; no caching-mode: nothing passes through to here
            words += " -device intel-iommu,intremap=on"
        # Files: the host's, and the run folder.
        words += f"""
            -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap
            -device virtio-9p-pci,fsdev=host,mount_tag=host,addr=2.0
            -fsdev local,id=lab,path={folder},security_model=none
            -device virtio-9p-pci,fsdev=lab,mount_tag=lab,addr=3.0"""
        # Talk: the console, QMP for the host, QMP for the inside (vport0p1), jobs (vport0p2).
        words += f"""
            -device virtio-serial-pci,addr=1.0
            -chardev socket,id=console,path={folder}/console.sock,server=on,wait=off -device virtconsole,chardev=console
            -chardev socket,id=qmp,path={folder}/qmp.sock,server=on,wait=off -mon chardev=qmp,mode=control
            -chardev socket,id=loop,path={folder}/loop.sock,server=on,wait=off -mon chardev=loop,mode=control
            -chardev socket,id=inside,path={folder}/loop.sock -device virtserialport,chardev=inside,name=qmp
            -chardev socket,id=jobs,path={folder}/jobs.sock,server=on,wait=off
            -device virtserialport,chardev=jobs,name=jobs"""
        for number in range(1, 5):
            words += f" -device pcie-root-port,id=rp{number},bus=pcie.0,chassis={number},slot={number},addr={0xf + number:x}.0"
        words += f"""
            -netdev hubport,id=hub0,hubid=0 -device igb,id=nic,bus=rp1,netdev=hub0,mac=52:54:00:00:01:00
            -netdev hubport,id=hub1,hubid=0
            -device virtio-net-pci,id=wire,bus=pcie.0,addr=14.0,netdev=hub1,mac=52:54:00:00:02:00
            -device nvme-subsys,id=drives
            -device nvme,id=nvme0,bus=rp2,serial=berth-lab,subsys=drives,sriov_max_vfs=4,sriov_vq_flexible=8,"""
        words += f"""sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=12
            -drive file={folder}/nvme.raw,format=raw,if=none,id=disk
            -device nvme-ns,drive=disk,bus=nvme0,shared=on"""
        # no_timer_check: on a busy machine the emulated timer may tick too late for the kernel's taste, and it panics.
        kernel = "console=ttyS0 quiet panic=-1 no_timer_check intel_iommu=on random.trust_cpu=on " + self.kernel_arguments
        return [*words.split(), "-append", kernel]
