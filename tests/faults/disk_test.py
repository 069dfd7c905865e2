#!/usr/bin/python3
"""The disk of the state database is full, or what lies on it is not what berthd wrote.

    disk_test.py --berthd PATH --berthctl PATH --eswitchd PATH --receiver PATH --protos GENERATED_PYTHON

The disk is a small tmpfs, mounted where only this process and its children see it.
"""
import ctypes
import os
import shutil
import sys
import unittest

from setting import (BLUE, COMPLETIONS, PATIENCE, Held, Host, Receiver, TrialError, grpc, kill, play, refusal,
                     wait_until)
from trial.agent import CallError
from trial.process import run

CLONE_NEWNS = 0x00020000
DISK_BYTES = 2 << 20
HOST = RECEIVER = STATE = None


def mount_disk(world):
    """A disk of our own at STATE, until the world ends and nobody uses it any more."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise TrialError(f"no mount namespace: errno {ctypes.get_errno()}")
    run("mount", "--make-rprivate", "/")
    STATE.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", STATE)
    world.at_end(run, "umount", STATE)


class DiskFull:
    """As long as the block lasts there is not a byte left."""

    def __enter__(self):
        with open(STATE / "filler", "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass
        return self

    def __exit__(self, *_):
        (STATE / "filler").unlink(missing_ok=True)


class Full(unittest.TestCase):
    def setUp(self):
        RECEIVER.start()
        self.standing = HOST.vmaas.attached("vm-1")
        self.states = HOST.states()
        self.rules = HOST.rules()

    def tearDown(self):
        HOST.detach_all()
        RECEIVER.child.stop()

    def assert_nothing_changed(self):
        self.assertEqual(HOST.states(), self.states)
        self.assertEqual(HOST.rules(), self.rules)

    def refused(self, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call.result()
        self.assertEqual(refusal(caught.exception), "UNAVAILABLE STATE_UNWRITABLE")
        self.assert_nothing_changed()

    def test_new_intents_are_refused_by_name_and_go_on_when_there_is_space(self):
        with DiskFull():
            for _ in range(3):
                self.refused(HOST.vmaas.attach("vm-2", request="attach-full"))
                self.refused(HOST.vmaas.detach(self.standing.attachment, request="detach-full"))
            with self.assertRaises(CallError) as push:
                HOST.push(BLUE + BLUE.replace("blue", "green").replace("7001", "7002"))
            self.assertIn("STATE_UNWRITABLE", push.exception.text)
            self.assert_nothing_changed()
            self.assertEqual([vpc["id"] for vpc in HOST.agent.ask("operator", "vpc", "list")[0]["vpcs"]], ["blue"])
        HOST.vmaas.attached("vm-2", request="attach-full")
        HOST.vmaas.detached(self.standing.attachment, request="detach-full")
        self.assertEqual(HOST.states(), {"vm-2": "ATTACHED"})
        HOST.push(BLUE)

    def accepted_before(self, call):
        """The id of an operation that was accepted, and has got all its steps done, when the disk is full."""
        with Held(HOST.agent.holder):
            operation = call().result().id
            full = DiskFull()
            full.__enter__()
            self.addCleanup(full.__exit__)
        HOST.berthd.wait_for(f"an operation cannot end operation={operation} .*disk is full", PATIENCE)
        return operation, full

    def test_a_detach_under_way_ends_when_there_is_space_and_is_told_then(self):
        operation, full = self.accepted_before(lambda: HOST.vmaas.detach(self.standing.attachment))
        self.assertFalse(HOST.vmaas.operation(operation).result().done)
        self.assertNotIn(operation, [one["id"] for one in RECEIVER.told()])
        self.assertEqual(HOST.states(), {"vm-1": "DETACHING"})
        full.__exit__()
        self.assertFalse(HOST.vmaas.wait(operation).result().HasField("error"))
        self.assertEqual(HOST.states(), {})
        RECEIVER.wait_for([operation])

    def test_an_attach_under_way_is_undone_and_ends_by_name_when_there_is_space(self):
        operation, full = self.accepted_before(lambda: HOST.vmaas.attach("vm-2"))
        self.assertFalse(HOST.vmaas.operation(operation).result().done)
        wait_until(lambda: HOST.rules() == self.rules, PATIENCE, "rules as they were before")
        full.__exit__()
        self.assertEqual(HOST.vmaas.wait(operation).result().error.reason, "STATE_UNWRITABLE")
        self.assert_nothing_changed()
        RECEIVER.wait_for([operation])
        HOST.vmaas.attached("vm-2")

    def test_berthd_killed_meanwhile_finishes_what_was_under_way(self):
        operation, full = self.accepted_before(lambda: HOST.vmaas.attach("vm-2"))
        HOST.kill_berthd()
        HOST.start_berthd()  # on a disk that is still full
        HOST.berthd.wait_for(f"an operation cannot end operation={operation} .*disk is full", PATIENCE)
        HOST.kill_berthd()
        full.__exit__()
        HOST.start_berthd()
        self.assertFalse(HOST.vmaas.wait(operation).result().HasField("error"))
        self.assertEqual(HOST.states(), self.states | {"vm-2": "ATTACHED"})
        RECEIVER.wait_for([operation])


class Damaged(unittest.TestCase):
    """Two VMs are attached, berthd does not run, and there is a copy of its database."""

    def setUp(self):
        self.database = STATE / "state.db"
        self.log = STATE / "state.db-wal"
        self.standing = HOST.vmaas.attached("vm-1")
        self.logged = self.log.stat().st_size
        HOST.vmaas.attached("vm-2")
        self.states = HOST.states()
        self.rules = HOST.rules()
        self.end_berthd()
        self.backup = HOST.world.folder / "backup"
        shutil.copytree(STATE, self.backup)

    def tearDown(self):
        HOST.detach_all()
        shutil.rmtree(self.backup)

    def damage(self, at, data, file=None):
        with open(file or self.database, "r+b") as opened:
            opened.seek(at)
            opened.write(data)

    def assert_refused(self, reason, *words):
        HOST.agent.start()
        child = HOST.berthd
        wait_until(lambda: not child.is_running(), PATIENCE, "its end")
        self.assertEqual(child.process.returncode, 1, child.output())
        said = child.output().splitlines()[-1]
        self.assertIn(f"cannot serve reason={reason}", said)
        for word in words:
            self.assertIn(word, said)

    def restore(self):
        """The first cure. What the holder has was not touched: there is nothing to read, add or remove."""
        for file in STATE.iterdir():
            file.unlink()
        shutil.copytree(self.backup, STATE, dirs_exist_ok=True)
        HOST.start_berthd()
        HOST.berthd.wait_for(r"eswitch in step rules=\d+ read=0 added=0 removed=0", PATIENCE)
        self.assertEqual(HOST.states(), self.states)
        self.assertEqual(HOST.rules(), self.rules)

    def assert_refused_until_restored(self):
        self.assert_refused("STATE_CORRUPT", str(self.database), "Restore it from a backup", "move it and its -wal file")
        self.restore()


class Corrupt(Damaged):
    """berthd has ended in good order, so that all of the database is in one file."""

    def end_berthd(self):
        HOST.vmaas.close()
        self.assertEqual(HOST.berthd.stop(), 0)

    def test_a_file_that_is_none_is_refused_with_the_cure(self):
        self.damage(0, b"this is not a database")
        self.assert_refused_until_restored()

    def test_a_page_overwritten_is_refused_with_the_cure(self):
        for page in range(1, self.database.stat().st_size // 4096):
            self.damage(4096 * page, os.urandom(64))
        self.assert_refused_until_restored()

    def test_a_file_cut_short_is_refused_with_the_cure(self):
        os.truncate(self.database, self.database.stat().st_size // 2)
        self.assert_refused_until_restored()

    def test_a_record_that_is_not_whole_is_refused_with_the_cure(self):
        bytes_now = self.database.read_bytes()
        at = bytes_now.index(b"vm-1", bytes_now.index(self.standing.attachment.encode()))
        self.damage(at - 4, b"\xff\xff")  # how long the VM's name is
        self.assert_refused_until_restored()

    def test_one_bit_of_an_address_is_refused_with_the_cure(self):
        bytes_now = self.database.read_bytes()
        mac = bytes.fromhex("020000010001")
        self.damage(bytes_now.index(mac) + 5, b"\x03")
        self.assert_refused_until_restored()

    def test_a_file_that_is_gone_does_not_cut_vms_off(self):
        self.database.unlink()
        self.assert_refused("STATE_IS_ANOTHERS", "Restore the database, or restart berth-eswitchd")
        self.restore()

    def test_the_second_cure_begins_without_any_attachment(self):
        self.damage(0, b"this is not a database")
        self.assert_refused("STATE_CORRUPT")
        kill(HOST.agent.holder)
        for name in STATE.iterdir():
            name.unlink()
        HOST.agent.start_holder()
        HOST.start_berthd()
        self.assertEqual(HOST.states(), {})
        HOST.push(BLUE)
        HOST.vmaas.attached("vm-1")
        HOST.vmaas.attached("vm-2")
        self.assertEqual(len(HOST.rules()), len(self.rules))


class CorruptLog(Damaged):
    """berthd was killed: what it has written last is in SQLite's write-ahead log, and only there."""

    def end_berthd(self):
        HOST.kill_berthd()

    def test_a_kill_alone_damages_nothing(self):
        self.restore()

    def test_one_bit_behind_the_first_vms_attach_is_refused_with_the_cure(self):
        with open(self.log, "rb") as file:
            file.seek(self.logged + 100)
            byte = file.read(1)[0]
        self.damage(self.logged + 100, bytes([byte ^ 1]), self.log)
        self.assert_refused_until_restored()

    def test_a_header_overwritten_is_refused_with_the_cure(self):
        self.damage(0, os.urandom(64), self.log)
        self.assert_refused_until_restored()


def set_up(world, options):
    global HOST, RECEIVER, STATE
    STATE = world.folder / "state"
    mount_disk(world)
    HOST = Host(world, options, more=COMPLETIONS, eswitchd=options.eswitchd, functions=1, unbacked=8)
    RECEIVER = Receiver(world, options.receiver)
    return HOST


if __name__ == "__main__":
    sys.exit(play(set_up, ("berthd", "berthctl", "eswitchd", "receiver")))
