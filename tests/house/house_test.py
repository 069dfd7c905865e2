#!/usr/bin/python3
"""The house checks catch what they are there for: each is shown a small tree that breaks its rule."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Tree:
    """A throw-away tree of files."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        for name, text in files.items():
            path = Path(self.folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, check):
        """Exit code and output of a check on this tree."""
        result = subprocess.run(
            [sys.executable, HERE / check, self.folder.name], capture_output=True, text=True)
        self.folder.cleanup()
        return result.returncode, result.stdout + result.stderr


def includes(source, header):
    target = header if header.startswith("<") else f'"{header}"'
    return Tree({source: f"#include {target}\n"}).run("check_includes.py")


class IncludeDirection(unittest.TestCase):
    ALLOWED = [
        ("agent/attach.cc", "dataplane/eswitch.h"),
        ("agent/attach.cc", "agent/journal.h"),
        ("agent/main.cc", "northbound/service.h"),
        ("agent/main.cc", "rpc/server.h"),
        ("agent/journal.cc", "<sqlite3.h>"),
        ("dataplane/dpdk/ports.cc", "<rte_flow.h>"),
        ("host/netlink/link.cc", "<netlink/route/link.h>"),
        ("northbound/service.cc", "berth/northbound/v1/attachment.pb.h"),
        ("rpc/tls.cc", "<openssl/ssl.h>"),
        ("tests/unit/soft/run_test.cc", "<rte_mbuf.h>"),
        ("tools/berthctl/main.cc", "rpc/client.h"),
        ("base/error.cc", "<fmt/format.h>"),
        ("southbound/session.cc", "dataplane/vpc.h"),
    ]
    REFUSED = [
        ("base/error.h", "agent/journal.h", "base sees only itself"),
        ("rpc/server.h", "agent/journal.h", "rpc sees only base"),
        ("dataplane/compile.cc", "agent/model.h", "dataplane sees only base"),
        ("agent/attach.cc", "northbound/service.h", "agent sees only"),
        ("agent/attach.cc", "rpc/server.h", "agent sees only"),
        ("northbound/service.cc", "dataplane/eswitch.h", "northbound sees only"),
        ("southbound/session.cc", "northbound/service.h", "southbound sees only"),
        ("southbound/session.cc", "dataplane/compile.h", "southbound sees only"),
        ("dataplane/compile.cc", "<rte_flow.h>", "DPDK headers stop in"),
        ("agent/main.cc", "<rte_eal.h>", "DPDK headers stop in"),
        ("agent/attach.cc", "<openssl/ssl.h>", "OpenSSL headers stop in"),
        ("northbound/service.cc", "<boost/asio/ssl.hpp>", "OpenSSL headers stop in"),
        ("southbound/session.cc", "<nghttp2/nghttp2.h>", "nghttp2 headers stop in"),
        ("host/links.cc", "<netlink/netlink.h>", "libnl headers stop in"),
        ("agent/attach.cc", "berth/northbound/v1/attachment.pb.h", "protobuf headers stop in"),
        ("northbound/outbox.cc", "<sqlite3.h>", "SQLite headers stop in"),
        ("agent/attach.cc", "attach.h", "written from the root"),
        ("agent/attach.cc", "../base/error.h", "written from the root"),
        ("utils/strings.cc", "base/error.h", "not in the table"),
    ]

    def test_arrows_of_the_design_are_allowed(self):
        for source, header in self.ALLOWED:
            with self.subTest(source=source, header=header):
                self.assertEqual(includes(source, header), (0, ""))

    def test_every_other_arrow_is_named_with_file_and_line(self):
        for source, header, why in self.REFUSED:
            with self.subTest(source=source, header=header):
                code, output = includes(source, header)
                self.assertEqual(code, 1)
                self.assertIn(source, output)
                self.assertIn(why, output)


class Files(unittest.TestCase):
    def check(self, name, text):
        return Tree({name: text}).run("check_files.py")

    def test_400_lines_pass_and_401_do_not(self):
        self.assertEqual(self.check("agent/attach.cc", "int x;\n" * 400)[0], 0)
        code, output = self.check("agent/attach.cc", "int x;\n" * 401)
        self.assertEqual((code, "401 lines" in output), (1, True))

    def test_long_scripts_without_suffix_are_found(self):
        self.assertEqual(self.check("tools/x", "#!/bin/bash\n" + "true\n" * 400)[0], 1)

    def test_tests_may_be_longer(self):
        self.assertEqual(self.check("tests/unit/a_test.cc", "int x;\n" * 401)[0], 0)

    def test_shell_that_does_not_parse_is_found(self):
        self.assertEqual(self.check("tools/x", "#!/bin/bash\nif true; then\n")[0], 1)
        self.assertEqual(self.check(".ci/run", "#!/bin/bash\nif true; then\n")[0], 1)

    def test_python_that_does_not_compile_is_found(self):
        self.assertEqual(self.check("tools/x.py", "def f(:\n")[0], 1)

    def test_another_python_than_debians_is_found(self):
        self.assertEqual(self.check("tools/x", "#!/usr/bin/env python3\n")[0], 1)

    def test_trailing_blanks_and_tabs_are_found(self):
        self.assertEqual(self.check("README.md", "text \n")[0], 1)
        self.assertEqual(self.check("tools/x.py", "if True:\n\tpass\n")[0], 1)


