#!/usr/bin/python3
"""Those around berthd are killed: berth-eswitchd, the SDN controller, the VMaaS. Nothing is lost, and nothing is left half.

    kills_test.py --berthd PATH --berthctl PATH --eswitchd PATH --protos GENERATED_PYTHON

berthd itself is killed in tests/flow/crash_test.cc and conformance.restart, QEMU in interop.qemu_ports.
"""
import sys
import time
import unittest
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from setting import BLUE, PATIENCE, Controller, Held, Host, kill, play, wait_until

VMS = 40  # of a burst
HELD = 8  # of these begin while the holder stands still, and is about to die
ONE_MAPPING = """\
[[vpc.mapping]]
ip = "10.1.200.2"
mac = "02:00:00:03:00:00"
vtep = "192.0.2.2"
"""
CONTROLLER = "--be-the-controller"
HOST = PROTOS = None


class Faults(unittest.TestCase):
    """Each test leaves the host as it found it: no attachment, and the rules that are nobody's."""

    def setUp(self):
        self.assertEqual(HOST.states(), {})
        self.before = HOST.rules()

    def tearDown(self):
        HOST.detach_all()
        self.assertEqual(HOST.rules(), self.before)


class HolderKilled(Faults):
    def tearDown(self):
        super().tearDown()
        self.assert_audited()

    def audit(self):
        return HOST.agent.ask("operator", "show", "audit")[0]

    def assert_audited(self):
        """A look at what the eSwitch holds that began after this call found nothing to repair."""
        runs = int(self.audit().get("runs", 0))
        wait_until(lambda: int(self.audit()["runs"]) >= runs + 2, PATIENCE, "two audits")
        audit = self.audit()
        self.assertEqual((audit.get("obstacle", ""), audit.get("findings", [])), ("", []))

    def start_holder(self):
        seen = len(HOST.berthd.output())
        HOST.agent.start_holder()
        HOST.berthd.wait_for("eswitch in step", PATIENCE, seen)

    def test_standing_attachments_get_their_rules_back(self):
        for number in (1, 2, 3):
            HOST.vmaas.attached(f"vm-{number}")
        rules = HOST.rules()
        HOST.kill_holder()
        wait_until(lambda: self.audit().get("obstacle"), PATIENCE, "an audit that cannot look")
        self.assertEqual(HOST.states(), {f"vm-{number}": "ATTACHED" for number in (1, 2, 3)})
        refused = HOST.vmaas.wait(HOST.vmaas.attach("vm-4").result().id).result()
        self.assertEqual(refused.error.reason, "ESWITCH_AWAY")
        self.start_holder()
        HOST.settle({f"vm-{number}": "ATTACHED" for number in (1, 2, 3)})
        self.assertEqual(HOST.rules(), rules)
        self.assert_audited()
        HOST.vmaas.attached("vm-4")

    def burst(self, begin):
        """Begins an operation for each VM; the holder dies when some have ended, and some are known to need it.
        VM to how its operation ended: None, or the error's reason."""
        watch = HOST.vmaas.watch()
        self.addCleanup(watch.cancel)
        calls = {vm: begin(vm) for vm in vms()[HELD:]}
        for _ in range(5):
            next(watch)
        with Held(HOST.agent.holder):
            calls |= {vm: begin(vm) for vm in vms()[:HELD]}
            operations = {vm: call.result().id for vm, call in calls.items()}
            HOST.kill_holder()
        self.start_holder()
        ended = {vm: HOST.vmaas.wait(operation).result() for vm, operation in operations.items()}
        outcomes = {vm: one.error.reason if one.HasField("error") else None for vm, one in ended.items()}
        print(Counter(outcomes.values()), end=" ", flush=True)
        self.assertGreaterEqual(list(outcomes.values()).count(None), 5)
        return outcomes

    def test_attaches_under_way_wait_for_it_and_succeed(self):
        """berthd is patient ([attach] patience_ms): a holder that is back soon costs no attach."""
        outcomes = self.burst(HOST.vmaas.attach)
        self.assertEqual(set(outcomes.values()), {None})
        HOST.settle({vm: "ATTACHED" for vm in vms()})

    def test_detaches_under_way_wait_for_it_and_succeed(self):
        accepted = {vm: HOST.vmaas.attach(vm) for vm in vms()}
        attachments = {vm: HOST.vmaas.wait(call.result().id).result().attachment for vm, call in accepted.items()}
        outcomes = self.burst(lambda vm: HOST.vmaas.detach(attachments[vm]))
        self.assertEqual(set(outcomes.values()), {None})
        HOST.settle({})

    def test_one_that_hangs_holds_up_what_needs_it_and_berthd_answers(self):
        with Held(HOST.agent.holder):
            accepted = HOST.vmaas.attach("vm-1").result()
            self.assertEqual(HOST.states(), {"vm-1": "ATTACHING"})
        self.assertFalse(HOST.vmaas.wait(accepted.id).result().HasField("error"))


