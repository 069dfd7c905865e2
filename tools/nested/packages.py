"""Debian packages that the lab unpacks and does not install: kernel, its headers and source, busybox."""
import re
import subprocess

from .needs import Missing

# 6.12, because its netdevsim knows the port types and rates that a switchdev NIC has.
KERNEL = "linux-image-6.12-amd64"


def _apt(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout


def kernel_version():
    """"6.12.9+deb12-amd64": what the kernel's meta package depends on now."""
    found = re.search(r"Depends: linux-image-(6\.\S+)", _apt("apt-cache", "depends", KERNEL))
    if not found:
        raise Missing(f"{KERNEL}: apt knows no such package (apt-get update; it is in bookworm-security)")
    return found.group(1)


class Packages:
    def __init__(self, cache, version):
        self.folder = cache / "debs"
        self.root = cache / "root"  # all of them unpacked, but for the kernel's source
        self.version = version
        bare = version.removesuffix("-amd64")
        self.source = "linux-source-" + ".".join(version.split(".")[:2])
        self.unpacked = [f"linux-image-{version}", "busybox-static", f"linux-headers-{version}",
                         f"linux-headers-{bare}-common", f"linux-kbuild-{bare}"]

    def file(self, package):
        return next(iter(sorted(self.folder.glob(f"{package}_*.deb"))), None)

    def fetch(self):
        """Downloads what is not there yet. No root is needed, and nothing is installed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = [name for name in [*self.unpacked, self.source] if not self.file(name)]
        if wanted:
            # Sandbox: apt would change to a user that may not write here.
            result = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *wanted],
                                    cwd=self.folder, capture_output=True, text=True)
            if result.returncode:
                raise Missing(f"the packages {' '.join(wanted)} (no network?): {result.stderr.strip()[-300:]}")
        self.root.mkdir(exist_ok=True)
        for name in self.unpacked:
            subprocess.run(["dpkg", "-x", self.file(name), self.root], check=True)
