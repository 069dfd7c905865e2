"""A host with berthd and berth-eswitchd, and one client of its API with generated messages, in one process: it
enters the host's network namespace, so that it can call berthd, hold up the eSwitch and start berthd anew."""
import ctypes
import os
import queue
import signal
import sys
import unittest
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/conformance")]

from trial.agent import Agent  # noqa: E402
from trial.process import wait_until  # noqa: E402,F401
from trial.world import CLONE_NEWNET, World, what_is_missing  # noqa: E402

ATTACHMENTS = "/berth.northbound.v1.Attachments/"
SYNC = "/berth.southbound.v1.VpcControl/Sync"
VPCS = (("blue", 7001, "10.1.0.0/24", "10.1.0.1"), ("green", 7002, "10.2.0.0/24", "10.2.0.1"))
VPC = """
[[vpc]]
id = "{}"
vni = {}
[[vpc.subnet]]
prefix = "{}"
gateway = "{}"
"""


@contextmanager
def inside(netns):
    """This thread, and those that it starts, are in another network namespace."""
    def enter(path):
        with open(path) as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {path}")
    with open("/proc/thread-self/ns/net") as own:
        enter(f"/run/netns/{netns}")
        try:
            yield
        finally:
            enter(f"/proc/self/fd/{own.fileno()}")


def run_tests(options, case):
    """Runs the tests of `case` against a world of their own; returns the exit code."""
    missing = what_is_missing()
    if missing:
        print("SKIPPED: needs", ", ".join(missing))
        return 77
    sys.path.insert(0, options.protos)
    with World(f"api{os.getpid()}") as world:
        case.agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs",
                           eswitchd=options.eswitchd)
        case.agent.wait_ready()
        case.agent.push("".join(VPC.format(name, vni, prefix, gateway) for name, vni, prefix, gateway in VPCS))
        with inside(world.host):
            result = unittest.main(argv=[sys.argv[0]], exit=False, verbosity=2).result
        if not result.wasSuccessful():
            print(case.agent.log_tail())
    return 0 if result.wasSuccessful() else 1


