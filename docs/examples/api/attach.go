// A VM with two interfaces, there and back: the northbound API from Go, with generated code.
//
//	protoc -I proto --go_out=gen --go-grpc_out=gen \
//	    --go_opt=Mberth/northbound/v1/attachments.proto=berth/northbound \
//	    --go-grpc_opt=Mberth/northbound/v1/attachments.proto=berth/northbound \
//	    berth/northbound/v1/attachments.proto
//
// Environment: BERTH_ENDPOINT, BERTH_CERTIFICATE, BERTH_PRIVATE_KEY, BERTH_TRUSTED_CA, as for berthctl.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	api "berth/northbound"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// codec is for Debian 12's grpc-go, whose own knows only messages of an older generator. Newer ones need none.
type codec struct{}

func (codec) Marshal(message interface{}) ([]byte, error) {
	return proto.Marshal(message.(proto.Message))
}
func (codec) Unmarshal(bytes []byte, message interface{}) error {
	return proto.Unmarshal(bytes, message.(proto.Message))
}
func (codec) Name() string { return "proto" }

func connect() (*grpc.ClientConn, error) {
	pair, err := tls.LoadX509KeyPair(os.Getenv("BERTH_CERTIFICATE"), os.Getenv("BERTH_PRIVATE_KEY"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(os.Getenv("BERTH_TRUSTED_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return grpc.Dial(os.Getenv("BERTH_ENDPOINT"), grpc.WithTransportCredentials(
		credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots})),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})))
}

// requestID is kept with the intent, so that a retry repeats it.
func requestID() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		log.Fatal(err)
	}
	return fmt.Sprintf("%x", bytes)
}

// check ends the program with the reason that berthd gave.
func check(err error) {
	if err == nil {
		return
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			log.Fatalf("%s %v: %v", info.Reason, info.Metadata, err)
		}
	}
	log.Fatal(err)
}

// finish waits for the operation's end. A retry after a lost connection is this call again.
func finish(ctx context.Context, berth api.AttachmentsClient, operation *api.Operation) *api.Operation {
	ended, err := berth.WaitOperation(ctx, &api.GetOperationRequest{Operation: operation.Id})
	check(err)
	if ended.Error != nil {
		log.Fatalf("%s: %s: %s", ended.Id, ended.Error.Reason, ended.Error.Message)
	}
	return ended
}

func main() {
	conn, err := connect()
	check(err)
	defer conn.Close()
	berth := api.NewAttachmentsClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	begun, err := berth.AttachVm(ctx, &api.AttachVmRequest{
		RequestId: requestID(),
		Vm:        "vm-1",
		Interfaces: []*api.Interface{
			{Vpc: "blue", Ips: []string{"10.1.0.5"}, Mac: "02:00:00:00:01:05", NetworkClass: api.NetworkClass_COMPUTE},
			{Vpc: "green", Ips: []string{"10.2.0.5"}, Mac: "02:00:00:00:02:05", NetworkClass: api.NetworkClass_STORAGE},
		},
	})
	check(err)
	attached := finish(ctx, berth, begun)

	attachment, err := berth.GetAttachment(ctx, &api.GetAttachmentRequest{
		Attachment: attached.Attachment,
		ReadMask:   &fieldmaskpb.FieldMask{Paths: []string{"id", "vm", "interfaces", "etag"}},
	})
	check(err)
	for _, one := range attachment.Interfaces {
		fmt.Println(attachment.Vm, one.Interface.Vpc, one.Port.Function, one.Port.Socket)
	}

	begun, err = berth.DetachVm(ctx, &api.DetachVmRequest{
		RequestId: requestID(), Attachment: attachment.Id, Etag: attachment.Etag})
	check(err)
	finish(ctx, berth, begun)
	fmt.Println("detached", attachment.Id)
}
