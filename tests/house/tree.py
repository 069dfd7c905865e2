"""Which files belong to the tree: everything but build output and hidden folders."""
import os
from pathlib import Path

SKIPPED = {"build", "__pycache__"}


def files_of(root, *suffixes):
    """The files with one of these suffixes ("" = no suffix), sorted by path."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED and (not f.startswith(".") or f == ".ci")]
        found += [Path(folder, n) for n in names if Path(n).suffix in suffixes]
    return sorted(found)
