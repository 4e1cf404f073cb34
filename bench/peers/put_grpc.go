package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// grpcPut is what one writes first: a call to another process, which stores the update. All callers share one connection.
type grpcPut struct {
	w    *world
	conn *grpc.ClientConn
}

func newGRPC(w *world) replicator { return &grpcPut{w: w} }

const grpcMethod = "/peers.Table/Put"

func (g *grpcPut) Start(context.Context, int) error {
	socket := filepath.Join(g.w.dir, "grpc")
	if _, err := g.w.self("grpc", "grpc", socket); err != nil {
		return err
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	g.conn = conn
	return err
}

func (g *grpcPut) Update(ctx context.Context, _ int, key uint32) error {
	in := wrapperspb.Bytes(append([]byte{byte(key), byte(key >> 8)}, payload()...))
	return g.conn.Invoke(ctx, grpcMethod, in, &emptypb.Empty{}, grpc.WaitForReady(true))
}

func (g *grpcPut) Stop() {
	if g.conn != nil {
		_ = g.conn.Close()
	}
}

// grpcTable is the second holder.
type grpcTable struct{ values store }

// grpcProcess is its process: SOCKET.
func grpcProcess(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("cannot serve gRPC at %q", args)
	}
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "peers.Table", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Put", Handler: putByGRPC}}}, &grpcTable{})
	return s.Serve(l)
}

// putByGRPC is what protoc would generate.
func putByGRPC(table any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := &wrapperspb.BytesValue{}
	if err := decode(in); err != nil {
		return nil, err
	}
	t, ok := table.(*grpcTable)
	if !ok || len(in.Value) < 2 {
		return nil, fmt.Errorf("cannot put %d bytes", len(in.Value))
	}
	t.values.put(in.Value)
	return &emptypb.Empty{}, nil
}

// store keeps values of which the first two bytes are the key.
type store struct {
	mu     sync.Mutex
	values map[[2]byte][]byte
}

func (s *store) put(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[[2]byte][]byte{}
	}
	s.values[[2]byte(b)] = b[2:]
}
