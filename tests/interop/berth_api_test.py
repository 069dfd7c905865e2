#!/usr/bin/python3
"""A VMaaS and an SDN controller written in Python, with Google's gRPC and generated messages, against berthd.

    berth_api_test.py --berthd PATH --berthctl PATH --eswitchd PATH --protos GENERATED_PYTHON
"""
import argparse
import sys

from api_world import ApiCase, run_tests, wait_until

FUNCTIONS = 4  # of trial.agent.Agent


class Controllers(ApiCase):
    def test_a_whole_life(self):
        send, incoming = self.controller()
        self.addCleanup(send, None)
        send(self.south.ControllerMessage(hello=self.south.Hello(controller="python", election_id=7)))
        self.assertTrue(next(incoming).hello_ack.primary)
        self.push_vpcs(send, version=2)
        self.assertEqual(next(incoming).ack.version, 2)

        latest = max([one.revision for one in self.list_operations(page_size=1).operations], default=0)
        completions = self.watch(after_revision=latest)
        operation = self.attach(self.intent("vm-1", "10.1.0.5", request_id="r-1"))
        completion = next(completions)
        self.assertEqual(completion.id, operation.id)
        self.assertTrue(completion.done)
        self.assertFalse(completion.HasField("error"))
        self.assertEqual(completion.result.state, self.north.Attachment.ATTACHED)
        self.assertEqual(self.event(incoming, "ATTACHED", "vm-1"), (["10.1.0.5"], "192.0.2.1"))

        again = self.call("AttachVm", self.intent("vm-1", "10.1.0.5", request_id="r-1"), self.north.Operation)
        self.assertEqual(again.id, operation.id)
        with self.refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"]):
            self.call("AttachVm", self.intent("vm-1", "10.1.0.7", request_id="r-1"), self.north.Operation)
        with self.refused("ALREADY_EXISTS", "VM_ALREADY_ATTACHED"):
            self.call("AttachVm", self.intent("vm-1", "10.1.0.6", request_id="r-2"), self.north.Operation)

        detached = self.detach(operation.attachment)
        self.assertEqual(next(completions).id, detached.id)
        self.assertEqual(self.event(incoming, "DETACHED", "vm-1"), (["10.1.0.5"], "192.0.2.1"))
        self.assertEqual(self.detach(operation.attachment).id, detached.id, "the same request again")
        self.assertEqual(len(self.list().attachments), 0)

    def event(self, incoming, kind, vm):
        """The next event of this VM; those that went before, of other tests, are told to a new session, too."""
        for message in incoming:
            event = message.endpoint_event
            if event.vm == vm and event.kind == self.south.EndpointEvent.Kind.Value(kind):
                return list(event.ips), event.vtep

    def test_a_message_out_of_order_ends_the_stream(self):
        send, incoming = self.controller()
        self.addCleanup(send, None)
        send(self.south.ControllerMessage(snapshot_end=self.south.SnapshotEnd()))
        with self.assertRaises(self.grpc.RpcError) as ended:
            next(incoming)
        self.assertEqual(ended.exception.code(), self.grpc.StatusCode.FAILED_PRECONDITION)


class Roles(ApiCase):
    def test_an_operator_may_look_and_not_touch(self):
        north = self.north
        for method, request, reply in (
                ("ListAttachments", north.ListAttachmentsRequest(), north.ListAttachmentsResponse),
                ("ListOperations", north.ListOperationsRequest(), north.ListOperationsResponse),
                ("GetCapacity", north.GetCapacityRequest(), north.Capacity)):
            self.call(method, request, reply, role="operator")
        for method, request in (("AttachVm", self.intent("vm-9", "10.1.0.9")),
                                ("AttachVm", self.intent("vm-9", "10.1.0.9", validate_only=True)),
                                ("DetachVm", north.DetachVmRequest(request_id="r-9", attachment="att-9")),
                                ("UpdateAttachment", north.UpdateAttachmentRequest(request_id="r-9")),
                                ("CancelOperation", north.CancelOperationRequest(operation="op-9"))):
            with self.subTest(method), self.refused("PERMISSION_DENIED", "ROLE_MAY_NOT"):
                self.call(method, request, north.Operation, role="operator")


