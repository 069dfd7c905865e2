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


class Format(unittest.TestCase):
    def test_a_file_that_clang_format_would_change_is_found(self):
        code, _ = Tree({"a.cc": "int  x ;\n"}).run("check_format.py")
        self.assertIn(code, (1, 77))  # 77: clang-format is not installed, which the check itself says

    def test_a_formatted_file_passes(self):
        code, _ = Tree({"a.cc": "int x;\n"}).run("check_format.py")
        self.assertIn(code, (0, 77))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
