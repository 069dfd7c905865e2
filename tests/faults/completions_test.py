#!/usr/bin/python3
"""Every completion is delivered, whoever dies meanwhile: berthd, the receiver of completions, and mutual TLS between them.

    completions_test.py --berthd PATH --berthctl PATH --receiver PATH --protos GENERATED_PYTHON
"""
import sys
import unittest
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from setting import RECEIVER as RECEIVER_ADDRESS
from setting import (COMPLETIONS, PATIENCE, TRUST_DOMAIN, Client, Host, PythonReceiver, Receiver, grpc, play,
                     wait_until)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER_TRACE = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
HOST = RECEIVER = None


class WithReceiver(unittest.TestCase):
    """Each test leaves no attachment. What it was told may be told again to the next: a confirmation can be lost."""

    earlier = set()

    def setUp(self):
        self.pid = HOST.berthd.pid
        RECEIVER.start()

    def tearDown(self):
        self.assertTrue(HOST.berthd.is_running())
        RECEIVER.child.stop()
        self.earlier.update(one["id"] for one in RECEIVER.told())
        RECEIVER.log.unlink(missing_ok=True)

    def come_and_go(self, vm, **how):
        """Ids of the two operations."""
        attached = HOST.vmaas.attached(vm, **how)
        return [attached.id, HOST.vmaas.detached(attached.attachment, **how).id]

    def told(self):
        return [one for one in RECEIVER.told() if one["id"] not in self.earlier]

    def assert_told_once_and_in_order(self, operations):
        RECEIVER.wait_for(operations)
        told = self.told()
        self.assertEqual(sorted(one["id"] for one in told), sorted(operations), "each once, and no other")
        kinds = defaultdict(list)
        for one in told:
            self.assertTrue(one["done"])
            self.assertNotIn("error", one)
            kinds[one["attachment"]].append(one["kind"])
        self.assertEqual(set(map(tuple, kinds.values())), {("ATTACH", "DETACH")})


class Completions(WithReceiver):
    def test_each_end_of_an_operation_is_told_with_its_outcome(self):
        operations = self.come_and_go("vm-1")
        self.assert_told_once_and_in_order(operations)
        attach, detach = self.told()
        self.assertEqual((attach["result"]["vm"], attach["result"]["state"]), ("vm-1", "ATTACHED"))
        self.assertGreater(int(detach["revision"]), int(attach["revision"]))
        self.assertIn("verify", [step["name"] for step in attach["steps"]])

    def test_the_trace_of_a_request_goes_with_its_completion(self):
        attached = HOST.vmaas.attached("vm-1", traceparent=TRACE)
        RECEIVER.child.wait_for(rf"completion operation={attached.id} .*traceparent={TRACE}\b", PATIENCE)
        detached = HOST.vmaas.detached(attached.attachment)
        RECEIVER.child.wait_for(rf"completion operation={detached.id} .*traceparent=(\"\")?$", PATIENCE)

    def test_receiver_that_was_killed_hears_of_everything_when_it_is_back(self):
        RECEIVER.kill()
        operations = self.come_and_go("vm-1") + self.come_and_go("vm-2")
        self.assertEqual(self.told(), [])
        HOST.berthd.wait_for("a completion was not taken", PATIENCE)
        RECEIVER.start()
        self.assert_told_once_and_in_order(operations)

    def test_receiver_killed_again_and_again_under_load_misses_nothing(self):
        with ThreadPoolExecutor(6) as pool:
            def live(number):
                return [one for _ in range(6) for one in self.come_and_go(f"vm-{number}")]
            lives = [pool.submit(live, number) for number in range(1, 7)]
            for count in (10, 25, 40):
                wait_until(lambda: len(RECEIVER.told()) >= count, PATIENCE, f"{count} completions")
                RECEIVER.kill()
                RECEIVER.start()
            operations = [one for life in lives for one in life.result()]
        self.assert_told_once_and_in_order(operations)

    def test_what_a_killed_berthd_had_not_told_its_successor_tells(self):
        RECEIVER.kill()
        operations = self.come_and_go("vm-1")
        attached = HOST.vmaas.attached("vm-2", traceparent=TRACE)
        HOST.kill_berthd()
        RECEIVER.start()
        self.assertEqual(self.told(), [])
        HOST.start_berthd()
        RECEIVER.child.wait_for(rf"completion operation={attached.id} .*traceparent={TRACE}\b", PATIENCE)
        detached = HOST.vmaas.detached(attached.attachment)
        self.assert_told_once_and_in_order(operations + [attached.id, detached.id])

    def test_what_was_confirmed_is_not_told_again_by_the_next_process(self):
        attached, detached = self.come_and_go("vm-1")
        RECEIVER.wait_for([attached, detached])  # the detach is told when the attach has been confirmed
        RECEIVER.kill()
        RECEIVER.log.unlink()  # it forgets, and would take them again
        HOST.kill_berthd()
        RECEIVER.start()
        HOST.start_berthd()
        RECEIVER.wait_for(self.come_and_go("vm-1"))
        self.assertNotIn(attached, [one["id"] for one in RECEIVER.told()])


