#!/usr/bin/python3
"""A VM with two interfaces, there and back, without generated code: berthd itself says what its messages are
(gRPC server reflection), as grpcurl asks it. Environment and packages: attach.py.

    docs/examples/api/reflection.py

The reflection service's own few messages are described by hand, so that only grpcio and protobuf are needed.
"""
import os
import sys
import uuid
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, field_mask_pb2, message_factory

SERVICE = "berth.northbound.v1.Attachments"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
DEADLINE = 30  # seconds; of each call


def connect():
    def pem(name):
        return Path(os.environ[name]).read_bytes()
    credentials = grpc.ssl_channel_credentials(
        pem("BERTH_TRUSTED_CA"), pem("BERTH_PRIVATE_KEY"), pem("BERTH_CERTIFICATE"))
    return grpc.secure_channel(os.environ["BERTH_ENDPOINT"], credentials)


def reflection_messages():
    """ServerReflectionRequest and -Response, as far as file_containing_symbol needs them."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package="example", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, fields in (("Request", [("file_containing_symbol", 4, field.TYPE_STRING)]),
                         ("Files", [("file_descriptor_proto", 1, field.TYPE_BYTES)]),
                         ("Response", [("file_descriptor_response", 4, field.TYPE_MESSAGE)])):
        message = file.message_type.add(name=name)
        for its_name, number, kind in fields:
            message.field.add(name=its_name, number=number, type=kind,
                              label=field.LABEL_REPEATED if kind == field.TYPE_BYTES else field.LABEL_OPTIONAL,
                              type_name=".example.Files" if kind == field.TYPE_MESSAGE else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    prototype = message_factory.MessageFactory(pool).GetPrototype
    return [prototype(pool.FindMessageTypeByName(f"example.{name}")) for name in ("Request", "Response")]


def describe(channel):
    """A pool with the file of SERVICE and all that it imports."""
    request, response = reflection_messages()
    ask = channel.stream_stream(REFLECTION, request.SerializeToString, response.FromString)
    answer = next(ask(iter([request(file_containing_symbol=SERVICE)]), timeout=DEADLINE))
    raw = answer.file_descriptor_response.file_descriptor_proto
    files = {file.name: file for file in map(descriptor_pb2.FileDescriptorProto.FromString, raw)}
    pool = descriptor_pool.DescriptorPool()

    def add(name):
        file = files.pop(name, None)
        if file is None:
            return
        for needed in file.dependency:
            add(needed)
        pool.Add(file)
    # Well-known types may be left out by a server: then ours.
    files.setdefault("google/protobuf/field_mask.proto", descriptor_pb2.FileDescriptorProto.FromString(
        field_mask_pb2.DESCRIPTOR.serialized_pb))
    for name in list(files):
        add(name)
    return pool


class Client:
    """Calls a method by its name, with its request as keywords."""

    def __init__(self, channel):
        self.channel = channel
        self.methods = describe(channel).FindServiceByName(SERVICE).methods_by_name
        self.prototype = message_factory.MessageFactory().GetPrototype

    def call(self, name, **request):
        method = self.methods[name]
        make, reply = self.prototype(method.input_type), self.prototype(method.output_type)
        call = self.channel.unary_unary(f"/{SERVICE}/{name}", make.SerializeToString, reply.FromString)
        return call(make(**request), timeout=DEADLINE)

    def finish(self, operation):
        ended = self.call("WaitOperation", operation=operation.id)
        if ended.HasField("error"):
            sys.exit(f"{ended.id}: {ended.error.reason}: {ended.error.message}")
        return ended


def main():
    with connect() as channel:
        berth = Client(channel)
        interfaces = [{"vpc": "blue", "ips": ["10.1.0.5"], "mac": "02:00:00:00:01:05", "network_class": "COMPUTE"},
                      {"vpc": "green", "ips": ["10.2.0.5"], "mac": "02:00:00:00:02:05", "network_class": "STORAGE"}]
        attached = berth.finish(berth.call("AttachVm", request_id=str(uuid.uuid4()), vm="vm-1", interfaces=interfaces))
        attachment = berth.call("GetAttachment", attachment=attached.attachment)
        for one in attachment.interfaces:
            print(attachment.vm, one.interface.vpc, one.port.function, one.port.socket)
        berth.finish(berth.call("DetachVm", request_id=str(uuid.uuid4()), attachment=attachment.id,
                                etag=attachment.etag))
        print("detached", attachment.id)


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
