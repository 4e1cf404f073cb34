package pair

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/1fb4ed1c/tandem/receive"
)

// HTTP makes the service serve an ordinary http.Handler on a TCP address, such as "127.0.0.1:8080", to clients that know
// nothing of pairs: HTTP/1.1 and 1.0, with keep-alive and pipelining. Their connections outlive the process that accepted
// them, and every request is handled once. A nil handler is http.DefaultServeMux, as in net/http. HTTP must be called before
// Run; for the address see [Listen].
//
// The handler reads and changes the tracked state; its changes become visible together with its response, to the client and
// to the backup. They are kept whatever the status, for a status is no verdict on the state: a handler that wants to
// give them up says CallOf(r.Context()).Undo(). A panic with http.ErrAbortHandler undoes them and closes the connection;
// about any other panic see [Handle].
//
// Handlers run one at a time, on the loop of the member. So they must not wait, neither for clients (request and response
// are in memory) nor for anybody else; they must not use the state from another goroutine (http.TimeoutHandler does), nor
// after they have returned; and with BackupLazy and BackupEager they must be deterministic, with time and randomness from
// [CallOf].
//
// A request and its response must fit one record each (Config.LogSize/4, less some): longer requests are refused with
// status 413, longer responses become a 500 without changes. Not supported: responses that are sent while the handler
// runs (http.Flusher, informational responses, trailers, server-sent events), connections that are taken over (http.Hijacker,
// WebSockets), HTTP/2. An http.ResponseController answers http.ErrNotSupported to these. For TLS see [HTTPS].
func HTTP(s *Service, addr string, h http.Handler) { Listen(s, addr, newHTTPServer(s, h).protocol()) }

// CallOf returns the call that a handler of [HTTP] or [HTTPS] runs in, by the context of its request; nil in any other
// context.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

type callKey struct{}

// httpServer runs a handler, one request at a time. What it holds is used again for the next.
type httpServer struct {
	svc     *Service
	handler http.Handler
	src     bytes.Reader
	buf     *bufio.Reader
	chunks  bytes.Buffer // of a body, decoded
	fields  httpBuffer
	body    httpBuffer
	tls     bool
}

func newHTTPServer(s *Service, h http.Handler) *httpServer {
	if h == nil {
		h = http.DefaultServeMux
	}
	p := &httpServer{svc: s, handler: h}
	p.buf = bufio.NewReaderSize(&p.src, maxChunkLine)
	return p
}

func (p *httpServer) protocol() Protocol {
	return Protocol{
		Cut:     func(b []byte) (int, error) { return p.cutter().cut(b) },
		Interim: func(b, dst []byte) []byte { return p.cutter().interim(b, dst) },
		Handle:  p.handle,
		Fail:    appendFailure,
	}
}

// most is what fits a record, as Protocol.MaxRequest has it.
func (p *httpServer) most() int { return p.svc.cfg.LogSize/4 - 4*recordSlack }

func (p *httpServer) cutter() httpCutter { return httpCutter{p.most()} }

// handle is Protocol.Handle.
func (p *httpServer) handle(c *Call, b, dst []byte) (reply []byte, err error) {
	req, err := p.read(b)
	if err != nil {
		c.Hangup()
		return appendFailure(dst, err), nil
	}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), callKey{}, c))
	defer cancel()
	req = req.WithContext(ctx)
	req.RemoteAddr = c.Remote()
	if p.tls {
		req.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	w := &httpResponse{req: req, now: c.Now(), most: p.most(), header: http.Header{}, close: req.Close, fields: p.fields[:0], body: p.body[:0]}
	defer func() { p.keep(w) }()
	if aborted := p.serve(w, req); aborted {
		c.Undo()
		c.Hangup()
		return dst, nil
	}
	reply = w.finish(dst)
	if w.large || len(reply)-len(dst)+len(p.svc.store.Changes()) > p.most() {
		c.Undo()
		w.reset()
		http.Error(w, errResponseLarge.Error(), http.StatusInternalServerError)
		reply = w.finish(dst)
	}
	if w.close {
		c.Hangup()
	}
	return reply, nil
}

// keep keeps the buffers of a response for the next, unless they are unusually large.
func (p *httpServer) keep(w *httpResponse) {
	w.over = true
	if p.fields, p.body = w.fields, w.body; cap(p.body) > keepBody {
		p.body = nil
	}
	if p.chunks.Cap() > keepBody {
		p.chunks = bytes.Buffer{}
	}
}

const keepBody = 64 << 10

// serve runs the handler. aborted: it has given the connection up.
func (p *httpServer) serve(w *httpResponse, r *http.Request) (aborted bool) {
	defer func() {
		switch e := recover(); e {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			panic(e)
		}
	}()
	if r.Method == http.MethodOptions && r.RequestURI == "*" { // asks about the server, as in net/http
		return false
	}
	p.handler.ServeHTTP(w, r)
	return false
}

// read reads a whole request, by net/http. That it ends elsewhere than where it was cut must not happen; if it does, it is
// not handled.
func (p *httpServer) read(b []byte) (*http.Request, error) {
	h, err := p.cutter().head(b)
	if err != nil {
		return nil, err
	}
	p.src.Reset(b[h.start:])
	p.buf.Reset(&p.src)
	r, err := http.ReadRequest(p.buf)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	body := b[h.size:]
	if r.ContentLength < 0 {
		p.chunks.Reset()
		if _, err := p.chunks.ReadFrom(r.Body); err != nil {
			return nil, badRequest("%v", err)
		}
		if left := p.src.Len() + p.buf.Buffered(); left > 0 {
			return nil, badRequest("%d bytes behind the end of the request", left)
		}
		body = p.chunks.Bytes()
	} else if r.ContentLength != int64(len(body)) {
		return nil, badRequest("a body of %d bytes, expected %d", len(body), r.ContentLength)
	}
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r, nil
}

// appendFailure is Protocol.Fail. It may be the answer to anything, so the client must not wait for another: it cannot
// know whether this one, to a HEAD, has a body.
func appendFailure(dst []byte, err error) []byte {
	status, text := http.StatusInternalServerError, "the request has failed"
	var refused *httpError
	switch {
	case errors.As(err, &refused):
		status, text = refused.status, refused.text
	case errors.Is(err, receive.ErrPoison):
		text = "this request has ended the process that handled it, twice, and is not tried again"
	case errors.Is(err, receive.ErrTooLarge):
		status, text = http.StatusRequestEntityTooLarge, err.Error()
	}
	body := fmt.Sprintf("%d %s: %s\n", status, http.StatusText(status), text)
	dst = appendStatus(dst, true, status)
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(len(body)), 10), "\r\nConnection: close\r\n\r\n"...)
	return append(dst, body...)
}
