package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/control"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

const name = "purchase"

// protected is what the first member prints when it has a backup.
const protected = "protected"

var errOverLimit = receive.NewError(256, "over the limit")

// step is something that the server does for a purchase; the primary can be killed after each.
type step int

const (
	wasRead     step = iota + 1 // the request has come out of the inbox
	wasEntered                  // update point 2: the input is safe
	wasComputed                 // the account has been read and the new balance computed
	wasPlanned                  // update point 3: the record to be written is safe
	wasWritten                  // the account has been written
	wasDone                     // update point 1: the result is safe, nothing is left to do
	wasReplied                  // the buyer knows
)

var stepNames = [...]string{wasRead: "request read", wasEntered: "update point 2: the input", wasComputed: "account read, balance computed",
	wasPlanned: "update point 3: the record", wasWritten: "account written", wasDone: "update point 1: the result", wasReplied: "buyer answered"}

func (s step) String() string { return stepNames[s] }

// input is what the buyer asked for, and who that is: the reply must find its way from another process, too.
type input struct {
	Opener, SyncID, Low uint64
	Account, Amount     int64
}

// server is one member.
type server struct {
	member *pair.Member
	file   *os.File
	three  bool           // update points, or two
	kill   step           // after which this process kills itself; 0: never
	resume control.Points // what to do at each update point
	point  control.Point  // the last one
	in     input          // at points 2 and 3
	record account        // at point 3: what is to be written
	offset int64          // at point 3: where
	tag    int            // of the request, if it was read by this process; -1: its buyer will ask again
}

// The update points, numbered as in the manual.
const (
	idle    = "1 idle"
	entered = "2 entered"
	planned = "3 planned"
)

// serve runs one member. args: how many update points, after which step the first member is killed, and the account file.
func serve(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: purchase serve POINTS STEP FILE")
	}
	points, err1 := strconv.Atoi(args[0])
	kill, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	m, err := pair.Config{Logger: slog.New(slog.DiscardHandler)}.Join(ctx, name)
	if err != nil {
		return err
	}
	s := &server{member: m, three: points == 3, point: control.Point{Name: idle}, tag: -1}
	s.resume.Register(idle, func(control.Point) error { return nil })
	s.resume.Register(entered, func(control.Point) error { return s.compute() })
	s.resume.Register(planned, func(control.Point) error { return s.write() })
	if m.Role() == pair.Primary {
		s.kill = step(kill)
		err = s.open(args[2])
	}
	for err == nil {
		var msg receive.Message
		if msg, err = m.Inbox().ReadUpdate(ctx); err == nil {
			err = s.handle(msg)
		}
	}
	if errors.Is(err, pair.ErrLeft) {
		err = nil
	}
	return errors.Join(err, m.Close())
}

func (s *server) handle(msg receive.Message) error {
	switch msg := msg.(type) {
	case *receive.Request:
		return s.request(msg)
	case receive.Created:
		open, _ := control.OpenOf("accounts", s.file.Name()) // a string can always be encoded
		if err := s.member.Checkpoint(open, s.point); err != nil {
			return err
		}
		return s.member.Synchronised()
	case receive.BackupSynchronised:
		fmt.Println(protected)
	case receive.FromPrimary:
		return s.follow(msg.Value)
	case receive.ProcessDeletion:
		if msg.Who == receive.Primary {
			return s.resume.Resume(s.point)
		}
	case receive.SwitchedOver:
		if msg.Role == receive.Primary {
			return s.resume.Resume(s.point)
		}
	}
	return nil
}

func (s *server) request(r *receive.Request) error {
	s.tag, s.in = r.Tag, input{Opener: r.Opener, SyncID: r.SyncID, Low: r.Low}
	if r.Method == "balance" {
		a, _, err := fetch(s.file, first)
		if err != nil {
			return err
		}
		return s.done(a.Balance, nil)
	}
	var amount int64
	if err := r.Decode(&amount); err != nil {
		return s.done(0, err)
	}
	s.in.Account, s.in.Amount = first, amount
	s.reached(wasRead)
	if err := s.update(entered, s.in, nil); err != nil {
		return err
	}
	s.reached(wasEntered)
	return s.compute()
}

// compute goes on from update point 2.
func (s *server) compute() (err error) {
	if s.record, s.offset, err = fetch(s.file, s.in.Account); err != nil {
		return err
	}
	s.record.Balance += s.in.Amount
	if s.record.Balance > s.record.Limit {
		return s.done(0, errOverLimit)
	}
	s.reached(wasComputed)
	if s.three {
		if err := s.update(planned, s.in, &s.record); err != nil {
			return err
		}
		s.reached(wasPlanned)
	}
	return s.write()
}

// write goes on from update point 3. It says what the record is to be and where, not what is to be done with it: so it may
// be done again.
func (s *server) write() error {
	if _, err := s.file.WriteAt(s.record.line(), s.offset); err != nil {
		return err
	}
	s.reached(wasWritten)
	return s.done(s.record.Balance, nil)
}

// done ends a request: its result is safe together with update point 1, then it goes to the buyer. If this process has not
// read the request, its buyer repeats it, and gets the saved reply.
func (s *server) done(balance int64, refusal error) error {
	reply, err := receive.Encode(balance)
	if err != nil {
		return err
	}
	s.point = control.Point{Name: idle}
	r := &receive.Request{Opener: s.in.Opener, SyncID: s.in.SyncID, Low: s.in.Low}
	if err := s.member.CheckpointReply(r, reply, refusal, s.point); err != nil {
		return err
	}
	s.reached(wasDone)
	if s.tag < 0 {
		return nil
	}
	tag := s.tag
	s.tag = -1
	if err := s.member.Inbox().Reply(tag, reply, refusal); err != nil {
		return err
	}
	s.reached(wasReplied)
	return nil
}

// update is an update point: control state, data state and, if there is something to be written, file state.
func (s *server) update(point string, in input, record *account) error {
	s.point = control.Point{Name: point}
	state, err := control.StateOf("input", in)
	msgs := []control.Message{state, s.point}
	if record != nil {
		data, err1 := control.StateOf("record", record)
		where, err2 := control.FileStateOf("accounts", s.offset)
		msgs, err = append(msgs, data, where), errors.Join(err, err1, err2)
	}
	if err != nil {
		return err
	}
	return s.member.Checkpoint(msgs...)
}

// follow takes one part of an update of the primary.
func (s *server) follow(part any) error {
	switch part := part.(type) {
	case control.Open:
		var path string
		if err := part.Decode(&path); err != nil {
			return err
		}
		return s.open(path)
	case control.State:
		if part.Name == "record" {
			return part.Decode(&s.record)
		}
		return part.Decode(&s.in)
	case control.FileState:
		return part.Decode(&s.offset)
	case control.Point:
		s.point = part
		return s.resume.Check(part)
	}
	return fmt.Errorf("a part of an update that a purchase does not have: %T", part)
}

func (s *server) open(path string) (err error) {
	s.file, err = os.OpenFile(path, os.O_RDWR, 0)
	return err
}

// reached kills this process if it is to be killed here.
func (s *server) reached(at step) {
	if at == s.kill {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
}
