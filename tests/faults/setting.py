"""What the tests of faults have in common: a host with berthd, a VMaaS and a controller in Python with Google's gRPC, whose
calls can be made side by side and be given up, and the VMaaS's receivers of completions.

    with World(...) as world:
        enter(world)          # this process moves to the host's network, for gRPC's sake
        host = Host(world, options)
"""
import argparse
import ctypes
import json
import os
import queue
import signal
import sys
import unittest
from concurrent import futures
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import TRUST_DOMAIN, Agent  # noqa: E402
from trial.process import TrialError, wait_until  # noqa: E402
from trial.world import CLONE_NEWNET, World, what_is_missing  # noqa: E402

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"  # children of ours are other programs
os.environ["GRPC_VERBOSITY"] = "NONE"  # that connections break is what is tested
try:
    import grpc
except ImportError:
    print("SKIPPED: this needs python3-grpcio (tools/deps install test)")
    sys.exit(77)

PATIENCE = 20  # seconds until an event that should come is given up; nothing waits this long when all is well
RECEIVER = "127.0.0.1:7444"  # in the host's own network, where nobody else is
COMPLETIONS = f"""
[completions]
receivers = ["{RECEIVER}"]
server_name = "receiver.{TRUST_DOMAIN}"
"""
BLUE = """\
[[vpc]]
id = "blue"
vni = 7001
[[vpc.subnet]]
prefix = "10.1.0.0/16"
gateway = "10.1.0.1"
"""