class ApiCase(unittest.TestCase):
    agent = None

    @classmethod
    def setUpClass(cls):
        import grpc
        from berth.northbound.v1 import attachments_pb2
        from berth.southbound.v1 import vpc_control_pb2
        from rpc.wire import status_pb2
        cls.grpc, cls.north, cls.south, cls.wire = grpc, attachments_pb2, vpc_control_pb2, status_pb2
        cls.channels = {}

    @classmethod
    def tearDownClass(cls):
        cls.hang_up()

    # --- calls ---

    @classmethod
    def channel(cls, role):
        if role not in cls.channels:
            def read(name):
                return (cls.agent.world.folder / "certs" / name).read_bytes()
            credentials = cls.grpc.ssl_channel_credentials(read("ca.crt"), read(f"{role}.key"), read(f"{role}.crt"))
            cls.channels[role] = cls.grpc.secure_channel(cls.agent.endpoint, credentials)
        return cls.channels[role]

    @classmethod
    def hang_up(cls):
        for channel in cls.channels.values():
            channel.close()
        cls.channels.clear()

    def call(self, method, request, reply, role="vmaas", timeout=10):
        call = self.channel(role).unary_unary(ATTACHMENTS + method, type(request).SerializeToString, reply.FromString)
        return call(request, timeout=timeout)

    def watch(self, after_revision=None, timeout=30, role="vmaas"):
        watch = self.channel(role).unary_stream(
            ATTACHMENTS + "WatchOperations", self.north.WatchOperationsRequest.SerializeToString,
            self.north.Operation.FromString)
        stream = watch(self.north.WatchOperationsRequest(after_revision=after_revision), timeout=timeout)
        self.addCleanup(stream.cancel)
        return stream

    def rules(self):
        """What the eSwitch holds."""
        from berth.northbound.v1 import inspection_pb2
        show = self.channel("operator").unary_stream(
            "/berth.northbound.v1.Inspection/ShowRules", inspection_pb2.ShowRulesRequest.SerializeToString,
            inspection_pb2.HeldRule.FromString)
        return list(show(inspection_pb2.ShowRulesRequest(), timeout=30))

    def health(self, service="", role="operator"):
        from standard.health.v1 import health_pb2
        check = self.channel(role).unary_unary(
            "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString)
        status = check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
        return health_pb2.HealthCheckResponse.ServingStatus.Name(status)

    @contextmanager
    def refused(self, code, reason, fields=(), metadata=None):
        """The call within is refused so: status, ErrorInfo, and the field paths of BadRequest."""
        with self.assertRaises(self.grpc.RpcError) as caught:
            yield
        error = caught.exception
        self.assertEqual(error.code(), self.grpc.StatusCode[code], error.details())
        status = self.wire.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        details = {detail.type_url.rsplit(".", 1)[1]: detail.value for detail in status.details}
        info = self.wire.ErrorInfo.FromString(details["ErrorInfo"])
        self.assertEqual((info.domain, info.reason), ("berth", reason))
        bad = self.wire.BadRequest.FromString(details.get("BadRequest", b""))
        self.assertEqual([violation.field for violation in bad.field_violations], list(fields))
        if metadata is not None:
            self.assertEqual(dict(info.metadata), metadata)

    # --- the controller ---

    @classmethod
    def controller(cls):
        """A live bidirectional stream: a function that sends, and an iterator of what the agent says."""
        outgoing = queue.Queue()
        stream = cls.channel("controller").stream_stream(
            SYNC, cls.south.ControllerMessage.SerializeToString, cls.south.AgentMessage.FromString)
        incoming = stream(iter(outgoing.get, None), timeout=30)
        return outgoing.put, incoming

    @classmethod
    def push_vpcs(cls, send, version, **shape):
        message = cls.south.ControllerMessage
        send(message(snapshot_begin=cls.south.SnapshotBegin(version=version)))
        for name, vni, prefix, gateway in VPCS:
            vpc = cls.south.Vpc(id=name, vni=vni)
            vpc.subnets.add(prefix=prefix, gateway=gateway)
            cls.shape(vpc, **shape)
            send(message(vpc=vpc))
        send(message(snapshot_end=cls.south.SnapshotEnd()))

    @classmethod
    def shape(cls, vpc, groups=(), blocks=(), neighbours=0):
        """What a test wants of blue, beside its subnet: `groups` has ids, each denies TCP to port 25; `blocks` are
        the host's; so many `neighbours` are on the other host, in a subnet of their own."""
        if vpc.id == "blue" and neighbours:
            vpc.subnets.add(prefix="10.64.0.0/10", gateway="10.64.0.1")
            for number in range(2, neighbours + 2):
                low = f"{number // 256}.{number % 256}"
                vpc.mappings.add(ip=f"10.64.{low}", vtep="192.0.2.2",
                                 mac=f"02:00:00:01:{number // 256:02x}:{number % 256:02x}")
        vpc.subnets[0].host_blocks.extend(blocks if vpc.id == "blue" else ())
        rule = cls.south.PolicyRule
        for group in groups if vpc.id == "blue" else ():
            vpc.policy_groups.add(id=group, rules=[rule(direction=rule.EGRESS, action=rule.DENY, protocol=rule.TCP,
                                                        port_first=25, port_last=25)])

    @contextmanager
    def vpcs(self, **shape):
        """A controller pushes such VPCs (see shape()); yields a function that pushes others. In the end they are
        as they were."""
        self.assertEqual(self.pushed(**shape), [])
        yield self.pushed
        self.assertEqual(self.pushed(), [])

    def pushed(self, **shape):
        """In a session of its own: the errors of the answer, as (resource, reason)."""
        send, incoming = self.controller()
        try:
            send(self.south.ControllerMessage(hello=self.south.Hello(controller="python", election_id=7)))
            self.push_vpcs(send, next(incoming).hello_ack.accepted_version + 1, **shape)
            answer = next(one for one in incoming if one.HasField("ack") or one.HasField("nack"))
            return [(error.resource, error.reason) for error in answer.nack.errors]
        finally:
            send(None)

    # --- intents ---

    def interface(self, ip, vpc=None, **more):
        """10.1.0.x is an address of blue, 10.2.0.x one of green; the MAC follows from the address."""
        _, network, _, host = map(int, ip.split("."))
        return self.north.Interface(vpc=vpc or {1: "blue", 2: "green"}[network], ips=[ip],
                                    mac=f"02:00:00:00:{network:02x}:{host:02x}", **more)

    def intent(self, vm, *ips, request_id=None, validate_only=False):
        return self.north.AttachVmRequest(
            request_id=request_id or f"{self.id().rsplit('.', 1)[1]}-{vm}", vm=vm, validate_only=validate_only,
            interfaces=[self.interface(ip) for ip in ips])

    def attach(self, intent):
        """Begins it, and sees to it that it is detached when the test ends."""
        operation = self.call("AttachVm", intent, self.north.Operation)
        self.addCleanup(self.clean_up, operation)
        return operation

    def attached(self, vm, *ips):
        """To its end, which is a good one: the operation."""
        ended = self.wait(self.attach(self.intent(vm, *ips)))
        self.assertFalse(ended.HasField("error"), ended.error)
        return ended

    def detach(self, attachment, etag="", request_id=None):
        return self.call("DetachVm", self.north.DetachVmRequest(
            request_id=request_id or f"gone-{attachment}", attachment=attachment, etag=etag), self.north.Operation)

    def clean_up(self, operation):
        self.wait(operation)
        try:
            self.wait(self.detach(operation.attachment))
        except self.grpc.RpcError as error:
            if error.code() != self.grpc.StatusCode.NOT_FOUND:
                raise

    def wait(self, operation, role="vmaas"):
        return self.call("WaitOperation", self.north.GetOperationRequest(operation=operation.id),
                         self.north.Operation, role)

    def get(self, attachment, paths=()):
        return self.call("GetAttachment", self.north.GetAttachmentRequest(
            attachment=attachment, read_mask={"paths": paths}), self.north.Attachment)

    def list(self, paths=(), **request):
        return self.call("ListAttachments", self.north.ListAttachmentsRequest(
            read_mask={"paths": paths}, **request), self.north.ListAttachmentsResponse)

    def list_operations(self, **request):
        return self.call("ListOperations", self.north.ListOperationsRequest(**request),
                         self.north.ListOperationsResponse)

    def cancel(self, operation, role="vmaas"):
        return self.call("CancelOperation", self.north.CancelOperationRequest(operation=operation),
                         self.north.Operation, role)

    def capacity(self):
        return self.call("GetCapacity", self.north.GetCapacityRequest(), self.north.Capacity, "operator")

    # --- the host ---

    @contextmanager
    def eswitch_held_up(self):
        """No rule is programmed meanwhile: operations are accepted, run, and do not end."""
        os.kill(self.agent.holder.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.agent.holder.pid, signal.SIGCONT)

    def restart_berthd(self):
        self.hang_up()
        self.agent.child.stop()
        self.agent.start()
        self.agent.wait_ready()
