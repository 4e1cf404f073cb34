package main

import (
	"bytes"

	"fmt"

	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// programs are what dies: a shell that says who it is, in one line in a FIFO, as the first thing that it does, and then waits for what never
// comes. So it is known when a program runs, whoever has started it.
type programs struct {
	dir  string
	said *os.File
	tell func(begun)

	ended sync.WaitGroup
}

// begun is a program that has begun to run.
type begun struct {
	name string
	pid  int
	at   time.Duration // monotonic
}

// programText is the program: its arguments are the two FIFOs and its name. A shell of its own is not needed for either command.
const programText = `echo "$3 $$" >"$1"; read _ <"$2"`

// newPrograms begins to listen for programs. tell is called for each that begins, in the order in which they do.
func (w *world) newPrograms(tell func(begun)) (*programs, error) {
	dir, err := os.MkdirTemp(w.base, "programs")
	if err != nil {
		return nil, err
	}
	p := &programs{dir: dir, tell: tell}
	for _, name := range []string{p.fifo(), p.never()} {
		if err := unix.Mkfifo(name, 0o600); err != nil {
			return nil, fmt.Errorf("cannot make a FIFO: %w", err)
		}
	}
	if p.said, err = os.OpenFile(p.fifo(), os.O_RDWR, 0); err != nil { // as a writer too: the others come and go
		return nil, err
	}
	p.ended.Go(p.listen)
	return p, nil
}

func (p *programs) fifo() string  { return filepath.Join(p.dir, "said") }
func (p *programs) never() string { return filepath.Join(p.dir, "never") }

// command is how a program is started.
func (p *programs) command(name string) []string {
	return []string{"/bin/sh", "-c", programText, "sh", p.fifo(), p.never(), name}
}

func (p *programs) listen() {
	b := make([]byte, 4096) // what is written at once is not cut
	for {
		n, err := p.said.Read(b)
		at := monotonic()
		if err != nil {
			return
		}
		for rest := b[:n]; len(rest) > 0; {
			x := begun{at: at}
			line, after, _ := bytes.Cut(rest, []byte{'\n'})
			rest = after
			if _, err := fmt.Sscan(string(line), &x.name, &x.pid); err == nil {
				p.tell(x)
			}
		}
	}
}

func (p *programs) close() error {
	err := p.said.Close()
	p.ended.Wait()
	return err
}