API = {
    "proto/berth/northbound/v1/a.proto": """
// PERMISSION_DENIED (NO_ROLE).
service Things {
  // Makes one.
  //   NOT_FOUND  THING_UNKNOWN, THING_GONE
  rpc MakeThing(MakeThingRequest) returns (Thing);
}
message MakeThingRequest {}
message Thing {
  enum State {
    STATE_UNSPECIFIED = 0;
    NEARLY_DONE = 1;  // not a reason: HALF_DONE
  }
  string id = 1;
  oneof place {
    uint32 shelf = 2;
  }
  optional State state = 3;
}
""",
    "agent/thing.cc": 'fail("THING_UNKNOWN"); fail("THING_GONE"); fail("NO_ROLE"); fail("THING_BROKEN");\n',
    "docs/api.md": """
## Errors
| `NO_ROLE` | x |
| `THING_UNKNOWN`, `THING_GONE` | x |
| `THING_BROKEN` | how an operation may end |
## Service `Things`
| `MakeThing` | x |
### `Thing`
| `id` | `STATE_UNSPECIFIED`, `NOT_FOUND` and BERTH_ANYTHING may be mentioned |
| `shelf`, `state` | x |
### `Thing.State`
| `STATE_UNSPECIFIED` | x |
| `NEARLY_DONE` | x |
""",
}


class Api(unittest.TestCase):
    def check(self, name="docs/api.md", old="", new=""):
        files = dict(API)
        self.assertIn(old, files[name])
        files[name] = files[name].replace(old, new)
        return Tree(files).run("check_api.py")

    def test_a_page_that_tells_all_passes(self):
        self.assertEqual(self.check(), (0, ""))

    def test_what_the_page_lacks_is_named(self):
        for old, what in (("| `MakeThing` | x |", "`Things` lacks `MakeThing`"),
                          ("`shelf`, ", "`Thing` lacks `shelf`"),
                          ("| `NEARLY_DONE` | x |", "`Thing.State` lacks `NEARLY_DONE`"),
                          ("### `Thing.State`", "no section is headed `Thing.State`"),
                          (", `THING_GONE`", "the errors lack `THING_GONE`"),
                          ("| `NO_ROLE` | x |", "the errors lack `NO_ROLE`")):
            with self.subTest(old):
                code, output = self.check(old=old)
                self.assertEqual((code, what in output), (1, True), output)

    def test_what_is_not_there_is_named(self):
        for old, new, what in (("`MakeThing`", "`MakeThing`, `BreakThing`", "`Things` has no `BreakThing`"),
                               ("`id`", "`id`, `colour`", "`Thing` has no `colour`"),
                               ("`NEARLY_DONE`", "`NEARLY_DONE`, `ALL_DONE`", "`Thing.State` has no `ALL_DONE`"),
                               ("### `Thing`", "### `Other`\n### `Thing`", "no .proto has `Other`"),
                               ("`NO_ROLE`", "`NO_ROLE`, `NO_RIGHT`", "no code makes the reason `NO_RIGHT`"),
                               ("`NOT_FOUND`", "`NOT_HERE`", "`NOT_HERE` is neither")):
            with self.subTest(new):
                code, output = self.check(old=old, new=new)
                self.assertEqual((code, what in output), (1, True), output)

    def test_a_reason_that_no_code_makes_is_found(self):
        code, output = self.check("agent/thing.cc", "THING_GONE", "THING_WENT")
        self.assertEqual((code, "no code makes the reason `THING_GONE`" in output), (1, True), output)


class Format(unittest.TestCase):
    def test_a_file_that_clang_format_would_change_is_found(self):
        code, _ = Tree({"a.cc": "int  x ;\n"}).run("check_format.py")
        self.assertIn(code, (1, 77))  # 77: clang-format is not installed, which the check itself says

    def test_a_formatted_file_passes(self):
        code, _ = Tree({"a.cc": "int x;\n"}).run("check_format.py")
        self.assertIn(code, (0, 77))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
