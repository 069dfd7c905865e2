#!/usr/bin/python3
"""Every C++ file is as clang-format writes it. Usage: check_format.py ROOT [--fix]"""
import shutil
import subprocess
import sys
from pathlib import Path

from tree import files_of

CLANG_FORMAT = "clang-format-19"
SKIPPED = 77  # what ctest takes for "skipped"


def main():
    if not shutil.which(CLANG_FORMAT):
        print(f"SKIPPED: {CLANG_FORMAT} is not installed (tools/deps install test)")
        return SKIPPED
    sources = files_of(Path(sys.argv[1]).resolve(), ".h", ".cc", ".c")
    if "--fix" in sys.argv[2:]:
        return subprocess.run([CLANG_FORMAT, "-i", *sources]).returncode
    result = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", *sources], capture_output=True, text=True)
    if result.returncode:
        print(result.stderr)
        print("check_format: mend it with: /usr/bin/python3 tests/house/check_format.py . --fix")
    return 1 if result.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
