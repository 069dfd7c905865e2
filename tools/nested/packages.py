"""Debian packages that the lab unpacks and does not install: kernel, its headers and source, busybox."""
import re
import subprocess

from .needs import Missing

# 6.12, because its netdevsim knows the port types and rates that a switchdev NIC has. bookworm-security and
# bookworm-backports have it; only the former has the package that always names the newest.
SERIES = "6.12"


def _apt(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout


def kernel_version():
    """"6.12.9+deb12-amd64": the newest that apt knows."""
    found = re.search(rf"Depends: linux-image-({re.escape(SERIES)}\.\S+)",
                      _apt("apt-cache", "depends", f"linux-image-{SERIES}-amd64"))
    if found:
        return found.group(1)
    names = _apt("apt-cache", "pkgnames", f"linux-image-{SERIES}.").split()
    versions = [match.group(1) for name in names if (match := re.fullmatch(r"linux-image-([0-9.]+\+deb12-amd64)", name))]
    if not versions:
        raise Missing(f"Linux {SERIES}: apt knows no such kernel (tools/deps install lab; apt-get update)")
    return max(versions, key=lambda version: [int(part) for part in version.split("+")[0].split(".")])


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