class Rules(ApiCase):
    def test_there_may_be_more_than_a_message_holds(self):
        neighbours = 20_000
        with self.vpcs(neighbours=neighbours):
            self.attached("vm-1", "10.1.0.5")
            rules = self.rules()
            self.assertGreater(len(rules), neighbours)
            self.assertGreater(sum(one.ByteSize() for one in rules), 4 << 20)
            self.assertEqual(sum(one.purpose == "mapping" for one in rules), neighbours)
            self.assertEqual(len({one.testpmd for one in rules}), len(rules))


class Health(ApiCase):
    def test_every_role_may_ask(self):
        for role in ("vmaas", "controller", "operator"):
            for service in ("", "berth.northbound.v1.Attachments", "berth.southbound.v1.VpcControl"):
                with self.subTest(role=role, service=service):
                    self.assertEqual(self.health(service, role), "SERVING")
        with self.refused("NOT_FOUND", "SERVICE_UNKNOWN"):
            self.health("berth.northbound.v1.Coffee")

    def test_nothing_is_served_while_the_rule_holder_is_away(self):
        self.agent.holder.process.kill()
        self.agent.holder.process.wait()
        wait_until(lambda: self.health() == "NOT_SERVING", 10, "berthd says that it serves, without an eSwitch")
        self.agent.start_holder()
        wait_until(lambda: self.health() == "SERVING", 10, "berthd does not serve again")


class Updates(ApiCase):
    RATE, GROUPS = "interfaces.interface.max_rate_from_vm", "interfaces.interface.policy_groups"

    def update(self, attachment, *paths, request_id=None, validate_only=False, role="vmaas"):
        if request_id is None:
            request_id = f"change-{attachment.id.replace(' ', '-')}"
        return self.call("UpdateAttachment", self.north.UpdateAttachmentRequest(
            request_id=request_id, attachment=attachment, update_mask={"paths": paths},
            validate_only=validate_only), self.north.Operation, role)

    def test_what_was_read_is_changed_and_sent_back(self):
        before = self.get(self.attached("vm-1", "10.1.0.5", "10.2.0.6").attachment)
        wanted = self.north.Attachment()
        wanted.CopyFrom(before)
        wanted.interfaces[1].interface.max_rate_from_vm = 10**9
        wanted.interfaces[1].interface.mtu_bytes = 999  # the mask does not name it
        begun = self.update(wanted, self.RATE)
        self.assertEqual(begun.kind, self.north.Operation.UPDATE)
        ended = self.wait(begun)
        self.assertFalse(ended.HasField("error"), ended.error)
        now = self.get(before.id)
        self.assertEqual([one.interface.max_rate_from_vm for one in now.interfaces], [0, 10**9])
        self.assertEqual(now.interfaces[1].interface.mtu_bytes, before.interfaces[1].interface.mtu_bytes)
        self.assertEqual(now.state, self.north.Attachment.ATTACHED)
        self.assertEqual(ended.result.etag, now.etag)
        self.assertNotEqual(now.etag, before.etag)
        self.assertEqual(self.update(wanted, self.RATE).id, begun.id)
        with self.refused("ABORTED", "ETAG_MISMATCH"):
            self.update(wanted, self.RATE, request_id=f"another-{before.id}")
        latest = self.list_operations(attachment=before.id).operations[0]
        self.assertEqual((latest.id, latest.kind), (begun.id, self.north.Operation.UPDATE))

    def test_an_interface_is_known_by_its_vpc_and_mac_in_any_place(self):
        attached = self.attached("vm-1", "10.1.0.5", "10.2.0.6")
        wanted = self.north.Attachment(id=attached.attachment)
        wanted.interfaces.add().interface.CopyFrom(self.interface("10.2.0.6", max_rate_from_vm=7 * 10**6))
        self.wait(self.update(wanted, self.RATE))
        self.assertEqual([one.interface.max_rate_from_vm for one in self.get(attached.attachment).interfaces],
                         [0, 7 * 10**6])

    def test_masks(self):
        attachment = self.get(self.attached("vm-1", "10.1.0.5").attachment)
        for paths, reason in (([], "MASK_EMPTY"), (["interfaces.interface.mac"], "FIELD_IMMUTABLE"),
                              (["devices"], "FIELD_IMMUTABLE"), (["interfaces"], "FIELD_IMMUTABLE"),
                              ([self.RATE, "state"], "FIELD_IMMUTABLE"), (["interfaces.rate"], "MALFORMED_MASK"),
                              (["*"], "MALFORMED_MASK")):
            with self.subTest(paths), self.refused("INVALID_ARGUMENT", reason, ["update_mask"]):
                self.update(attachment, *paths)
        self.assertEqual(self.get(attachment.id), attachment)

    def test_what_is_refused_names_its_field(self):
        attachment = self.get(self.attached("vm-1", "10.1.0.5").attachment)
        place = "attachment.interfaces[0].interface"
        wrong = self.north.Attachment(id="att 1")
        wrong.interfaces.add().interface.CopyFrom(self.north.Interface(vpc="blue", mac="red", policy_groups=["a b"]))
        with self.refused("INVALID_ARGUMENT", "MALFORMED_ID", ["attachment.id", f"{place}.mac",
                                                                f"{place}.policy_groups"]):
            self.update(wrong, self.GROUPS)
        wrong.CopyFrom(attachment)
        wrong.interfaces[0].interface.mac = "02:00:00:00:01:99"
        with self.refused("NOT_FOUND", "INTERFACE_UNKNOWN"):
            self.update(wrong, self.RATE)
        wrong.CopyFrom(attachment)
        wrong.interfaces[0].interface.policy_groups.append("nobody")
        with self.refused("NOT_FOUND", "POLICY_GROUP_UNKNOWN"):
            self.update(wrong, self.GROUPS)
        with self.refused("INVALID_ARGUMENT", "NO_INTERFACE", ["attachment.interfaces"]):
            self.update(self.north.Attachment(id=attachment.id), self.RATE)
        with self.refused("NOT_FOUND", "ATTACHMENT_UNKNOWN"):
            self.update(self.north.Attachment(id="att-0", interfaces=attachment.interfaces), self.RATE)
        self.assertEqual(self.get(attachment.id), attachment)

    def test_one_that_is_only_asked_about_does_nothing(self):
        attachment = self.get(self.attached("vm-1", "10.1.0.5").attachment)
        wanted = self.north.Attachment()
        wanted.CopyFrom(attachment)
        wanted.interfaces[0].interface.max_rate_from_vm = 10**9
        asked = self.update(wanted, self.RATE, request_id="", validate_only=True)
        self.assertEqual((asked.id, asked.done, asked.kind, asked.result.etag),
                         ("", True, self.north.Operation.UPDATE, ""))
        self.assertEqual(asked.result.interfaces[0].interface.max_rate_from_vm, 10**9)
        self.assertEqual(asked.result.state, self.north.Attachment.ATTACHED)
        self.assertEqual(self.get(attachment.id), attachment)


