// The standard gRPC interoperability cases, played by Debian's grpc-go: client SERVER CERTIFICATES.
// Messages are bytes made by hand, so that no generated Go code is needed.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// rawCodec passes bytes through.
type rawCodec struct{}

func (rawCodec) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = append([]byte{}, data...); return nil }
func (rawCodec) Name() string                               { return "proto" }

func number(field int, value int) []byte {
	out := binary.AppendUvarint(nil, uint64(field<<3))
	return binary.AppendUvarint(out, uint64(value))
}
func block(field int, value []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(field<<3|2))
	return append(binary.AppendUvarint(out, uint64(len(value))), value...)
}
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func payload(size int) []byte     { return block(2, make([]byte, size)) }

// What a reply with only a payload of so many bytes weighs: two length prefixes more.
func weighs(reply []byte, size int) bool { return bytes.Equal(reply, block(1, payload(size))) }

func outputRequest(size, asked, intervalMicros int) []byte {
	return join(block(2, join(number(1, size), number(2, intervalMicros))), block(3, payload(asked)))
}

func check(holds bool, what string) {
	if !holds {
		fmt.Println("FAILED:", what)
		os.Exit(1)
	}
}
func checkCode(err error, code codes.Code) {
	check(status.Code(err) == code, fmt.Sprintf("%v is not %v", err, code))
}

const service = "/grpc.testing.TestService/"

