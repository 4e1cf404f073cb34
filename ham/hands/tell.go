package hands

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Message is what a party is told: as JSON, in one datagram, one POST, or one line of a client's connection.
type Message struct {
	Entity    string     `json:"entity"` // the place of the action
	Condition string     `json:"condition"`
	Action    string     `json:"action"`
	Text      string     `json:"text,omitempty"` // of the action
	Cause     core.Cause `json:"cause"`          // what happened. Its Seq is the same when it is told twice
}

// tellPatience bounds how long a party may take that has no time of its own.
const tellPatience = 5 * time.Second

// tell tells one party.
func (h *Hands) tell(ctx context.Context, t core.Tell) error {
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	n := t.Notify
	if n.Signal != nil {
		return signalFor(t.As, *n.Signal)
	}
	m := Message{Entity: t.Path.Entity, Condition: t.Path.Condition, Action: t.Path.Action, Text: n.Text, Cause: t.Cause}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot put it in words: %w", err)
	}
	switch {
	case n.Datagram != "":
		err = h.datagram(ctx, t.As, n.Datagram, text)
	case n.HTTP != "":
		err = h.hook(ctx, n.HTTP, text)
	case n.Client != 0 && h.cfg.Line != nil:
		err = h.cfg.Line(n.Client, append(text, '\n'))
	default:
		err = errors.New("there is nobody to tell")
	}
	return err
}

// datagram sends one packet to a unix socket. While its queue is full it tries again.
func (h *Hands) datagram(ctx context.Context, o core.Owner, path string, text []byte) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		err := as(o, func() error { return sendDatagram(path, text) })
		if err == nil {
			return nil
		}
		if err != unix.EAGAIN || sleep(ctx, pause) != nil {
			return fmt.Errorf("cannot send to %s: %w", path, err)
		}
	}
}

func sendDatagram(path string, text []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, text, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: path})
}

// hook tells a URL. It is asked once: it may have heard what it did not answer.
func (h *Hands) hook(ctx context.Context, url string, text []byte) error {
	return h.request(ctx, "POST", url, bytes.NewReader(text))
}
