#!/usr/bin/python3
"""What holds for every file: not longer than 400 lines (tests excepted), no tabs or trailing blanks
in what we indent by hand, shell scripts that parse, Python that compiles. Usage: check_files.py ROOT
"""
import subprocess
import sys
from pathlib import Path

from tree import files_of

MAX_LINES = 400


def first_line(path):
    with path.open("rb") as file:
        return file.readline().decode(errors="replace")


def shell_scripts(root):
    return [p for p in files_of(root, "", ".sh") if first_line(p).startswith("#!") and "bash" in first_line(p)]


def python_files(root):
    return files_of(root, ".py") + [p for p in files_of(root, "") if "python3" in first_line(p)[:40]]


def too_long(root):
    for path in files_of(root, ".h", ".cc", ".c", ".proto", ".sh", ".py") + shell_scripts(root):
        name = path.relative_to(root).as_posix()
        count = len(path.read_bytes().splitlines())
        if count > MAX_LINES and not name.startswith("tests/"):
            yield f"{name}: {count} lines; a file that passes {MAX_LINES} is split before it is merged"


def untidy_lines(root):
    for path in files_of(root, ".py", ".sh", ".md", ".toml", ".scenario", ".proto") + shell_scripts(root):
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line != line.rstrip():
                yield f"{name}:{number}: trailing blanks"
            if "\t" in line:
                yield f"{name}:{number}: a tab"


def shell_that_does_not_parse(root):
    for path in shell_scripts(root):
        result = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
        if result.returncode:
            yield result.stderr.strip()


def python_that_does_not_compile(root):
    for path in python_files(root):
        first = first_line(path)
        if first.startswith("#!") and not first.startswith("#!/usr/bin/python3"):
            yield f"{path.relative_to(root)}: starts with {first.strip()}, not with #!/usr/bin/python3"
        try:
            compile(path.read_text(), path, "exec")
        except SyntaxError as error:
            yield f"{path.relative_to(root)}:{error.lineno}: {error.msg}"


CHECKS = (too_long, untidy_lines, shell_that_does_not_parse, python_that_does_not_compile)


def main():
    root = Path(sys.argv[1]).resolve()
    found = [line for check in CHECKS for line in check(root)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