// What the standard cases leave out.
func playMore(conn *grpc.ClientConn) {
	background := context.Background()
	invoke := func(method string, request []byte) ([]byte, error) {
		var reply []byte
		err := conn.Invoke(background, method, &request, &reply)
		return reply, err
	}
	reply, err := invoke("/grpc.health.v1.Health/Check", nil)
	check(err == nil && bytes.Equal(reply, number(1, 1)), "health: serving")
	_, err = invoke("/grpc.health.v1.Health/Check", block(1, []byte("no.such.Service")))
	checkCode(err, codes.NotFound)

	stream, err := conn.NewStream(background, duplex, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
	check(err == nil, "reflection: stream")
	send(stream, block(7, nil))
	reply, err = receive(stream)
	check(err == nil && bytes.Contains(reply, []byte("grpc.testing.TestService")), "reflection: services")
	check(stream.CloseSend() == nil, "reflection: close")
	_, err = receive(stream)
	check(err == io.EOF, "reflection: end")

	// EchoRequest{text, fail_code}
	_, err = invoke("/berth.test.Echo/Say", join(block(1, []byte("vm-7")), number(5, 9)))
	checkCode(err, codes.FailedPrecondition)
	details := status.Convert(err).Details()
	check(len(details) == 2, fmt.Sprintf("error details: %v", details))
	info, ok := details[0].(*errdetails.ErrorInfo)
	check(ok && info.Reason == "ON_REQUEST" && info.Domain == "berth" && info.Metadata["text"] == "vm-7",
		"error details: ErrorInfo")
	bad, ok := details[1].(*errdetails.BadRequest)
	check(ok && bad.FieldViolations[0].Field == "fail_code", "error details: BadRequest")
}

var duplex = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

func call(conn *grpc.ClientConn, ctx context.Context, method string, request []byte, options ...grpc.CallOption) ([]byte, error) {
	var reply []byte
	err := conn.Invoke(ctx, service+method, &request, &reply, options...)
	return reply, err
}

func open(conn *grpc.ClientConn, ctx context.Context, method string) grpc.ClientStream {
	stream, err := conn.NewStream(ctx, duplex, service+method)
	check(err == nil, "a stream opens")
	return stream
}

func receive(stream grpc.ClientStream) ([]byte, error) {
	var reply []byte
	err := stream.RecvMsg(&reply)
	return reply, err
}

func send(stream grpc.ClientStream, request []byte) { check(stream.SendMsg(&request) == nil, "a message is sent") }

func play(conn *grpc.ClientConn) {
	background := context.Background()
	sizes := []int{31415, 9, 2653, 58979}

	_, err := call(conn, background, "EmptyCall", nil)
	check(err == nil, "empty_unary")
	reply, err := call(conn, background, "UnaryCall", join(number(2, 314159), block(3, payload(271828))))
	check(err == nil && weighs(reply, 314159), "large_unary")

	stream := open(conn, background, "StreamingInputCall")
	for _, size := range []int{27182, 8, 1828, 45904} {
		send(stream, block(1, payload(size)))
	}
	check(stream.CloseSend() == nil, "client_streaming: close")
	reply, err = receive(stream)
	check(err == nil && bytes.Equal(reply, number(1, 74922)), "client_streaming")

	stream = open(conn, background, "FullDuplexCall")
	for _, size := range sizes {
		send(stream, outputRequest(size, 1000, 0))
		reply, err = receive(stream)
		check(err == nil && weighs(reply, size), "ping_pong")
	}
	check(stream.CloseSend() == nil, "ping_pong: close")
	_, err = receive(stream)
	check(err == io.EOF, "ping_pong: end")

	// A slow reader of 20 MB.
	stream = open(conn, background, "StreamingOutputCall")
	request := []byte{}
	for i := 0; i < 200; i++ {
		request = append(request, block(2, number(1, 100000))...)
	}
	send(stream, request)
	check(stream.CloseSend() == nil, "server_streaming: close")
	for i := 0; i < 200; i++ {
		if i < 10 {
			time.Sleep(10 * time.Millisecond)
		}
		reply, err = receive(stream)
		check(err == nil && weighs(reply, 100000), "server_streaming")
	}
	_, err = receive(stream)
	check(err == io.EOF, "server_streaming: end")

	ctx, cancel := context.WithCancel(background)
	stream = open(conn, ctx, "FullDuplexCall")
	send(stream, outputRequest(31415, 10, 0))
	_, err = receive(stream)
	check(err == nil, "cancel_after_first_response: reply")
	cancel()
	_, err = receive(stream)
	checkCode(err, codes.Canceled)

	ctx, cancel = context.WithTimeout(background, 20*time.Millisecond)
	stream = open(conn, ctx, "FullDuplexCall")
	send(stream, outputRequest(31415, 10, 1000000))
	_, err = receive(stream)
	checkCode(err, codes.DeadlineExceeded)
	cancel()

	text := "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
	_, err = call(conn, background, "UnaryCall", block(7, join(number(1, 2), block(2, []byte(text)))))
	checkCode(err, codes.Unknown)
	check(status.Convert(err).Message() == text, "special_status_message")

	var initial, trailing metadata.MD
	ctx = metadata.AppendToOutgoingContext(background, "x-grpc-test-echo-initial", "value",
		"x-grpc-test-echo-trailing-bin", "\xab\xab\xab")
	_, err = call(conn, ctx, "UnaryCall", nil, grpc.Header(&initial), grpc.Trailer(&trailing))
	check(err == nil && len(initial.Get("x-grpc-test-echo-initial")) == 1, "custom_metadata: initial")
	check(trailing.Get("x-grpc-test-echo-trailing-bin")[0] == "\xab\xab\xab", "custom_metadata: trailing")

	_, err = call(conn, background, "UnimplementedCall", nil)
	checkCode(err, codes.Unimplemented)
	_, err = call(conn, background, "UnaryCall", block(3, payload(5<<20)))
	checkCode(err, codes.ResourceExhausted)

	var all sync.WaitGroup
	for i := 0; i < 300; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := call(conn, background, "EmptyCall", nil)
			check(err == nil, "three hundred at once")
		}()
	}
	all.Wait()
}

func main() {
	certificates := os.Args[2]
	server := exec.Command(os.Args[1], certificates)
	input, _ := server.StdinPipe()
	output, _ := server.StdoutPipe()
	check(server.Start() == nil, "the server starts")
	var port int
	_, err := fmt.Fscanf(output, "port %d\n", &port)
	check(err == nil, "the server says its port")

	pair, err := tls.LoadX509KeyPair(certificates+"/client.crt", certificates+"/client.key")
	check(err == nil, "the certificate loads")
	authority, _ := os.ReadFile(certificates + "/ca.crt")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	conn, err := grpc.Dial(fmt.Sprintf("localhost:%d", port),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots})),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}), grpc.MaxCallSendMsgSize(64<<20)))
	check(err == nil, "dial")
	play(conn)
	playMore(conn)
	conn.Close()
	input.Close()
	check(server.Wait() == nil, "the server ends well")
	fmt.Println("all cases passed")
}
