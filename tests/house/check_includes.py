#!/usr/bin/python3
"""The folder list is the architecture; this keeps it true.

Reads every #include of the tree and compares it with the two tables below: which folder may see
which, and in which folder a foreign library's headers stop. Usage: check_includes.py ROOT
"""
import re
import sys
from pathlib import Path

from tree import files_of

EVERYTHING = None

# folder -> the folders whose headers it may include, besides its own. A folder inside another may have a
# line of its own.
SEES = {
    "base": set(),
    "proto": set(),
    "rpc": {"base"},
    "host": {"base"},
    "dataplane": {"base"},
    "dataplane/remote": {"dataplane", "rpc", "proto", "base"},
    "agent": {"dataplane", "host", "base"},
    "eswitchd": {"dataplane", "host", "rpc", "base"},
    "northbound": {"agent", "rpc", "proto", "base"},
    "southbound": {"agent", "rpc", "proto", "base"},
    "tools": EVERYTHING,
    "tests": EVERYTHING,
}

# Single headers of a folder that is not in sight otherwise, each with its reason.
ALSO = {
    "southbound": {"dataplane/vpc.h", "dataplane/vpc_check.h"},  # what it makes is the VPC model
    "northbound": {"dataplane/rule_text.h"},  # a rule has one text form, and operators see it
}

# The programs' mains wire everything together, and are the only files that may.
MAINS = {"agent/main.cc", "eswitchd/main.cc"}

# what -> (how its headers are named, where they may be included). Tests may include anything.
FOREIGN = {
    "DPDK": (r"(rte_|ethdev_|bus_vdev_|dev_driver)", {"dataplane/dpdk", "dataplane/soft"}),
    "OpenSSL": (r"(openssl/|boost/asio/ssl)", {"rpc"}),
    "nghttp2": (r"nghttp2/", {"rpc"}),
    "libnl": (r"netlink/", {"host/netlink"}),
    "protobuf": (r"(.*\.pb\.h$|google/protobuf/)", {"northbound", "southbound", "dataplane/remote", "rpc", "tools"}),
    "SQLite": (r"sqlite3", {"agent"}),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_within(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def violation_of(source, quote, header):
    """Why `source` (a path from the root) must not include `header`, or None."""
    folder = source.split("/")[0]
    inner = "/".join(source.split("/")[:2])
    sees = SEES.get(inner, SEES[folder])
    for library, (pattern, folders) in FOREIGN.items():
        if re.match(pattern, header) and folder != "tests":
            if is_within(source, folders) or (library == "protobuf" and source in MAINS):
                return None
            return f"{library} headers stop in {', '.join(sorted(folders))}"
    if quote == "<" or header.endswith(".pb.h"):
        return None
    target = header.split("/")[0]
    if target not in SEES:
        return 'includes are written from the root of the tree, like "base/error.h"'
    if target == folder or sees is EVERYTHING or source in MAINS or target in sees or header in ALSO.get(folder, ()):
        return None
    return f"{folder} sees only {', '.join(sorted(sees)) or 'itself'}"


def violations(root):
    for path in files_of(root, ".h", ".cc", ".c"):
        source = path.relative_to(root).as_posix()
        if source.split("/")[0] not in SEES:
            yield f"{source}: its folder is not in the table of tests/house/check_includes.py"
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and violation_of(source, *match.groups())
            if why:
                yield f"{source}:{number}: includes {match.group(2)}: {why}"


def main():
    found = list(violations(Path(sys.argv[1]).resolve()))
    for line in found:
        print(line)
    if found:
        print(f"check_includes: {len(found)} include(s) against the direction of the folders")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
