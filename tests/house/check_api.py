#!/usr/bin/python3
"""docs/api.md tells the whole northbound API, and nothing that is not there. Usage: check_api.py ROOT

A section whose heading names a service, message or enum in backticks (`Attachment.State`) has a table; the first
cells of its rows are the rpcs, fields or values, in backticks. The sections headed "Errors..." have tables of
reasons: all that the .proto files name in their comments, and none that no code makes. An empty message needs no
section. Other words in backticks that look like reasons or values must be one.
"""
import re
import sys
from pathlib import Path

from tree import files_of

PROTOS = "proto/berth/northbound/v1"
DOCUMENT = "docs/api.md"
CODE = ("agent", "base", "dataplane", "host", "northbound", "rpc")  # where reasons are made

# google.rpc.Code
CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNAVAILABLE",
         "DEADLINE_EXCEEDED", "CANCELLED", "PERMISSION_DENIED", "DATA_LOSS", "INTERNAL", "ABORTED", "UNIMPLEMENTED",
         "OUT_OF_RANGE", "UNAUTHENTICATED", "UNKNOWN", "OK"}
SHOUTED = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
IN_PARENTHESES = re.compile(r"\((?:[A-Z_]+, )*([A-Z]{6,})\)")  # a reason of one word stands in parentheses

OPEN = re.compile(r"(service|message|enum|oneof)\s+(\w+)\s*\{(\s*\})?")
RPC = re.compile(r"rpc\s+(\w+)\(")
FIELD = re.compile(r"(?:optional |repeated )?[\w.]+\s+(\w+)\s*=\s*\d+;")
VALUE = re.compile(r"(\w+)\s*=\s*\d+;")
LINE = {"service": RPC, "message": FIELD, "enum": VALUE}


def read_proto(text):
    """Members by the qualified name of what they belong to ("Attachment.State"), and the reasons of comments."""
    members, reasons, scopes = {}, set(), []
    for line in text.splitlines():
        code, _, comment = line.partition("//")
        code = code.strip()
        kind = next((scope[0] for scope in reversed(scopes) if scope[0] != "oneof"), None)
        if kind in (None, "service"):
            reasons |= set(SHOUTED.findall(comment)) | set(IN_PARENTHESES.findall(comment))
        opened = OPEN.match(code)
        if opened:
            scopes.append((opened.group(1), opened.group(2)))
            if opened.group(1) != "oneof":
                members[".".join(name for scope, name in scopes if scope != "oneof")] = []
            if opened.group(3):
                scopes.pop()
        elif code.startswith("}"):
            scopes.pop()
        elif kind:
            named = LINE[kind].match(code)
            if named:
                members[".".join(name for scope, name in scopes if scope != "oneof")].append(named.group(1))
    return members, reasons - CODES


def read_document(text):
    """First cells of table rows by the name in the heading above them; reasons; other shouted words."""
    sections, reasons, words, name = {}, set(), set(), None
    for line in text.splitlines():
        if line.startswith("#"):
            named = re.search(r"`([\w.]+)`", line)
            name = named.group(1) if named else "errors" if re.match(r"#+ Errors", line) else None
            if named:
                sections[name] = []
        row = re.match(r"\| (`\w+`(?:, `\w+`)*) \|", line)
        if row and name:
            cells = re.findall(r"\w+", row.group(1))
            if name == "errors":
                reasons |= set(cells)
            else:
                sections[name] += cells
        words |= {word for quoted in re.findall(r"`([^`]+)`", line) for word in SHOUTED.findall(quoted)}
    return sections, reasons, {word for word in words if not word.startswith("BERTH_")}


def made_reasons(root):
    """Every string of the code that looks like a reason."""
    found = set()
    for folder in CODE:
        for path in files_of(root / folder, ".cc", ".h"):
            found |= set(re.findall(r'"([A-Z][A-Z0-9_]{3,})"', path.read_text(errors="replace")))
    return found


def differences(name, wanted, told):
    for one in wanted:
        if one not in told:
            yield f"{DOCUMENT}: `{name}` lacks `{one}`"
    for one in told:
        if one not in wanted:
            yield f"{DOCUMENT}: `{name}` has no `{one}`"


def violations(root):
    members, reasons = {}, set()
    for path in sorted((root / PROTOS).glob("*.proto")):
        of_file, its_reasons = read_proto(path.read_text())
        members |= of_file
        reasons |= its_reasons
    sections, told_reasons, words = read_document((root / DOCUMENT).read_text())
    for name, wanted in members.items():
        if name in sections:
            yield from differences(name, wanted, sections[name])
        elif wanted:
            yield f"{DOCUMENT}: no section is headed `{name}`"
    for name in sections:
        if name not in members:
            yield f"{DOCUMENT}: no .proto has `{name}`"
    made = made_reasons(root)
    for reason in sorted(reasons - told_reasons):
        yield f"{DOCUMENT}: the errors lack `{reason}`"
    for reason in sorted((reasons | told_reasons) - made):
        yield f"{DOCUMENT if reason in told_reasons else PROTOS}: no code makes the reason `{reason}`"
    values = {one for name, its in members.items() for one in its}
    for word in sorted(words - CODES - reasons - told_reasons - values):
        yield f"{DOCUMENT}: `{word}` is neither a reason, nor a value, nor a code"


def main():
    found = list(violations(Path(sys.argv[1]).resolve()))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