class SeveralInterfaces(ApiCase):
    def test_each_has_a_vpc_a_port_and_counters_of_its_own(self):
        from vhost_port import VhostPort
        operation = self.attached("vm-1", "10.1.0.5", "10.2.0.6")
        blue, green = self.get(operation.attachment).interfaces
        self.assertEqual([(one.interface.vpc, list(one.interface.ips)) for one in (blue, green)],
                         [("blue", ["10.1.0.5"]), ("green", ["10.2.0.6"])])
        self.assertNotEqual(blue.port.function, green.port.function)
        self.assertNotEqual(blue.port.socket, green.port.socket)
        guest = VhostPort(green.port.socket)
        self.addCleanup(guest.close)
        guest.send(b"\xff" * 6 + bytes.fromhex("020000000105") + b"\x08\x00" + bytes(46))  # the other's MAC

        def spoofed():
            return [one.counters.spoof_dropped_packets for one in self.get(operation.attachment).interfaces]
        wait_until(lambda: sum(spoofed()), 5, "a spoofed frame is counted")
        self.assertEqual(spoofed(), [0, 1])

    def test_all_or_nothing(self):
        before = self.capacity()
        intent = self.intent("vm-1", "10.1.0.5", "10.2.0.6")
        intent.interfaces[1].ips[0] = "10.3.0.6"
        with self.refused("INVALID_ARGUMENT", "IP_OUTSIDE_SUBNET", ["interfaces[1].ips"]):
            self.call("AttachVm", intent, self.north.Operation)
        self.attached("vm-2", "10.2.0.6")
        with self.refused("ALREADY_EXISTS", "IP_TAKEN"):
            self.call("AttachVm", self.intent("vm-1", "10.1.0.5", "10.2.0.6", request_id="other"), self.north.Operation)
        self.assertEqual([one.vm for one in self.list().attachments], ["vm-2"])
        self.assertEqual(self.capacity().functions_free, before.functions_free - 1)

    def test_every_malformed_field_is_named_at_once(self):
        intent = self.intent("vm 1", "10.1.0.5", "10.2.0.6", request_id="r-1")
        intent.interfaces[0].mac = "red"
        intent.interfaces[1].vpc = ""
        with self.refused("INVALID_ARGUMENT", "MALFORMED_ID", ["vm", "interfaces[0].mac", "interfaces[1].vpc"]):
            self.call("AttachVm", intent, self.north.Operation)


