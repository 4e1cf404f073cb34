package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsPut is a NATS server in a process of its own. All callers share one connection.
type natsPut struct {
	w      *world
	stream bool // the server stores; else another process does, and the server carries request and reply
	conn   *nats.Conn
	js     jetstream.JetStream
}

func newNATSCore(w *world) replicator      { return &natsPut{w: w} }
func newNATSJetStream(w *world) replicator { return &natsPut{w: w, stream: true} }

const (
	natsSubject = "put"
	natsKept    = 100_000 // messages in the stream
)

func (n *natsPut) Start(ctx context.Context, _ int) error {
	addr, err := n.w.ports.addr()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	name := "nats-" + port
	if _, err := n.w.self("nats", "nats", port, filepath.Join(n.w.dir, name), strconv.FormatBool(n.stream)); err != nil {
		return err
	}
	err = until(ctx, "nats", func(context.Context) (err error) {
		n.conn, err = nats.Connect(addr)
		return err
	})
	if err != nil {
		return err
	}
	if !n.stream {
		_, err := n.w.self("responder", "responder", addr)
		return err
	}
	if n.js, err = jetstream.New(n.conn); err != nil {
		return err
	}
	return until(ctx, "nats: stream", func(ctx context.Context) error {
		_, err := n.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "table", Subjects: []string{natsSubject}, Storage: jetstream.MemoryStorage,
			Replicas: 1, MaxMsgs: natsKept, Discard: jetstream.DiscardOld})
		return err
	})
}

func (n *natsPut) Update(ctx context.Context, _ int, key uint32) error {
	b := append([]byte{byte(key), byte(key >> 8)}, payload()...)
	if n.stream {
		_, err := n.js.Publish(ctx, natsSubject, b)
		return err
	}
	_, err := n.conn.RequestWithContext(ctx, natsSubject, b)
	return err
}

func (n *natsPut) Stop() {
	if n.conn != nil {
		n.conn.Close()
	}
}

var errNATSNotReady = errors.New("nats: the server is not ready")

// natsProcess is the process of the server: PORT DATA JETSTREAM.
func natsProcess(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("cannot run NATS with %q", args)
	}
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: args[2] == "true", StoreDir: args[1], NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errNATSNotReady
	}
	s.WaitForShutdown()
	return nil
}

// responderProcess is the second holder behind a server that stores nothing: ADDRESS.
func responderProcess(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("cannot respond at %q", args)
	}
	ended := make(chan error, 1)
	conn, err := nats.Connect(args[0], nats.ClosedHandler(func(c *nats.Conn) { ended <- c.LastError() }), nats.Timeout(10*time.Second))
	if err != nil {
		return err
	}
	var values store
	_, err = conn.Subscribe(natsSubject, func(m *nats.Msg) {
		values.put(m.Data)
		_ = m.Respond(nil)
	})
	if err != nil {
		return err
	}
	return <-ended
}