def vms():
    return [f"vm-{number}" for number in range(1, VMS + 1)]


class ControllerKilled(Faults):
    MAPPINGS = 2000

    def setUp(self):
        super().setUp()
        self.push_one()
        wait_until(self.is_whole, PATIENCE, "the mapping in the eSwitch: its next hop has been found")

    def push_one(self):
        """One mapping: the way to the other host stays known."""
        HOST.push(BLUE + ONE_MAPPING)
        self.version = int(self.known()["version"])

    def tearDown(self):
        HOST.push(BLUE)
        super().tearDown()

    def known(self):
        return HOST.agent.ask("operator", "vpc", "list")[0]

    def controller(self, how):
        """Another process, which can be killed."""
        child = HOST.world.spawn("controller", [
            "/usr/bin/python3", __file__, CONTROLLER, HOST.agent.endpoint, HOST.world.folder, PROTOS, how,
            HOST.next_election(), self.version + 1, self.MAPPINGS])
        child.wait_for("pushing", PATIENCE)
        return child

    def mappings(self):
        return sum(rule["purpose"] == "mapping" for rule in HOST.agent.rules())

    def test_in_the_middle_of_a_snapshot_nothing_of_it_was_done(self):
        HOST.vmaas.attached("vm-1")
        rules = HOST.rules()
        kill(self.controller("half"))
        self.assertEqual(int(self.known()["version"]), self.version)
        self.assertEqual(HOST.rules(), rules)

    def test_after_a_snapshot_all_of_it_or_nothing_is_done(self):
        for delay in (0, 0.05, 0.1):
            child = self.controller("whole")
            time.sleep(delay)  # not to wait for anything: the moment of the kill
            kill(child)
            wait_until(self.is_whole, PATIENCE, "an end of the push")
            self.push_one()

    def test_while_its_push_is_programmed_all_of_it_is_done(self):
        with Held(HOST.agent.holder):
            child = self.controller("whole")
            time.sleep(0.5)  # by when the push waits for the holder
            kill(child)
            time.sleep(0.1)  # and berthd knows that nobody waits for the push
        wait_until(lambda: int(self.known()["version"]) == self.version + 1, PATIENCE, "the push")
        wait_until(self.is_whole, PATIENCE, "the rules of the push")

    def is_whole(self):
        """What is known and what is programmed are the same, before or after."""
        wanted = self.MAPPINGS if int(self.known()["version"]) == self.version + 1 else 1
        return self.mappings() == wanted

    def test_the_host_serves_on_and_the_next_one_begins_where_it_was(self):
        first = HOST.vmaas.attached("vm-1")
        child = self.controller("whole")
        child.wait_for("heard ack", PATIENCE)
        rules = HOST.rules()
        kill(child)
        self.assertEqual(HOST.rules(), rules)
        second = HOST.vmaas.attached("vm-2")
        HOST.vmaas.detached(second.attachment)
        self.assertEqual(HOST.rules(), rules)
        successor = Controller(HOST.agent, HOST.next_election())
        self.addCleanup(successor.close)
        self.assertEqual(successor.hello_ack.accepted_version, self.version + 1)
        self.assertTrue(successor.hello_ack.primary)
        event = next(successor.heard).endpoint_event
        self.assertEqual((event.vm, event.kind), ("vm-1", successor.messages.EndpointEvent.ATTACHED))
        HOST.vmaas.detached(first.attachment)