class PolicyGroups(ApiCase):
    def ended(self, intent):
        operation = self.wait(self.attach(intent))
        self.assertFalse(operation.HasField("error"), operation.error)
        return operation

    def grouped(self, vm, ip, *groups, **more):
        intent = self.intent(vm, ip, **more)
        intent.interfaces[0].policy_groups.extend(groups)
        return intent

    def explained(self, attachment, packet):
        return self.agent.ask("operator", "explain", attachment, "--packet", packet)[-1]["end"]

    def test_groups_from_the_first_push_to_the_last_detach(self):
        with self.vpcs(groups=["web", "mail"]) as push:
            plain = self.ended(self.intent("vm-1", "10.1.0.5")).attachment
            before = len(self.agent.rules())
            first = self.ended(self.grouped("vm-2", "10.1.0.6", "web", "mail")).attachment
            with_set = len(self.agent.rules())
            second = self.ended(self.grouped("vm-3", "10.1.0.7", "mail", "web")).attachment
            self.assertLess(len(self.agent.rules()) - with_set, with_set - before, "the set is shared")
            self.assertEqual(list(self.get(second).interfaces[0].interface.policy_groups), ["mail", "web"])
            self.assertIn("delivered to vf", self.explained(plain, "ipv4 > 10.1.0.6 / tcp 1 > 25"))
            self.assertIn("egress-policy-drop", self.explained(first, "ipv4 > 10.1.0.5 / tcp 1 > 25"))
            self.assertEqual(push(groups=["web"]), [("vpc/blue/policy_group/mail", "POLICY_GROUP_IN_USE")] * 2)
            etag = self.get(second).etag
            rules = sorted(rule["testpmd"] for rule in self.agent.rules())
            self.restart_berthd()
            self.assertEqual(sorted(rule["testpmd"] for rule in self.agent.rules()), rules)
            self.assertEqual(self.get(second).etag, etag)
            self.assertIn("egress-policy-drop", self.explained(second, "ipv4 > 10.1.0.5 / tcp 1 > 25"))
            for attachment in (first, second, plain):
                self.assertFalse(self.wait(self.detach(attachment)).HasField("error"))

    def test_groups_that_cannot_be_had(self):
        with self.vpcs(groups=["web"]):
            for groups, reason in ((["web", "web"], "POLICY_GROUP_TWICE"),
                                   ([f"g-{n}" for n in range(17)], "TOO_MANY_POLICY_GROUPS"), (["a b"], "MALFORMED_ID")):
                with self.subTest(reason), self.refused("INVALID_ARGUMENT", reason, ["interfaces[0].policy_groups"]):
                    self.call("AttachVm", self.grouped("vm-1", "10.1.0.5", *groups), self.north.Operation)
            for validate_only in (False, True):
                with self.refused("NOT_FOUND", "POLICY_GROUP_UNKNOWN"):
                    self.call("AttachVm", self.grouped("vm-1", "10.1.0.5", "mail", validate_only=validate_only),
                              self.north.Operation)
            operation = self.ended(self.grouped("vm-1", "10.1.0.5", "web", request_id="r-grouped"))
            with self.refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"]):
                self.call("AttachVm", self.intent("vm-1", "10.1.0.5", request_id="r-grouped"), self.north.Operation)
            self.wait(self.detach(operation.attachment))


