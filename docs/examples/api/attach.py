#!/usr/bin/python3
"""A VM with two interfaces, there, faster, and back: the northbound API from Python, with generated messages.

    protoc -I proto --python_out=gen --grpc_out=gen --plugin=protoc-gen-grpc=$(which grpc_python_plugin) \\
        proto/berth/northbound/v1/attachments.proto
    PYTHONPATH=gen docs/examples/api/attach.py

Whom it calls, and as whom: BERTH_ENDPOINT, BERTH_CERTIFICATE, BERTH_PRIVATE_KEY, BERTH_TRUSTED_CA (PEM files),
as for berthctl. Debian: python3-grpcio, protobuf-compiler, protobuf-compiler-grpc.
"""
import os
import sys
import uuid
from pathlib import Path

import grpc
from berth.northbound.v1 import attachments_pb2 as api
from berth.northbound.v1 import attachments_pb2_grpc as services

DEADLINE = 30  # seconds; of each call


def connect():
    def pem(name):
        return Path(os.environ[name]).read_bytes()
    credentials = grpc.ssl_channel_credentials(
        pem("BERTH_TRUSTED_CA"), pem("BERTH_PRIVATE_KEY"), pem("BERTH_CERTIFICATE"))
    return grpc.secure_channel(os.environ["BERTH_ENDPOINT"], credentials)


def finish(berth, operation):
    """Waits for its end. A retry after a lost connection is this call again."""
    ended = berth.WaitOperation(api.GetOperationRequest(operation=operation.id), timeout=DEADLINE)
    if ended.HasField("error"):
        sys.exit(f"{ended.id}: {ended.error.reason}: {ended.error.message}")
    return ended


def main():
    with connect() as channel:
        berth = services.AttachmentsStub(channel)
        intent = api.AttachVmRequest(
            request_id=str(uuid.uuid4()),  # kept with the intent, so that a retry repeats it
            vm="vm-1",
            interfaces=[
                api.Interface(vpc="blue", ips=["10.1.0.5"], mac="02:00:00:00:01:05", network_class=api.COMPUTE),
                api.Interface(vpc="green", ips=["10.2.0.5"], mac="02:00:00:00:02:05", network_class=api.STORAGE)])
        attached = finish(berth, berth.AttachVm(intent, timeout=DEADLINE))

        attachment = berth.GetAttachment(api.GetAttachmentRequest(
            attachment=attached.attachment, read_mask={"paths": ["id", "vm", "interfaces", "etag"]}), timeout=DEADLINE)
        for one in attachment.interfaces:
            print(attachment.vm, one.interface.vpc, one.port.function, one.port.socket)

        # While it runs: as it was read, but for what the mask names. The etag: or somebody else has changed it.
        attachment.interfaces[1].interface.max_rate_from_vm = 10**9
        updated = finish(berth, berth.UpdateAttachment(api.UpdateAttachmentRequest(
            request_id=str(uuid.uuid4()), attachment=attachment,
            update_mask={"paths": ["interfaces.interface.max_rate_from_vm"]}), timeout=DEADLINE))

        finish(berth, berth.DetachVm(api.DetachVmRequest(
            request_id=str(uuid.uuid4()), attachment=attachment.id, etag=updated.result.etag), timeout=DEADLINE))
        print("detached", attachment.id)


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")  # the reason: grpc-status-details-bin, docs/api.md