class WrongReceivers(WithReceiver):
    def refused(self, said, **identity):
        RECEIVER.kill()
        seen = len(HOST.berthd.output())
        RECEIVER.start(**identity)
        operations = self.come_and_go("vm-1")
        HOST.berthd.wait_for(f"a completion was not taken.*{said}", PATIENCE, seen)
        self.assertEqual(self.told(), [])
        RECEIVER.kill()
        RECEIVER.start()
        self.assert_told_once_and_in_order(operations)

    def test_one_of_a_foreign_authority_hears_nothing(self):
        self.refused("certificate verify failed .unable to get local issuer", certificate="foreign-receiver")

    def test_one_with_another_name_hears_nothing(self):
        self.refused("certificate verify failed .hostname mismatch", certificate="agent")

    def test_one_that_does_not_trust_berthd_hears_nothing(self):
        self.refused("unknown ca", trusted_ca="foreign-ca")

    def test_one_hears_agents_only(self):
        """Whoever else has a certificate of the same authority: a VMaaS, say, or a controller."""
        from berth.northbound.v1 import completions_pb2
        for role in ("vmaas", "controller", "operator"):
            client = Client(HOST.agent, role, RECEIVER_ADDRESS, f"receiver.{TRUST_DOMAIN}")
            self.addCleanup(client.close)
            deliver = client.channel.unary_unary(
                "/berth.northbound.v1.CompletionReceiver/Deliver",
                request_serializer=completions_pb2.DeliverRequest.SerializeToString,
                response_deserializer=completions_pb2.DeliverResponse.FromString)
            with self.subTest(role), self.assertRaises(grpc.RpcError) as refused:
                deliver(completions_pb2.DeliverRequest(operation={"id": "op-forged"}), timeout=PATIENCE)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(self.told(), [])


class OtherReceivers(unittest.TestCase):
    """Of Google's gRPC: what it answers is up to the test."""

    def receiver(self, answer):
        receiver = PythonReceiver(HOST.world, answer)
        self.addCleanup(receiver.stop)
        return receiver

    def test_what_is_not_confirmed_is_told_again_before_what_follows(self):
        attempts = []

        def refuse_twice(operation):
            attempts.append(operation.id)
            return grpc.StatusCode.UNAVAILABLE if attempts.count(operation.id) <= 2 else None
        receiver = self.receiver(refuse_twice)
        attached = HOST.vmaas.attached("vm-1", traceparent=TRACE)
        detached = HOST.vmaas.detached(attached.attachment, traceparent=OTHER_TRACE)
        wait_until(lambda: len(receiver.heard) >= 6, PATIENCE, "six attempts")
        self.assertEqual(receiver.heard, [(attached.id, TRACE)] * 3 + [(detached.id, OTHER_TRACE)] * 3)

    def test_a_refusal_for_good_is_none(self):
        refused = []

        def refuse_once(operation):
            if operation.id in refused:
                return None
            refused.append(operation.id)
            return grpc.StatusCode.INVALID_ARGUMENT
        receiver = self.receiver(refuse_once)
        attached = HOST.vmaas.attached("vm-1")
        wait_until(lambda: [one for one, _ in receiver.heard] == [attached.id] * 2, PATIENCE, "a second attempt")
        detached = HOST.vmaas.detached(attached.attachment)
        wait_until(lambda: [one for one, _ in receiver.heard][2:] == [detached.id] * 2, PATIENCE, "and of the detach")

    def test_one_attachment_waits_for_its_own_confirmation_only(self):
        deaf_for = set()
        receiver = self.receiver(
            lambda operation: grpc.StatusCode.UNAVAILABLE if operation.attachment in deaf_for else None)
        first = HOST.vmaas.attached("vm-1")
        wait_until(lambda: (first.id, None) in receiver.heard, PATIENCE, "the first one's attach")
        deaf_for.add(first.attachment)
        gone = HOST.vmaas.detached(first.attachment)
        wait_until(lambda: (gone.id, None) in receiver.heard, PATIENCE, "an attempt for the first one")
        second = HOST.vmaas.attached("vm-2")
        last = HOST.vmaas.detached(second.attachment)
        wait_until(lambda: (last.id, None) in receiver.heard, PATIENCE, "both of the second one")
        deaf_for.clear()
        count = receiver.heard.count((gone.id, None))
        wait_until(lambda: receiver.heard.count((gone.id, None)) > count, PATIENCE, "and the first one's again")


def set_up(world, options):
    global HOST, RECEIVER
    HOST = Host(world, options, more=COMPLETIONS, functions=1, unbacked=8)
    RECEIVER = Receiver(world, options.receiver)
    return HOST


if __name__ == "__main__":
    sys.exit(play(set_up, ("berthd", "berthctl", "receiver")))