class VmaasKilled(Faults):
    def berthctl(self, *command):
        """The VMaaS as another process, which can be killed."""
        environment = [f"{key}={value}" for key, value in HOST.agent.environment("vmaas").items()]
        return HOST.world.spawn("vmaas", ["env", *environment, HOST.agent.berthctl, *command])

    def attach_command(self, request, vpc="blue"):
        return ["attach", "--vm", "vm-1", "--vpc", vpc, "--ip", "10.1.0.3", "--mac", "02:00:00:01:00:01",
                "--request-id", request]

    def again(self, request):
        return HOST.agent.ask("vmaas", *self.attach_command(request))[-1]

    def test_while_it_waits_for_an_operation_that_goes_on_to_its_end(self):
        with Held(HOST.agent.holder):
            child = self.berthctl(*self.attach_command("killed-in-wait"))
            wait_until(lambda: HOST.states() == {"vm-1": "ATTACHING"}, PATIENCE, "the attach")
            kill(child)
        HOST.settle({"vm-1": "ATTACHED"})
        again = self.again("killed-in-wait")
        self.assertEqual(again["state"], "DONE")
        self.assertEqual([one["attachment"] for one in HOST.agent.list()], [again["attachment"]])

    def test_before_its_attach_was_accepted_nothing_is_done(self):
        child = self.berthctl(*self.attach_command("killed-early", vpc="violet"))
        time.sleep(0.3)  # by when it waits for its VPC
        kill(child)
        HOST.push(BLUE + BLUE.replace("blue", "violet").replace("7001", "7002"))
        self.assertEqual(HOST.states(), {})
        again = HOST.agent.ask("vmaas", *self.attach_command("killed-early", vpc="violet"))[-1]
        self.assertEqual(again["state"], "DONE")
        HOST.agent.detach(again["attachment"])
        HOST.push(BLUE)

    def test_at_any_moment_its_request_is_done_once(self):
        for number in range(12):
            request = f"killed-{number}"
            child = self.berthctl(*self.attach_command(request))
            time.sleep(0.003 * number)  # not to wait for anything: the moment of the kill
            kill(child)
            again = self.again(request)
            self.assertEqual(again["state"], "DONE")
            attachments = HOST.agent.list()
            self.assertEqual([one["attachment"] for one in attachments], [again["attachment"]])
            HOST.agent.detach(again["attachment"])


def be_the_controller(endpoint, folder, protos, how, election, version, mappings):
    """The other process: pushes "half" a snapshot, or the "whole" of it, and stays until it is killed."""
    sys.path.insert(0, protos)
    controller = Controller(SimpleNamespace(endpoint=endpoint, world=SimpleNamespace(folder=Path(folder))),
                            int(election))
    controller.push(int(version), int(mappings))
    if how == "whole":
        controller.end_push()
    print("pushing", flush=True)
    for message in controller.heard:
        print(f"heard {message}", flush=True)


def set_up(world, options):
    global HOST, PROTOS
    PROTOS = options.protos
    HOST = Host(world, options, eswitchd=options.eswitchd, functions=1, unbacked=VMS, audit_s=1)
    return HOST


if __name__ == "__main__":
    if sys.argv[1] == CONTROLLER:
        be_the_controller(*sys.argv[2:])
        sys.exit(0)
    sys.exit(play(set_up, ("berthd", "berthctl", "eswitchd")))