class Allocation(ApiCase):
    def allocated(self, vm, mac, subnet="10.1.0.0/24", **more):
        intent = self.intent(vm, "10.1.0.5", **more)
        del intent.interfaces[0].ips[:]
        intent.interfaces[0].allocate.append(subnet)
        intent.interfaces[0].mac = f"02:00:00:00:01:{mac:02x}"
        return intent

    def address(self, intent):
        operation = self.wait(self.attach(intent))
        self.assertFalse(operation.HasField("error"), operation.error)
        return operation.attachment, list(operation.result.interfaces[0].interface.ips)

    def free(self):
        return [(one.vpc, one.subnet, one.total, one.free) for one in self.capacity().addresses]

    def test_addresses_that_the_host_chooses(self):
        with self.vpcs(blocks=["10.1.0.0/30", "10.1.0.40-10.1.0.41"]):
            self.assertEqual(self.free(), [("blue", "10.1.0.0/24", 4, 4)], "network and gateway are nobody's")
            first, ips = self.address(self.allocated("vm-1", 1, request_id="r-allocated"))
            self.assertEqual(ips, ["10.1.0.2"])
            self.wait(self.detach(first))
            second, ips = self.address(self.allocated("vm-2", 2, request_id="r-again"))
            self.assertEqual(ips, ["10.1.0.3"], "what was freed comes last")
            self.restart_berthd()
            self.assertEqual(self.address(self.allocated("vm-2", 2, request_id="r-again")), (second, ["10.1.0.3"]))
            self.assertEqual(list(self.get(second).interfaces[0].interface.allocate), ["10.1.0.0/24"])
            attachments = {}
            for number, address in ((3, "10.1.0.40"), (4, "10.1.0.41"), (5, "10.1.0.2")):
                attachments[number], ips = self.address(self.allocated(f"vm-{number}", number))
                self.assertEqual(ips, [address], "the same after a restart")
            self.assertEqual(self.free()[0][3], 0)
            for attachment in (second, *attachments.values()):
                self.wait(self.detach(attachment))
            self.assertEqual(self.free()[0][3], 4)

    def test_what_cannot_be_allocated(self):
        with self.vpcs(blocks=["10.1.0.60-10.1.0.60"]):
            taken, _ = self.address(self.allocated("vm-1", 1))
            for validate_only in (False, True):
                with self.refused("RESOURCE_EXHAUSTED", "ADDRESSES_EXHAUSTED",
                                  metadata={"needed": "1", "free": "0", "total": "1"}):
                    self.call("AttachVm", self.allocated("vm-2", 2, validate_only=validate_only), self.north.Operation)
            for subnet, reason in (("10.1.0.0/25", "SUBNET_UNKNOWN"), ("10.1.0.0", "MALFORMED_PREFIX")):
                with self.refused("INVALID_ARGUMENT", reason, ["interfaces[0].allocate"]):
                    self.call("AttachVm", self.allocated("vm-2", 2, subnet), self.north.Operation)
            self.assertEqual(self.pushed(blocks=["10.1.1.0/24"]),
                             [("vpc/blue/subnet/10.1.0.0/24", "HOST_BLOCK_OUTSIDE_SUBNET")])
            self.wait(self.detach(taken))


class ValidateOnly(ApiCase):
    def test_tells_what_would_be_and_does_nothing(self):
        before = self.capacity()
        intent = self.intent("vm-1", "10.1.0.5", "10.2.0.6", validate_only=True)
        intent.request_id = ""
        would_be = self.call("AttachVm", intent, self.north.Operation)
        self.assertEqual((would_be.id, would_be.attachment, would_be.done), ("", "", True))
        self.assertEqual([one.interface.mtu_bytes for one in would_be.result.interfaces], [1550, 1550])
        self.assertEqual((would_be.result.id, would_be.result.vm), ("", "vm-1"))
        self.assertEqual(len(self.list().attachments), 0)
        self.assertEqual(self.capacity(), before)

    def test_refuses_what_would_be_refused(self):
        self.attached("vm-1", "10.1.0.5", "10.2.0.6")
        ips = ["10.1.0.20", "10.1.0.21", "10.1.0.22"]
        with self.refused("RESOURCE_EXHAUSTED", "NO_FREE_FUNCTION",
                          metadata={"needed": "3", "free": str(FUNCTIONS - 2), "total": str(FUNCTIONS)}):
            self.call("AttachVm", self.intent("vm-2", *ips, validate_only=True), self.north.Operation)
        self.call("AttachVm", self.intent("vm-2", *ips[:2], validate_only=True), self.north.Operation)
        self.assertEqual([one.vm for one in self.list().attachments], ["vm-1"])


