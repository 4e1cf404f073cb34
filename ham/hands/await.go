package hands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Pauses between two looks whether something is there.
const (
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond
	oneTry    = time.Second // bounds one look by connection or HTTP
)

// errNothing is what a look finds when it finds nothing, without a reason.
var errNothing = errors.New("it is not there")

// await waits until what is named is there: the first kind that is, if several are. It waits for the whole time if nothing is named.
func (h *Hands) await(ctx context.Context, a core.Await) error {
	ctx, cancel := context.WithTimeout(ctx, a.For.Timeout)
	defer cancel()
	what, look := h.look(a)
	if look == nil {
		<-ctx.Done()
		return nil
	}
	last := errNothing
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		err := look(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // not of a look that was cut short
		}
		if sleep(ctx, pause) != nil {
			return fmt.Errorf("waited %v for %s: %w", a.For.Timeout, what, last)
		}
	}
}

// look returns what is awaited, in words, and a function that looks for it once.
func (h *Hands) look(a core.Await) (what string, look func(context.Context) error) {
	switch w := a.For; {
	case w.Path != "":
		return w.Path, func(context.Context) error {
			return as(a.As, func() error { _, err := os.Stat(w.Path); return err })
		}
	case w.TCP != "":
		return "tcp " + w.TCP, func(ctx context.Context) error { return dial(ctx, "tcp", w.TCP) }
	case w.Unix != "":
		return "socket " + w.Unix, func(ctx context.Context) error { return as(a.As, func() error { return dialUnix(ctx, w.Unix) }) }
	case w.HTTP != "":
		return w.HTTP, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, oneTry)
			defer cancel()
			return h.request(ctx, http.MethodGet, w.HTTP, nil)
		}
	}
	return "", nil
}

// dial connects and hangs up.
func dial(ctx context.Context, network, address string) error {
	d := net.Dialer{Timeout: oneTry}
	c, err := d.DialContext(ctx, network, address)
	if err == nil {
		c.Close()
	}
	return err
}

// dialUnix connects to a socket of whichever type listens there.
func dialUnix(ctx context.Context, path string) error {
	err := dial(ctx, "unix", path)
	if err != nil && dial(ctx, "unixpacket", path) == nil {
		return nil
	}
	return err
}

// newHTTPClient returns a client that keeps nothing: no connection, no cookie, no proxy of our environment.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
		// An answer that sends us elsewhere is none.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request makes one HTTP request. The answer must be 2xx.
func (h *Hands) request(ctx context.Context, method, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
