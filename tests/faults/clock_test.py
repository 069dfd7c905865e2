#!/usr/bin/python3
"""berthd's system clock jumps a year ahead and a day back, while it works. What it waits for is measured by a clock that does
not jump; certificates are judged by the one that does, when a connection is made.

    clock_test.py --berthd PATH --berthctl PATH --eswitchd PATH --receiver PATH --shim PATH --protos GENERATED_PYTHON
"""
import struct
import sys
import time
import unittest

from setting import COMPLETIONS, PATIENCE, Client, Held, Host, Receiver, Vmaas, grpc, play, refusal, wait_until
from trial.agent import CallError

DAY = 86400
JUMPS = {"a year ahead": 365 * DAY, "a day back": -DAY, "and right again": 0}
VPC_WAIT = 0.3
MORE = COMPLETIONS + f"""
[attach]
vpc_wait_ms = {int(VPC_WAIT * 1000)}
"""
HOST = RECEIVER = OPERATOR = CLOCK = None


def jump(seconds):
    """berthd's and berth-eswitchd's clocks are so far from the machine's from now on."""
    with open(CLOCK, "r+b") as file:  # in one piece: it is mapped
        file.write(struct.pack("<q", seconds))


def restart():
    """With every connection up again. The clock is right."""
    global OPERATOR
    OPERATOR.close()
    HOST.kill_berthd()
    HOST.start_berthd()
    OPERATOR = Operator(HOST.agent)
    RECEIVER.wait_for([HOST.vmaas.detached(HOST.vmaas.attached("vm-2").attachment).id])


class Operator(Client):
    """A connection that was made when the clock was right."""

    def __init__(self, agent):
        from berth.northbound.v1 import inspection_pb2
        self.messages = inspection_pb2
        super().__init__(agent, "operator")

    def audit(self):
        call = self.channel.unary_unary("/berth.northbound.v1.Inspection/ShowAudit",
                                        request_serializer=self.messages.ShowAuditRequest.SerializeToString,
                                        response_deserializer=self.messages.ShowAuditResponse.FromString)
        return call(self.messages.ShowAuditRequest(), timeout=PATIENCE)


