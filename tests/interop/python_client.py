"""python3-grpcio (Debian) against our server: python_client.py SERVER CERTIFICATES GENERATED

Starts the server, plays every kind of call with Google's own client, stops the server and looks at
what its handlers went through. GENERATED holds echo_pb2.py, made by protoc at build time.
"""
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

import grpc

SERVER, CERTIFICATES, GENERATED = (pathlib.Path(arg) for arg in sys.argv[1:4])
sys.path.insert(0, str(GENERATED))
from tests.interop import echo_pb2  # noqa: E402
from standard.health.v1 import health_pb2  # noqa: E402
from standard.reflection.v1 import reflection_pb2  # noqa: E402
from standard.reflection.v1alpha import reflection_pb2 as reflection_alpha_pb2  # noqa: E402
from google.protobuf import descriptor_pb2  # noqa: E402

ECHO = "/berth.test.Echo/"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
BIG = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def read(name):
    return (CERTIFICATES / name).read_bytes()


def credentials(client):
    if client is None:
        return grpc.ssl_channel_credentials(read("ca.crt"))
    return grpc.ssl_channel_credentials(read("ca.crt"), read(client + ".key"), read(client + ".crt"))


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([SERVER, CERTIFICATES, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.stdin.close()
        output = self.process.stdout.read()
        assert self.process.wait(20) == 0, output
        return output


class EchoStub:
    """What protoc-gen-grpc-python would make."""

    def __init__(self, channel):
        coders = dict(request_serializer=echo_pb2.EchoRequest.SerializeToString,
                      response_deserializer=echo_pb2.EchoReply.FromString)
        self.say = channel.unary_unary(ECHO + "Say", **coders)
        self.count = channel.unary_stream(ECHO + "Count", **coders)
        self.join = channel.stream_unary(ECHO + "Join", **coders)
        self.chat = channel.stream_stream(ECHO + "Chat", **coders)


class PythonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.target = "localhost:%d" % cls.server.port
        cls.channel = grpc.secure_channel(cls.target, credentials("client"), options=BIG)
        cls.stub = EchoStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        output = cls.server.stop()
        assert "handlers started" in output, output

    def test_unary(self):
        self.assertEqual(self.stub.say(echo_pb2.EchoRequest(text="hello")).text, "hello")

    def test_big_messages(self):
        reply = self.stub.say(echo_pb2.EchoRequest(padding=b"x" * 4_000_000, reply_bytes=4_000_000))
        self.assertEqual(len(reply.padding), 4_000_000)

    def test_message_over_the_limit(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.say(echo_pb2.EchoRequest(padding=b"x" * 6_000_000))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_server_streaming(self):
        replies = self.stub.count(echo_pb2.EchoRequest(text="n", count=5000, reply_bytes=100))
        self.assertEqual([reply.number for reply in replies], list(range(5000)))

    def test_client_streaming(self):
        words = (echo_pb2.EchoRequest(text=word) for word in "abc")
        reply = self.stub.join(words)
        self.assertEqual((reply.text, reply.number), ("abc", 3))

    def test_bidi_streaming(self):
        words = (echo_pb2.EchoRequest(text=str(i)) for i in range(1000))
        self.assertEqual([reply.text for reply in self.stub.chat(words)], [str(i) for i in range(1000)])

    def test_bidi_failure_after_messages(self):
        requests = [echo_pb2.EchoRequest(text="1"), echo_pb2.EchoRequest(fail_code=10)]
        seen = []
        with self.assertRaises(grpc.RpcError) as caught:
            for reply in self.stub.chat(iter(requests)):
                seen.append(reply.text)
        self.assertEqual((seen, caught.exception.code()), (["1"], grpc.StatusCode.ABORTED))

    def test_metadata(self):
        reply, call = self.stub.say.with_call(
            echo_pb2.EchoRequest(), metadata=[("echo-initial", "a"), ("echo-trailing-bin", b"\0\xff")])
        self.assertIn(("echo-initial", "a"), list(call.initial_metadata()))
        self.assertIn(("echo-trailing-bin", b"\0\xff"), list(call.trailing_metadata()))

    def test_error_with_details(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.say(echo_pb2.EchoRequest(text="vm-7", fail_code=9))
        error = caught.exception
        self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(error.details(), "as you wished: 50% of ü")
        raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
        for part in (ERROR_INFO, "ON_REQUEST", "berth", "vm-7", BAD_REQUEST, "fail_code", "is not zero"):
            self.assertIn(part.encode(), raw)

    def test_deadline(self):
        begun = time.monotonic()
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.say(echo_pb2.EchoRequest(count=60_000), timeout=0.2)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertLess(time.monotonic() - begun, 5)

    def test_cancel(self):
        future = self.stub.say.future(echo_pb2.EchoRequest(count=60_000))
        time.sleep(0.05)
        future.cancel()
        self.assertTrue(future.cancelled())

    def test_slow_reader(self):
        replies = self.stub.count(echo_pb2.EchoRequest(count=400, reply_bytes=100_000))
        for number, reply in enumerate(replies):
            if number < 20:
                time.sleep(0.01)
            self.assertEqual(reply.number, number)
        self.assertEqual(number, 399)

    def test_many_at_once(self):
        futures = [self.stub.say.future(echo_pb2.EchoRequest(text=str(i), count=1)) for i in range(500)]
        self.assertEqual([future.result(30).text for future in futures], [str(i) for i in range(500)])

    def test_gzip(self):
        reply = self.stub.say(echo_pb2.EchoRequest(text="z", padding=b"0" * 1_000_000),
                              compression=grpc.Compression.Gzip)
        self.assertEqual(reply.text, "z")

    def test_unsupported_compression(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.say(echo_pb2.EchoRequest(padding=b"0" * 10_000), compression=grpc.Compression.Deflate)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_unknown_method(self):
        call = self.channel.unary_unary(ECHO + "Nothing")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_malformed_message(self):
        call = self.channel.unary_unary(ECHO + "Say")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_health(self):
        coders = dict(request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                      response_deserializer=health_pb2.HealthCheckResponse.FromString)
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check", **coders)
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch", **coders)
        for service in ("", "berth.test.Echo"):
            self.assertEqual(check(health_pb2.HealthCheckRequest(service=service)).status, 1)
        with self.assertRaises(grpc.RpcError) as caught:
            check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watching = watch(health_pb2.HealthCheckRequest(service="no.such.Service"))
        self.assertEqual(next(watching).status, 3)
        watching.cancel()

    def test_reflection(self):
        for version, messages in (("v1", reflection_pb2), ("v1alpha", reflection_alpha_pb2)):
            call = self.channel.stream_stream(
                "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
                request_serializer=messages.ServerReflectionRequest.SerializeToString,
                response_deserializer=messages.ServerReflectionResponse.FromString)
            wanted = [messages.ServerReflectionRequest(list_services=""),
                      messages.ServerReflectionRequest(file_containing_symbol="berth.test.Echo"),
                      messages.ServerReflectionRequest(file_by_filename="no/such.proto")]
            listed, found, missing = call(iter(wanted))
            names = [service.name for service in listed.list_services_response.service]
            self.assertIn("berth.test.Echo", names)
            self.assertIn("grpc.reflection.v1.ServerReflection", names)
            files = [descriptor_pb2.FileDescriptorProto.FromString(raw)
                     for raw in found.file_descriptor_response.file_descriptor_proto]
            self.assertEqual([method.name for method in files[0].service[0].method],
                             ["Say", "Count", "Join", "Chat"])
            self.assertEqual(missing.error_response.error_code, 5)

    def test_strangers_cannot_connect(self):
        for name in (None, "rogue", "wrong-usage"):
            with self.subTest(name), grpc.secure_channel(self.target, credentials(name)) as channel:
                with self.assertRaises(grpc.RpcError) as caught:
                    EchoStub(channel).say(echo_pb2.EchoRequest(), timeout=10)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_two_spiffe_names_are_no_identity(self):
        with grpc.secure_channel(self.target, credentials("twofold")) as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                EchoStub(channel).say(echo_pb2.EchoRequest())
            self.assertEqual(caught.exception.code(), grpc.StatusCode.PERMISSION_DENIED)


class PythonClientAndTheEnd(unittest.TestCase):
    def test_a_call_in_flight_is_answered_while_the_server_drains(self):
        server = Server()
        with grpc.secure_channel("localhost:%d" % server.port, credentials("client")) as channel:
            future = EchoStub(channel).say.future(echo_pb2.EchoRequest(text="last", count=500))
            time.sleep(0.2)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            self.assertEqual(future.result(20).text, "last")
            stopper.join()
            with self.assertRaises(grpc.RpcError) as caught:
                EchoStub(channel).say(echo_pb2.EchoRequest())
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)


class PythonClientElsewhere(unittest.TestCase):
    def check(self, listen, target_of):
        server = Server("--listen", listen)
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(target_of(server), credentials("client"), options=options) as channel:
            self.assertEqual(EchoStub(channel).say(echo_pb2.EchoRequest(text="hi")).text, "hi")
        server.stop()

    def test_ipv6(self):
        self.check("[::1]:0", lambda server: "ipv6:[::1]:%d" % server.port)

    def test_unix_socket(self):
        path = "/tmp/berth-echo-%d.sock" % os.getpid()
        self.check("unix:" + path, lambda server: "unix:" + path)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