class Lists(ApiCase):
    def test_pages_and_filters(self):
        ids = {self.attached(vm, *ips).attachment: vm
               for vm, ips in (("vm-1", ["10.1.0.5"]), ("vm-2", ["10.1.0.6", "10.2.0.6"]), ("vm-3", ["10.2.0.7"]))}

        def pages(**filters):
            found, token = [], ""
            while True:
                page = self.list(page_size=1, page_token=token, **filters)
                self.assertLessEqual(len(page.attachments), 1)
                found += [one.id for one in page.attachments]
                token = page.next_page_token
                if not token:
                    return found
        self.assertEqual(pages(), sorted(ids))
        self.assertEqual({ids[one] for one in pages(vpc="blue")}, {"vm-1", "vm-2"})
        self.assertEqual({ids[one] for one in pages(vpc="green")}, {"vm-2", "vm-3"})
        self.assertEqual([ids[one] for one in pages(vm="vm-2", vpc="green")], ["vm-2"])
        self.assertEqual(pages(vm="vm-1", vpc="green"), [])
        with self.refused("INVALID_ARGUMENT", "MALFORMED_PAGE_TOKEN", ["page_token"]):
            self.list(page_token="not one of ours")

    def test_read_masks(self):
        attachment = self.attached("vm-1", "10.1.0.5", "10.2.0.6").attachment
        short = self.north.Attachment(id=attachment, state=self.north.Attachment.ATTACHED)
        self.assertEqual(self.get(attachment, ["id", "state"]), short)
        self.assertEqual(list(self.list(["id", "state"]).attachments), [short])
        ports = self.get(attachment, ["interfaces.port.function"])
        self.assertEqual(len({one.port.function for one in ports.interfaces}), 2)
        for one in ports.interfaces:
            one.port.ClearField("function")
            self.assertEqual(one, self.north.AttachedInterface(port={}))
        counted = self.get(attachment, ["interfaces.counters", "interfaces.interface.vpc"])
        self.assertEqual([(one.HasField("counters"), one.interface.vpc, one.HasField("port"))
                          for one in counted.interfaces], [(True, "blue", False), (True, "green", False)])
        for nonsense in ("colour", "interfaces.colour", "interfaces.", "state.id", ""):
            with self.subTest(nonsense), self.refused("INVALID_ARGUMENT", "MALFORMED_MASK", ["read_mask"]):
                self.get(attachment, [nonsense])
            with self.subTest(nonsense), self.refused("INVALID_ARGUMENT", "MALFORMED_MASK", ["read_mask"]):
                self.list([nonsense])


class Etags(ApiCase):
    def test_a_detach_of_what_it_was_is_refused(self):
        ended = self.attached("vm-1", "10.1.0.5")
        etag = self.get(ended.attachment).etag
        self.assertEqual(ended.result.etag, etag)
        with self.refused("ABORTED", "ETAG_MISMATCH"):
            self.detach(ended.attachment, etag=etag[::-1], request_id="r-wrong")
        self.assertEqual(self.get(ended.attachment).state, self.north.Attachment.ATTACHED)
        self.restart_berthd()
        self.assertEqual(self.get(ended.attachment).etag, etag, "after a restart")
        self.assertFalse(self.wait(self.detach(ended.attachment, etag=etag)).HasField("error"))
        with self.refused("NOT_FOUND", "ATTACHMENT_UNKNOWN"):
            self.get(ended.attachment)


