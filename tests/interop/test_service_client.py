"""The standard gRPC interoperability cases (grpc/grpc doc/interop-test-descriptions.md), played by
python3-grpcio: test_service_client.py SERVER CERTIFICATES GENERATED"""
import pathlib
import subprocess
import sys
import threading
import unittest

import grpc

SERVER, CERTIFICATES, GENERATED = (pathlib.Path(arg) for arg in sys.argv[1:4])
sys.path.insert(0, str(GENERATED))
from standard.testing import empty_pb2, messages_pb2  # noqa: E402

SIZES = [31415, 9, 2653, 58979]
REQUEST_SIZES = [27182, 8, 1828, 45904]


def payload(size):
    return messages_pb2.Payload(body=b"\0" * size)


class TestService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen([SERVER, CERTIFICATES], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        port = int(cls.process.stdout.readline().split()[1])
        read = lambda name: (CERTIFICATES / name).read_bytes()  # noqa: E731
        cls.channel = grpc.secure_channel("localhost:%d" % port, grpc.ssl_channel_credentials(
            read("ca.crt"), read("client.key"), read("client.crt")))

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.process.stdin.close()
        assert cls.process.wait(20) == 0
        cls.process.stdout.close()

    def method(self, kind, name, response, service="TestService"):
        return getattr(self.channel, kind)("/grpc.testing.%s/%s" % (service, name),
                                           request_serializer=lambda message: message.SerializeToString(),
                                           response_deserializer=response.FromString)

    @property
    def unary(self):
        return self.method("unary_unary", "UnaryCall", messages_pb2.SimpleResponse)

    @property
    def full_duplex(self):
        return self.method("stream_stream", "FullDuplexCall", messages_pb2.StreamingOutputCallResponse)

    def output_request(self, sizes, request_size=0, **parameters):
        return messages_pb2.StreamingOutputCallRequest(
            payload=payload(request_size),
            response_parameters=[messages_pb2.ResponseParameters(size=size, **parameters) for size in sizes])

    def assert_status(self, code, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code)
        return caught.exception

    def test_empty_unary(self):
        call = self.method("unary_unary", "EmptyCall", empty_pb2.Empty)
        self.assertEqual(call(empty_pb2.Empty()), empty_pb2.Empty())

    def test_large_unary(self):
        reply = self.unary(messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828)))
        self.assertEqual(len(reply.payload.body), 314159)

    def test_client_compressed_unary(self):
        reply = self.unary(messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828)),
                           compression=grpc.Compression.Gzip)
        self.assertEqual(len(reply.payload.body), 314159)

    def test_client_streaming(self):
        call = self.method("stream_unary", "StreamingInputCall", messages_pb2.StreamingInputCallResponse)
        reply = call(iter([messages_pb2.StreamingInputCallRequest(payload=payload(s)) for s in REQUEST_SIZES]))
        self.assertEqual(reply.aggregated_payload_size, 74922)

    def test_server_streaming(self):
        call = self.method("unary_stream", "StreamingOutputCall", messages_pb2.StreamingOutputCallResponse)
        self.assertEqual([len(r.payload.body) for r in call(self.output_request(SIZES))], SIZES)

    def test_ping_pong(self):
        requests = (self.output_request([size], asked) for size, asked in zip(SIZES, REQUEST_SIZES))
        self.assertEqual([len(r.payload.body) for r in self.full_duplex(requests)], SIZES)

    def test_half_duplex(self):
        call = self.method("stream_stream", "HalfDuplexCall", messages_pb2.StreamingOutputCallResponse)
        requests = (self.output_request([size]) for size in SIZES)
        self.assertEqual([len(r.payload.body) for r in call(requests)], SIZES)

    def test_empty_stream(self):
        self.assertEqual(list(self.full_duplex(iter([]))), [])

    def test_cancel_after_begin(self):
        call = self.method("stream_unary", "StreamingInputCall", messages_pb2.StreamingInputCallResponse)
        cancelled = threading.Event()

        def requests():
            cancelled.wait(10)  # or the call would end by itself
            yield from ()

        future = call.future(requests())
        future.cancel()
        cancelled.set()
        self.assertEqual(future.code(), grpc.StatusCode.CANCELLED)

    def test_cancel_after_first_response(self):
        cancelled = threading.Event()

        def requests():
            yield self.output_request([31415], 27182)
            cancelled.wait(10)  # or the call would end by itself

        replies = self.full_duplex(requests())
        next(replies)
        replies.cancel()
        cancelled.set()
        self.assert_status(grpc.StatusCode.CANCELLED, lambda: next(replies))

    def test_timeout_on_sleeping_server(self):
        requests = iter([self.output_request([31415], 27182, interval_us=1_000_000)])
        replies = self.full_duplex(requests, timeout=0.01)
        self.assert_status(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(replies))

    def test_status_code_and_message(self):
        status = messages_pb2.EchoStatus(code=2, message="test status message")
        error = self.assert_status(grpc.StatusCode.UNKNOWN, lambda: self.unary(
            messages_pb2.SimpleRequest(response_status=status)))
        self.assertEqual(error.details(), "test status message")
        request = messages_pb2.StreamingOutputCallRequest(response_status=status)
        error = self.assert_status(grpc.StatusCode.UNKNOWN, lambda: list(self.full_duplex(iter([request]))))
        self.assertEqual(error.details(), "test status message")

    def test_special_status_message(self):
        text = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
        status = messages_pb2.EchoStatus(code=2, message=text)
        error = self.assert_status(grpc.StatusCode.UNKNOWN, lambda: self.unary(
            messages_pb2.SimpleRequest(response_status=status)))
        self.assertEqual(error.details(), text)

    def test_custom_metadata(self):
        metadata = [("x-grpc-test-echo-initial", "test_initial_metadata_value"),
                    ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")]
        _, call = self.unary.with_call(messages_pb2.SimpleRequest(response_size=314159), metadata=metadata)
        self.assertIn(metadata[0], list(call.initial_metadata()))
        self.assertIn(metadata[1], list(call.trailing_metadata()))
        replies = self.full_duplex(iter([self.output_request([314159], 271828)]), metadata=metadata)
        list(replies)
        self.assertIn(metadata[0], list(replies.initial_metadata()))
        self.assertIn(metadata[1], list(replies.trailing_metadata()))

    def test_unimplemented(self):
        for service in ("TestService", "UnimplementedService"):
            call = self.method("unary_unary", "UnimplementedCall", empty_pb2.Empty, service)
            self.assert_status(grpc.StatusCode.UNIMPLEMENTED, lambda: call(empty_pb2.Empty()))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
