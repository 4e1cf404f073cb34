package survive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// posters is how many connections of net/http are used at a time.
const posters = 8

// poster POSTs over one connection of Go's own client, as long as that lives.
type poster struct {
	client   http.Client
	url      string
	answered int
	last     int // what the last answer was
	wrong    int // answers that did not count on
	mu       sync.Mutex
	said     []string
}

func newPoster(addr string) *poster {
	p := &poster{url: "http://" + addr + "/count"}
	var d net.Dialer
	p.client.Timeout = noReplyWithin
	p.client.Transport = &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		return &watchedConn{conn, p}, err
	}}
	return p
}

func (p *poster) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, err.Error())
}

// watchedConn tells of the end of a connection: net/http would make another one and say nothing. That it may do so for reasons
// of its own, such as a busy machine, is none of our business.
type watchedConn struct {
	net.Conn
	p *poster
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.p.fail(fmt.Errorf("the connection from %v has ended: %w", c.LocalAddr(), err))
	}
	return n, err
}

// ask makes one request and returns the counter.
func (p *poster) ask(ctx context.Context, method string) (count int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct{ Count int }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode/100 != 2 {
		return 0, fmt.Errorf("%s %s: %s (%v)", method, p.url, resp.Status, err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // or the connection is not used again
	return answer.Count, err
}

// post goes on until then, or to the first error.
func (p *poster) post(ctx context.Context, until time.Time) {
	for time.Now().Before(until) && ctx.Err() == nil {
		n, err := p.ask(ctx, http.MethodPost)
		if err != nil {
			p.fail(err)
			return
		}
		p.answered++
		if n <= p.last {
			p.wrong++
		}
		p.last = n
	}
}

func (p *poster) close() { p.client.CloseIdleConnections() }

// count asks for the counter, over a connection of its own.
func count(ctx context.Context, addr string) (int, error) {
	p := newPoster(addr)
	defer p.close()
	return p.ask(ctx, http.MethodGet)
}

// keepAlive runs Go's client and curl under kills, beside each other: together they have counted what the counter says.
func (s *survival) keepAlive(ctx context.Context, paired *server) error {
	plain, curl := s.result("net/http"), s.result("curl")
	curl.LeftOut = missing("curl")
	before, err := count(ctx, paired.addr)
	if err != nil {
		return err
	}
	var all []*poster
	for range posters {
		p := newPoster(paired.addr)
		defer p.close()
		if _, err := p.ask(ctx, http.MethodGet); err != nil { // from now on the connection is there
			return err
		}
		all = append(all, p)
	}
	began := time.Now()
	var batches []world.Execution
	k, err := subject.UnderKills(ctx, s.w, paired.name, s.p.Every, func() {}, func(ctx context.Context) (err error) {
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() { p.post(ctx, began.Add(s.p.Length)) })
		}
		for err == nil && curl.LeftOut == "" && time.Now().Before(began.Add(s.p.Length)) {
			var e world.Execution
			e, err = s.w.Execute(ctx, "curl", "-sS", "--max-time", "10", "-X", "POST", "-o", "/dev/null", "-w", curlFormat, fmt.Sprintf("http://%s/count?[1-%d]", paired.addr, s.p.Batch))
			batches = append(batches, e)
		}
		wg.Wait()
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range all {
		plain.posted(p)
	}
	for _, e := range batches {
		curl.curled(&e, k)
	}
	for _, res := range []*survived{plain, curl} {
		res.under(k)
		res.per(time.Since(began))
	}
	after, err := count(ctx, paired.addr)
	if err == nil {
		plain.count(after-before, plain.Requests+curl.Requests, plain.Errors+curl.Errors+curl.Accepting)
	}
	return err
}

// posted adds up what became of one poster.
func (v *survived) posted(p *poster) {
	v.Requests += p.answered
	v.Wrong += p.wrong
	v.fail(len(p.said), p.said...)
}

// curlFormat has curl print a line for each request: the status of the answer, and how many connections were made for it.
const curlFormat = "%{http_code} %{num_connects}\n"

// curled is one line of these.
type curled struct{ status, connects int }

// parseCurl reads them. rest is what is nothing of the kind.
func parseCurl(stdout []byte) (lines []curled, rest []string) {
	for line := range strings.Lines(string(stdout)) {
		var c curled
		if !scan(line, "%d %d\n", &c.status, &c.connects) {
			rest = append(rest, strings.TrimSpace(line))
			continue
		}
		lines = append(lines, c)
	}
	return lines, rest
}

// curled adds up what one run of curl has told. A connection that was reset in the very moment in which it was accepted is told
// apart: it is the first of the run, and there was a kill meanwhile.
func (v *survived) curled(e *world.Execution, k *subject.Killer) {
	lines, rest := parseCurl(e.Stdout)
	connections := 1 // that are needed
	for i, c := range lines {
		switch {
		case c.status/100 == 2:
			v.Requests++
		case i == 0 && c.status == 0 && k.Struck(e.Ran):
			v.Accepting++
			connections++
		default:
			v.fail(1, fmt.Sprintf("request %d of curl: status %d", i+1, c.status))
			connections++
		}
		connections -= c.connects
	}
	if connections < 0 {
		v.fail(-connections, fmt.Sprintf("curl made %d connections more than expected", -connections))
	}
	if len(rest) > 0 || len(lines) == 0 {
		v.fail(1, rest...)
	}
	v.fail(0, e.Trouble()...)
}