def enter(world):
    """Moves this thread, and the threads and programs that it starts from now on, to the host's network."""
    with open(f"/run/netns/{world.host}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise TrialError(f"cannot enter namespace {world.host}: errno {ctypes.get_errno()}")


def kill(child):
    child.process.kill()
    child.process.wait()


class Held:
    """A process that stands still for as long as the block lasts."""

    def __init__(self, child):
        self.child = child

    def __enter__(self):
        os.kill(self.child.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        if self.child.is_running():  # it may have been killed meanwhile
            os.kill(self.child.pid, signal.SIGCONT)


class Host:
    """berthd with a state database, VPC blue pushed; `options`: the programs' paths."""

    def __init__(self, world, options, more="", berthd=None, eswitchd=None, state=None, functions=2, unbacked=0,
                 audit_s=30):
        self.world = world
        self.agent = Agent(world, berthd or options.berthd, options.berthctl, ROOT / "tools/certs", more=more,
                           eswitchd=eswitchd, state=state or world.folder / "state", functions=functions,
                           unbacked=unbacked, audit_s=audit_s)
        self.agent.wait_ready()
        self.last_election = 0
        self.push(BLUE)
        self.vmaas = Vmaas(self.agent)

    def next_election(self):
        """Each controller is another one, and takes over from the last."""
        self.last_election += 1
        return self.last_election

    def push(self, text):
        path = self.world.folder / "vpcs.toml"
        path.write_text(text)
        return self.agent.call("controller", "vpc", "push", path, "--election-id", self.next_election())

    @property
    def berthd(self):
        return self.agent.child

    def kill_berthd(self):
        self.vmaas.close()
        kill(self.berthd)

    def start_berthd(self):
        self.agent.start()
        self.agent.wait_ready()
        self.vmaas = Vmaas(self.agent)

    def kill_holder(self):
        kill(self.agent.holder)
        self.berthd.wait_for("rule holder away", PATIENCE)

    def rules(self):
        return sorted(rule["testpmd"] for rule in self.agent.rules())

    def states(self):
        """VM to state of its attachment."""
        return {one["vm"]: one["state"] for one in self.agent.list()}

    def detach_all(self):
        for one in self.agent.list():
            if one["state"] == "ATTACHED":
                self.agent.detach(one["attachment"])
        self.settle({})

    def settle(self, states):
        """Until the VMs are in these states: quarantines are lifted after a while."""
        try:
            wait_until(lambda: self.states() == states, PATIENCE, "")
        except TrialError:
            raise TrialError(f"attachments are {self.states()}, not {states}") from None


class Client:
    """A role's connection to berthd, or to whoever is at `endpoint` and has this name in its certificate."""

    def __init__(self, agent, role, endpoint=None, server_name=None):
        def read(name):
            return (agent.world.folder / "certs" / name).read_bytes()
        credentials = grpc.ssl_channel_credentials(read("ca.crt"), read(f"{role}.key"), read(f"{role}.crt"))
        options = [("grpc.ssl_target_name_override", server_name)] if server_name else None
        self.channel = grpc.secure_channel(endpoint or agent.endpoint, credentials, options)
        grpc.channel_ready_future(self.channel).result(PATIENCE)

    def close(self):
        self.channel.close()


class Vmaas(Client):
    """Calls return futures: result() is the answer, or raises grpc.RpcError."""

    SERVICE = "/berth.northbound.v1.Attachments/"

    def __init__(self, agent):
        from berth.northbound.v1 import attachments_pb2
        self.messages = attachments_pb2
        super().__init__(agent, "vmaas")

    def attach(self, vm, request=None, vpc="blue", traceparent=None):
        """vm-7 gets 10.1.0.7."""
        number = int(vm.rsplit("-", 1)[1])
        interface = self.messages.Interface(vpc=vpc, ips=[f"10.1.{number // 250}.{number % 250 + 2}"],
                                            mac=f"02:00:00:01:{number // 250:02x}:{number % 250:02x}")
        intent = self.messages.AttachVmRequest(request_id=request or f"attach-{vm}-{os.urandom(8).hex()}", vm=vm,
                                               interfaces=[interface])
        return self._call("AttachVm", intent, self.messages.Operation, traceparent)

    def detach(self, attachment, request=None, traceparent=None):
        intent = self.messages.DetachVmRequest(request_id=request or f"detach-{os.urandom(8).hex()}",
                                               attachment=attachment)
        return self._call("DetachVm", intent, self.messages.Operation, traceparent)

    def wait(self, operation):
        return self._call("WaitOperation", self.messages.GetOperationRequest(operation=operation),
                          self.messages.Operation)

    def operation(self, operation):
        """As it is now."""
        return self._call("GetOperation", self.messages.GetOperationRequest(operation=operation),
                          self.messages.Operation)

    def watch(self, after_revision=None):
        call = self.channel.unary_stream(self.SERVICE + "WatchOperations",
                                         request_serializer=self.messages.WatchOperationsRequest.SerializeToString,
                                         response_deserializer=self.messages.Operation.FromString)
        return call(self.messages.WatchOperationsRequest(after_revision=after_revision), timeout=10 * PATIENCE)

    def attached(self, vm, **how):
        """To its end: the operation, which must have succeeded."""
        return self._ended(self.attach(vm, **how))

    def detached(self, attachment, **how):
        return self._ended(self.detach(attachment, **how))

    def _ended(self, accepted):
        ended = self.wait(accepted.result().id).result()
        if ended.HasField("error"):
            raise TrialError(f"{ended.id}: {ended.error.reason} {ended.error.message}")
        return ended

    def _call(self, method, request, reply, traceparent=None):
        call = self.channel.unary_unary(self.SERVICE + method, request_serializer=type(request).SerializeToString,
                                        response_deserializer=reply.FromString)
        metadata = (("traceparent", traceparent),) if traceparent else None
        return call.future(request, timeout=PATIENCE, metadata=metadata)


def refusal(error):
    """Code and reason of a grpc.RpcError, as "UNAVAILABLE STATE_UNWRITABLE"."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    begin = details.find(b"google.rpc.ErrorInfo")
    info = details[begin + len(b"google.rpc.ErrorInfo"):] if begin >= 0 else b""
    # google.protobuf.Any.value (field 2) holds google.rpc.ErrorInfo, whose field 1 is the reason.
    reason = info[4:4 + info[3]].decode() if info[:1] == b"\x12" and info[2:3] == b"\n" else ""
    return f"{error.code().name} {reason}".strip()


class Controller(Client):
    """One stream; `heard` gives what berthd says."""

    def __init__(self, agent, election_id):
        from berth.southbound.v1 import vpc_control_pb2
        self.messages = vpc_control_pb2
        super().__init__(agent, "controller")
        self._outgoing = queue.Queue()
        call = self.channel.stream_stream("/berth.southbound.v1.VpcControl/Sync",
                                          request_serializer=self.messages.ControllerMessage.SerializeToString,
                                          response_deserializer=self.messages.AgentMessage.FromString)
        self.heard = call(iter(self._outgoing.get, None), timeout=10 * PATIENCE)
        self.say(hello=self.messages.Hello(controller="python", election_id=election_id))
        self.hello_ack = next(self.heard).hello_ack

    def say(self, **message):
        self._outgoing.put(self.messages.ControllerMessage(**message))

    def vpc(self, mappings):
        """VPC blue with so many VMs on the other host."""
        vpc = self.messages.Vpc(id="blue", vni=7001)
        vpc.subnets.add(prefix="10.1.0.0/16", gateway="10.1.0.1")
        for i in range(mappings):
            vpc.mappings.add(ip=f"10.1.{128 + i // 250}.{i % 250 + 2}", mac=f"02:00:00:02:{i // 250:02x}:{i % 250:02x}",
                             vtep="192.0.2.2")
        return vpc

    def push(self, version, mappings):
        """All but the end of a snapshot."""
        self.say(snapshot_begin=self.messages.SnapshotBegin(version=version))
        self.say(vpc=self.vpc(mappings))

    def end_push(self):
        self.say(snapshot_end=self.messages.SnapshotEnd())

    def close(self):
        self._outgoing.put(None)
        super().close()


class Receiver:
    """completion-receiver. Its log outlives its kills."""

    def __init__(self, world, program):
        self.world = world
        self.program = program
        self.log = world.folder / "completions.json"
        self.child = None

    def start(self, certificate="receiver", trusted_ca="ca"):
        certs = self.world.folder / "certs"
        self.child = self.world.spawn("receiver", [
            self.program, "--listen", RECEIVER, "--log", self.log, "--certificate", certs / f"{certificate}.crt",
            "--private-key", certs / f"{certificate}.key", "--trusted-ca", certs / f"{trusted_ca}.crt",
            "--trust-domain", TRUST_DOMAIN])
        self.child.wait_for("ready.* listen=", PATIENCE)

    def kill(self):
        kill(self.child)

    def told(self):
        """The operations that it has confirmed, in order."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def wait_for(self, operations):
        """Until it has confirmed all of these (ids)."""
        def missing():
            return set(operations) - {one["id"] for one in self.told()}
        try:
            wait_until(lambda: not missing(), PATIENCE, "")
        except TrialError:
            raise TrialError(f"nobody told of {missing()}") from None


class PythonReceiver:
    """A receiver of Google's gRPC. `answer(operation)`: None confirms, a grpc.StatusCode refuses."""

    def __init__(self, world, answer):
        from berth.northbound.v1 import completions_pb2
        self.heard = []  # operation id, traceparent

        def deliver(request, call):
            self.heard.append((request.operation.id, dict(call.invocation_metadata()).get("traceparent")))
            if (code := answer(request.operation)) is not None:
                call.abort(code, "not now")
            return completions_pb2.DeliverResponse()
        handler = grpc.unary_unary_rpc_method_handler(
            deliver, request_deserializer=completions_pb2.DeliverRequest.FromString,
            response_serializer=completions_pb2.DeliverResponse.SerializeToString)
        certs = world.folder / "certs"
        credentials = grpc.ssl_server_credentials(
            [((certs / "receiver.key").read_bytes(), (certs / "receiver.crt").read_bytes())],
            root_certificates=(certs / "ca.crt").read_bytes(), require_client_auth=True)
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[grpc.method_handlers_generic_handler(
            "berth.northbound.v1.CompletionReceiver", {"Deliver": handler})])
        self._server.add_secure_port(RECEIVER, credentials)
        self._server.start()

    def stop(self):
        self._server.stop(0).wait()


def play(set_up, programs, missing=()):
    """Skips, or makes the world, calls `set_up(world, options)`, which returns the Host, and runs the tests of the
    module. Returns the exit code."""
    parser = argparse.ArgumentParser()
    for program in programs:
        parser.add_argument(f"--{program}", type=Path, required=True)
    parser.add_argument("--protos", required=True)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    if missing := what_is_missing() + list(missing):
        print("SKIPPED: this needs " + ", ".join(missing))
        return 77
    sys.path.insert(0, options.protos)
    with World(f"faults{os.getpid()}") as world:
        enter(world)
        try:
            host = set_up(world, options)
        except TrialError as error:
            print(f"FAILED: {error}")
            return 1
        result = unittest.main(argv=sys.argv[:1] + options.tests, exit=False, verbosity=2,
                               failfast=True).result  # one host for all: what failed has left it in no known state
        if not result.wasSuccessful():
            print("The end of berthd's log:\n" + host.agent.log_tail())
        host.vmaas.close()
        return 0 if result.wasSuccessful() else 1
