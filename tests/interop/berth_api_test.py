#!/usr/bin/python3
"""A VMaaS and an SDN controller written in Python, with Google's gRPC and generated messages, against berthd.

    berth_api_test.py --berthd PATH --berthctl PATH --protos GENERATED_PYTHON
"""
import argparse
import os
import queue
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

ATTACHMENTS = "/berth.northbound.v1.Attachments/"
SYNC = "/berth.southbound.v1.VpcControl/Sync"


def run_outside(options):
    """Makes the world and runs the tests in berthd's network namespace."""
    from trial.agent import Agent
    from trial.world import World, what_is_missing
    missing = what_is_missing()
    if missing:
        print("SKIPPED: needs", ", ".join(missing))
        return 77
    with World(f"api{os.getpid()}") as world:
        agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs")
        agent.wait_ready()
        command = world.in_host("/usr/bin/python3", __file__, "--inside", agent.endpoint,
                                "--certs", str(world.folder / "certs"), "--protos", options.protos)
        return subprocess.run(command, timeout=60).returncode


class Api(unittest.TestCase):
    endpoint = certs = None

    def setUp(self):
        import grpc
        from berth.northbound.v1 import attachments_pb2
        from berth.southbound.v1 import vpc_control_pb2
        self.grpc, self.north, self.south = grpc, attachments_pb2, vpc_control_pb2

    def channel(self, role):
        def read(name):
            return (Path(self.certs) / name).read_bytes()
        credentials = self.grpc.ssl_channel_credentials(read("ca.crt"), read(f"{role}.key"), read(f"{role}.crt"))
        channel = self.grpc.secure_channel(self.endpoint, credentials)
        self.addCleanup(channel.close)
        return channel

    def unary(self, channel, method, request, reply, timeout=10):
        call = channel.unary_unary(ATTACHMENTS + method, request_serializer=type(request).SerializeToString,
                                   response_deserializer=reply.FromString)
        return call(request, timeout=timeout)

    def intent(self, request_id, vm, ip):
        interface = self.north.Interface(vpc="blue", ips=[ip], mac="02:00:00:00:01:%02x" % int(ip.rsplit(".", 1)[1]))
        return self.north.AttachVmRequest(request_id=request_id, vm=vm, interfaces=[interface])

    def controller(self):
        """A live bidirectional stream: a function that sends, and an iterator of what the agent says."""
        outgoing = queue.Queue()
        stream = self.channel("controller").stream_stream(
            SYNC, request_serializer=self.south.ControllerMessage.SerializeToString,
            response_deserializer=self.south.AgentMessage.FromString)
        incoming = stream(iter(outgoing.get, None), timeout=30)
        self.addCleanup(outgoing.put, None)
        return outgoing.put, incoming

    def test_a_whole_life(self):
        message, vpc = self.south.ControllerMessage, self.south.Vpc(id="blue", vni=7001)
        vpc.subnets.add(prefix="10.1.0.0/24", gateway="10.1.0.1")
        send, incoming = self.controller()
        send(message(hello=self.south.Hello(controller="python", election_id=7)))
        self.assertTrue(next(incoming).hello_ack.primary)
        send(message(snapshot_begin=self.south.SnapshotBegin(version=1)))
        send(message(vpc=vpc))
        send(message(snapshot_end=self.south.SnapshotEnd()))
        self.assertEqual(next(incoming).ack.version, 1)

        vmaas = self.channel("vmaas")
        watch = vmaas.unary_stream(ATTACHMENTS + "WatchOperations",
                                   request_serializer=self.north.WatchOperationsRequest.SerializeToString,
                                   response_deserializer=self.north.Operation.FromString)
        completions = watch(self.north.WatchOperationsRequest(after_revision=0), timeout=30)
        operation = self.unary(vmaas, "AttachVm", self.intent("r-1", "vm-1", "10.1.0.5"), self.north.Operation)
        completion = next(completions)
        self.assertEqual(completion.id, operation.id)
        self.assertTrue(completion.done)
        self.assertFalse(completion.HasField("error"))
        self.assertEqual(completion.result.state, self.north.Attachment.ATTACHED)
        event = next(incoming).endpoint_event
        self.assertEqual((event.vm, list(event.ips), event.vtep), ("vm-1", ["10.1.0.5"], "192.0.2.1"))

        again = self.unary(vmaas, "AttachVm", self.intent("r-1", "vm-1", "10.1.0.5"), self.north.Operation)
        self.assertEqual(again.id, operation.id)
        with self.assertRaises(self.grpc.RpcError) as refused:
            self.unary(vmaas, "AttachVm", self.intent("r-2", "vm-1", "10.1.0.6"), self.north.Operation)
        self.assertEqual(refused.exception.code(), self.grpc.StatusCode.ALREADY_EXISTS)
        details = dict(refused.exception.trailing_metadata())["grpc-status-details-bin"]
        self.assertIn(b"VM_ALREADY_ATTACHED", details)
        self.assertIn(b"google.rpc.ErrorInfo", details)

        request = self.north.DetachVmRequest(request_id="r-3", attachment=operation.attachment)
        detached = self.unary(vmaas, "DetachVm", request, self.north.Operation)
        self.assertEqual(next(completions).id, detached.id)
        self.assertEqual(next(incoming).endpoint_event.kind, self.south.EndpointEvent.DETACHED)
        listed = self.unary(vmaas, "ListAttachments", self.north.ListAttachmentsRequest(),
                            self.north.ListAttachmentsResponse)
        self.assertEqual(len(listed.attachments), 0)

    def test_a_deadline_ends_a_watch(self):
        watch = self.channel("operator").unary_stream(
            ATTACHMENTS + "WatchOperations", request_serializer=self.north.WatchOperationsRequest.SerializeToString,
            response_deserializer=self.north.Operation.FromString)
        with self.assertRaises(self.grpc.RpcError) as ended:
            next(watch(self.north.WatchOperationsRequest(), timeout=0.2))
        self.assertEqual(ended.exception.code(), self.grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_an_operator_may_look_and_not_touch(self):
        operator = self.channel("operator")
        self.unary(operator, "ListAttachments", self.north.ListAttachmentsRequest(), self.north.ListAttachmentsResponse)
        with self.assertRaises(self.grpc.RpcError) as refused:
            self.unary(operator, "AttachVm", self.intent("r-9", "vm-9", "10.1.0.9"), self.north.Operation)
        self.assertEqual(refused.exception.code(), self.grpc.StatusCode.PERMISSION_DENIED)

    def test_a_message_out_of_order_ends_the_stream(self):
        send, incoming = self.controller()
        send(self.south.ControllerMessage(snapshot_end=self.south.SnapshotEnd()))
        with self.assertRaises(self.grpc.RpcError) as ended:
            next(incoming)
        self.assertEqual(ended.exception.code(), self.grpc.StatusCode.FAILED_PRECONDITION)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--berthd", "--berthctl", "--protos", "--inside", "--certs"):
        parser.add_argument(name)
    options = parser.parse_args()
    if not options.inside:
        return run_outside(options)
    sys.path.insert(0, options.protos)
    Api.endpoint, Api.certs = options.inside, options.certs
    return 0 if unittest.main(argv=[__file__], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