class Clock(unittest.TestCase):
    """Connections are up when a test begins: the VMaaS's, the operator's, and that of completions."""

    def tearDown(self):
        jump(0)
        HOST.detach_all()

    def test_operations_watches_and_completions_go_on(self):
        watch = HOST.vmaas.watch(after_revision=HOST.vmaas.attached("vm-9").revision)
        self.addCleanup(watch.cancel)
        for name, seconds in JUMPS.items():
            with self.subTest(name):
                jump(seconds)
                begun = time.monotonic()
                attached = HOST.vmaas.attached("vm-1")
                detached = HOST.vmaas.detached(attached.attachment)
                took = (time.monotonic() - begun) * 1e6
                for operation in (attached, detached):
                    self.assertEqual(next(watch).id, operation.id)
                    self.assertLess(operation.total_micros, took)
                    for step in operation.steps:
                        self.assertLess(step.micros, took, step.name)
                RECEIVER.wait_for([attached.id, detached.id])

    def test_an_operation_under_way_does_not_mind(self):
        for name, seconds in JUMPS.items():
            with self.subTest(name):
                with Held(HOST.agent.holder):
                    accepted = HOST.vmaas.attach("vm-1").result()
                    jump(seconds)
                ended = HOST.vmaas.wait(accepted.id).result()
                self.assertFalse(ended.HasField("error"), ended.error)
                HOST.vmaas.detached(ended.attachment)

    def test_a_time_to_wait_is_as_long_as_ever(self):
        for name, seconds in JUMPS.items():
            with self.subTest(name):
                begun = time.monotonic()
                call = HOST.vmaas.attach("vm-1", vpc="violet")
                jump(seconds)
                with self.assertRaises(grpc.RpcError) as refused:
                    call.result()
                took = time.monotonic() - begun
                self.assertEqual(refusal(refused.exception), "NOT_FOUND VPC_UNKNOWN")
                self.assertGreaterEqual(took, VPC_WAIT)
                self.assertLess(took, PATIENCE / 2)

    def test_the_audit_looks_as_often_and_tells_the_time_that_it_is(self):
        for name, seconds in JUMPS.items():
            with self.subTest(name):
                runs = OPERATOR.audit().runs
                jump(seconds)
                wait_until(lambda: OPERATOR.audit().runs >= runs + 2, PATIENCE, "two audits")
                told = OPERATOR.audit().last_run_unix_ms / 1000
                self.assertLess(abs(told - (time.time() + seconds)), PATIENCE)

    def test_new_connections_are_refused_by_name_and_standing_ones_are_not(self):
        for seconds, why in ((365 * DAY, "has expired"), (-DAY, "is not yet valid")):
            with self.subTest(why):
                restart()  # of such refusals it tells the first at once, and then one in ten seconds
                jump(seconds)
                with self.assertRaises(CallError) as refused:
                    HOST.agent.list()
                self.assertIn("UNAVAILABLE", refused.exception.text)
                self.assertIn("certificate", refused.exception.text)
                HOST.berthd.wait_for(f"peer refused peer=127.0.0.1:.*certificate {why}", PATIENCE)
                OPERATOR.audit()
                HOST.vmaas.detached(HOST.vmaas.attached("vm-1").attachment)
                jump(0)
                HOST.agent.list()

    def test_completions_wait_until_the_receivers_certificate_is_valid_again(self):
        for seconds, why in ((365 * DAY, "expired"), (-DAY, "not yet valid")):
            with self.subTest(why):
                RECEIVER.child.stop()  # so that a new connection is needed
                RECEIVER.start()
                seen = len(HOST.berthd.output())
                jump(seconds)
                attached = HOST.vmaas.attached("vm-1")
                HOST.berthd.wait_for(f"a completion was not taken.*certificate.*{why}", PATIENCE, seen)
                self.assertNotIn(attached.id, [one["id"] for one in RECEIVER.told()])
                jump(0)
                RECEIVER.wait_for([attached.id])
                RECEIVER.wait_for([HOST.vmaas.detached(attached.attachment).id])

    def test_a_start_in_another_year_adopts_what_is_there(self):
        HOST.vmaas.attached("vm-1")
        rules = HOST.rules()
        for name, seconds in JUMPS.items():
            with self.subTest(name):
                HOST.kill_berthd()
                jump(seconds)
                HOST.agent.start()
                HOST.berthd.wait_for(r"eswitch in step rules=\d+ read=0 added=0 removed=0", PATIENCE)
                HOST.agent.wait_ready()
                jump(0)
                HOST.vmaas = Vmaas(HOST.agent)
                self.assertEqual(HOST.rules(), rules)
        restart()


def set_up(world, options):
    global HOST, RECEIVER, OPERATOR, CLOCK
    CLOCK = world.folder / "clock"
    CLOCK.write_bytes(bytes(8))

    def jumpy(program):
        wrapper = world.folder / program.name
        wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={options.shim.resolve()} BERTH_CLOCK={CLOCK} '
                           f'exec {program.resolve()} "$@"\n')
        wrapper.chmod(0o700)
        return wrapper
    HOST = Host(world, options, more=MORE, berthd=jumpy(options.berthd), eswitchd=jumpy(options.eswitchd), functions=1,
                unbacked=8, audit_s=1)
    OPERATOR = Operator(HOST.agent)
    RECEIVER = Receiver(world, options.receiver)
    RECEIVER.start()
    RECEIVER.wait_for([HOST.vmaas.detached(HOST.vmaas.attached("vm-1").attachment).id])
    return HOST


if __name__ == "__main__":
    sys.exit(play(set_up, ("berthd", "berthctl", "eswitchd", "receiver", "shim")))