class Operations(ApiCase):
    def test_the_latest_comes_first_in_pages(self):
        ended = []
        for number in range(3):
            attached = self.attached(f"vm-{number}", f"10.1.0.{5 + number}")
            ended = [self.wait(self.detach(attached.attachment)).id, attached.id, *ended]
        listed, token = [], ""
        while len(listed) < len(ended):
            page = self.list_operations(page_size=2, page_token=token)
            self.assertEqual(len(page.operations), 2)
            listed += page.operations
            token = page.next_page_token
        self.assertEqual([one.id for one in listed], ended)
        of_one = self.list_operations(attachment=listed[-1].attachment)
        self.assertEqual([(one.id, one.kind) for one in of_one.operations],
                         [(ended[-2], self.north.Operation.DETACH), (ended[-1], self.north.Operation.ATTACH)])
        with self.refused("INVALID_ARGUMENT", "MALFORMED_PAGE_TOKEN", ["page_token"]):
            self.list_operations(page_token="not one of ours")
        with self.refused("INVALID_ARGUMENT", "MALFORMED_ID", ["attachment"]):
            self.list_operations(attachment="no id")

    def test_those_that_run_are_in_pages_too(self):
        first = self.attached("vm-0", "10.1.0.4")
        with self.eswitch_held_up():
            running = [self.attach(self.intent(f"vm-{n}", f"10.1.0.{4 + n}")) for n in (1, 2, 3)]
            self.assertEqual(self.capacity().operations_running, 3)
            listed, token = [], ""
            while True:
                page = self.list_operations(page_size=2, page_token=token)
                self.assertLessEqual(len(page.operations), 2)
                listed += page.operations
                token = page.next_page_token
                if not token:
                    break
        self.assertEqual([(one.id, one.done) for one in listed[:4]],
                         [(one, False) for one in sorted(one.id for one in running)] + [(first.id, True)])
        self.assertEqual(len({one.id for one in listed}), len(listed))

    def test_a_cancelled_attach_is_undone(self):
        before = self.capacity()
        with self.eswitch_held_up():
            operation = self.attach(self.intent("vm-1", "10.1.0.5", "10.2.0.6"))
            withdrawn = self.cancel(operation.id)
            self.assertEqual((withdrawn.id, withdrawn.done), (operation.id, False))
            self.assertEqual(self.cancel(operation.id).id, operation.id)
        ended = self.wait(operation)
        self.assertEqual((ended.error.code, ended.error.reason), (self.grpc.StatusCode.CANCELLED.value[0], "WITHDRAWN"))
        self.assertEqual(self.cancel(operation.id), ended, "of one that is done, nothing")
        self.assertEqual(len(self.list().attachments), 0)
        self.assertEqual(self.capacity(), before)

    def test_what_cannot_be_cancelled(self):
        ended = self.attached("vm-1", "10.1.0.5")
        self.assertEqual(self.cancel(ended.id), ended)
        self.assertEqual(self.get(ended.attachment).state, self.north.Attachment.ATTACHED)
        with self.eswitch_held_up():
            detach = self.detach(ended.attachment)
            with self.refused("FAILED_PRECONDITION", "NOT_CANCELLABLE"):
                self.cancel(detach.id)
            with self.refused("FAILED_PRECONDITION", "ATTACHMENT_BUSY"):
                self.detach(ended.attachment, request_id="r-another")
        detached = self.wait(detach)
        self.assertFalse(detached.HasField("error"))
        self.assertEqual(self.cancel(detach.id), detached)
        with self.refused("NOT_FOUND", "OPERATION_UNKNOWN"):
            self.cancel("op-of-nobody")

    def test_capacity(self):
        before = self.capacity()
        self.assertEqual((before.functions_total, before.functions_free, before.operations_running),
                         (FUNCTIONS, FUNCTIONS, 0))
        self.assertEqual((before.functions_quarantined, before.rules_total, before.operations_max), (0, 0, 4096))
        attached = self.attached("vm-1", "10.1.0.5", "10.2.0.6")
        self.assertEqual(self.capacity().functions_free, FUNCTIONS - 2)
        with self.eswitch_held_up():
            detach = self.detach(attached.attachment)
            self.assertEqual(self.capacity().operations_running, 1)
        self.wait(detach)
        self.assertEqual(self.capacity(), before)


class Watches(ApiCase):
    def test_resumes_from_a_revision_after_a_restart(self):
        ended = [self.attached("vm-1", "10.1.0.5"), self.attached("vm-2", "10.1.0.6")]
        self.assertEqual(ended[1].revision, ended[0].revision + 1)
        stream = self.watch(after_revision=ended[0].revision - 1)
        self.assertEqual(next(stream), ended[0])
        stream.cancel()
        self.restart_berthd()
        stream = self.watch(after_revision=ended[0].revision)
        self.assertEqual(next(stream).id, ended[1].id)
        detached = self.wait(self.detach(ended[0].attachment))
        self.assertEqual(next(stream), detached)
        self.assertEqual(detached.revision, ended[1].revision + 1)
        with self.refused("INVALID_ARGUMENT", "REVISION_IN_FUTURE", ["after_revision"]):
            next(self.watch(after_revision=detached.revision + 1))

    def test_a_deadline_ends_a_watch(self):
        with self.assertRaises(self.grpc.RpcError) as ended:
            next(self.watch(timeout=0.2, role="operator"))
        self.assertEqual(ended.exception.code(), self.grpc.StatusCode.DEADLINE_EXCEEDED)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--berthd", "--berthctl", "--eswitchd", "--protos"):
        parser.add_argument(name, required=True)
    return run_tests(parser.parse_args(), ApiCase)


if __name__ == "__main__":
    sys.exit(main())
