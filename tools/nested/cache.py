"""What `tools/lab build` makes, once for each kernel: everything a lab VM boots from.

    vmlinux      the ELF kernel, for the outer and the inner VM
    modules/     the few modules the lab wants, unpacked, as a module tree that modprobe takes
    outer.cpio   finds the host's files over 9p, and starts from there
    inner.cpio   the inner guest: busybox and a driver for the VFs
    root/        unpacked packages (busybox)
    ready        the kernel's version and a digest of how all this was made; its absence means: not built
"""
import fcntl
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

from . import kernel, needs, netdevsim
from .packages import Packages, kernel_version

HERE = Path(__file__).resolve().parent

# What the outer VM may want; modprobe finds what these depend on.
MODULES = """
    virtio_pci virtio_console 9p 9pnet_virtio overlay virtio_net
    igb igbvf nvme vfio-pci vfio_iommu_type1 kvm-amd
    tun tap veth bridge vxlan dummy psample act_mirred cls_flower sch_ingress
""".split()
# What has to be there before its root can be mounted, in order.
OUTER_EARLY = ["virtio_pci", "virtio_console", "overlay", "9pnet_virtio", "9p"]
INNER_EARLY = ["virtio_pci", "virtio_net", "igbvf", "nvme"]


# What of ours decides what the cache holds.
RECIPE = ("cache.py", "kernel.py", "netdevsim.py", "packages.py", "port_function.patch", "outer/init", "inner/init")


def recipe():
    """A digest of it: when it changes, the cache is built anew."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in RECIPE)).hexdigest()


class Cache:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.vmlinux = self.folder / "vmlinux"
        self.outer = self.folder / "outer.cpio"
        self.inner = self.folder / "inner.cpio"
        self.modules = self.folder / "modules"
        self.busybox = self.folder / "root/bin/busybox"
        self._ready = self.folder / "ready"

    def is_ready(self):
        return self._ready.exists() and self._ready.read_text().splitlines()[1:] == [recipe()]

    def require(self):
        if not self.is_ready():
            raise needs.Missing("the lab's kernel and modules (tools/lab build)")

    def build(self, say):
        """Does nothing when there is nothing new. Two builders of one cache take turns."""
        needs.programs("apt-get", "dpkg", "make", "gcc-12", "bc", "patch", "zstd", "xz", "depmod", "modprobe", "strip")
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.is_ready():
                self._build(say)

    def _build(self, say):
        started = time.monotonic()
        version = kernel_version()
        say(f"building for Linux {version} in {self.folder} (about a minute)")
        for name in ("ready", "debs", "root", "source", "modules", "outer", "inner"):
            self._remove(self.folder / name)
        packages = Packages(self.folder, version)
        packages.fetch()
        self.vmlinux.write_bytes(kernel.elf_of((packages.root / f"boot/vmlinuz-{version}").read_bytes()))
        self._lay_out_modules(packages, netdevsim.build(self.folder, packages))
        self._pack("outer", version, OUTER_EARLY)
        self._pack("inner", version, INNER_EARLY)
        for name in ("debs", "source", "root/boot", "root/lib", "root/usr", "outer", "inner"):
            self._remove(self.folder / name)
        self._ready.write_text(f"{version}\n{recipe()}\n")
        size = subprocess.run(["du", "-sm", self.folder], capture_output=True, text=True).stdout.split()[0]
        say(f"built in {time.monotonic() - started:.0f} s, {size} MB")

    @staticmethod
    def _remove(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _lay_out_modules(self, packages, *own):
        version = packages.version
        whole = packages.root / "lib/modules" / version
        small = self.modules / "lib/modules" / version
        small.mkdir(parents=True)
        subprocess.run(["depmod", "-b", packages.root, version], check=True)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(whole / name, small)
        for path in self._files_of(packages.root, version, MODULES):
            if path.suffix == ".xz":
                with open(small / path.stem, "wb") as file:
                    subprocess.run(["xz", "-dc", path], stdout=file, check=True)
            else:
                shutil.copy(path, small)
        for path in own:
            shutil.copy(path, small)
        subprocess.run(["depmod", "-b", self.modules, version], check=True)

    @staticmethod
    def _files_of(root, version, modules):
        """The files of these modules and of what they need, each once, in the order they have to be loaded."""
        files = {}
        for module in modules:
            shown = subprocess.run(["modprobe", "-d", root, "-S", version, "--show-depends", module],
                                   capture_output=True, text=True)
            if shown.returncode:
                raise needs.LabError(f"no module {module} in Linux {version}: {shown.stderr.strip()}")
            files.update((line.split()[1], None) for line in shown.stdout.splitlines() if line.startswith("insmod"))
        return [Path(name) for name in files]

    def _pack(self, name, version, modules):
        """A root file system of busybox, modules in their order, and our init, as the kernel's initramfs."""
        folder = self.folder / name
        for part in ("bin", "dev", "proc", "sys", "modules", "host", "up", "new", "tmp"):
            (folder / part).mkdir(parents=True)
        shutil.copy(self.busybox, folder / "bin")
        shutil.copy(HERE / name / "init", folder / "init")
        (folder / "init").chmod(0o755)
        paths = self._files_of(self.modules, version, modules)
        for path in paths:
            shutil.copy(path, folder / "modules")
        (folder / "modules/order").write_text("".join(f"{path.name}\n" for path in paths))
        subprocess.run(f"find . | '{self.busybox}' cpio -o -H newc > ../{name}.cpio", shell=True, check=True,
                       cwd=folder, stderr=subprocess.DEVNULL)
