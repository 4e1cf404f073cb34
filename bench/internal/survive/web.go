package survive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// wrk, curl and Go's own HTTP client against examples/web: every POST adds one to a counter, which in the end must be the
// number of POSTs that were answered.

// web runs everything that is to be run against examples/web.
func (s *survival) web(ctx context.Context) error {
	bin, leftOut, err := build(ctx, s.w, "web")
	if err != nil {
		return err
	}
	if leftOut != "" {
		for _, client := range []string{"wrk", "net/http", "curl"} {
			s.result(client).LeftOut = leftOut
		}
		return nil
	}
	paired, err := serve(ctx, s.w, bin, s.w.RunDir(), subject.Protected)
	if err != nil {
		return err
	}
	defer paired.stop(ctx)
	if err := s.wrk(ctx, paired); err != nil {
		return err
	}
	return s.keepAlive(ctx, paired)
}

// wrkScript makes POSTs, and counts what wrk itself does not: answers without success.
const wrkScript = `wrk.method = "POST"
local threads = {}
failed = 0
function setup(thread) threads[#threads + 1] = thread end
function response(status) if status < 200 or status > 299 then failed = failed + 1 end end
function done()
	local sum = 0
	for _, t in ipairs(threads) do sum = sum + t:get("failed") end
	print("Without success: " .. sum)
end
`

// wrkSays is what wrk prints.
type wrkSays struct {
	requests                      int // answered
	connect, read, write, timeout int // errors of sockets
	failed                        int // answers that were no success
}

func (x wrkSays) errors() int { return x.connect + x.read + x.write + x.timeout + x.failed }

// parseWrk reads it. complete: everything is there that is always there.
func parseWrk(stdout []byte) (x wrkSays, complete bool) {
	counted, checked, others := false, false, 0
	for line := range strings.Lines(string(stdout)) {
		line = strings.TrimSpace(line)
		scan(line, "Socket errors: connect %d, read %d, write %d, timeout %d", &x.connect, &x.read, &x.write, &x.timeout)
		scan(line, "Non-2xx or 3xx responses: %d", &others)
		counted = scan(line, "%d requests in", &x.requests) || counted
		checked = scan(line, "Without success: %d", &x.failed) || checked
	}
	x.failed = max(x.failed, others)
	return x, counted && checked
}

// scan reads the numbers of a line that begins like that. Of any other line it reads nothing.
func scan(line, format string, to ...*int) bool {
	read := make([]int, len(to))
	at := make([]any, len(to))
	for i := range read {
		at[i] = &read[i]
	}
	if _, err := fmt.Sscanf(line, format, at...); err != nil {
		return false
	}
	for i, n := range read {
		*to[i] = n
	}
	return true
}

// wrk runs wrk under kills. What it has in flight at its end may have been counted or not.
func (s *survival) wrk(ctx context.Context, paired *server) error {
	res := s.result("wrk")
	if res.LeftOut = missing("wrk"); res.LeftOut != "" {
		return nil
	}
	script := filepath.Join(s.w.Base, "wrk.lua")
	if err := os.WriteFile(script, []byte(wrkScript), 0o600); err != nil {
		return err
	}
	before, err := count(ctx, paired.addr)
	if err != nil {
		return err
	}
	var e world.Execution
	k, err := subject.UnderKills(ctx, s.w, paired.name, s.p.Every, func() {}, func(ctx context.Context) (err error) {
		seconds := strconv.Itoa(int((s.p.Length + time.Second - 1) / time.Second))
		e, err = s.w.Execute(ctx, "wrk", "-t", "1", "-c", strconv.Itoa(s.p.Connections), "-d", seconds+"s", "-s", script, "http://"+paired.addr+"/count")
		return err
	})
	if err != nil {
		return err
	}
	after, err := count(ctx, paired.addr)
	if err != nil {
		return err
	}
	res.under(k)
	res.wrked(&e)
	res.count(after-before, res.Requests, s.p.Connections)
	return nil
}

// wrked takes over what wrk has told.
func (v *survived) wrked(e *world.Execution) {
	said, complete := parseWrk(e.Stdout)
	v.Requests = said.requests
	v.per(e.Ran.Length())
	trouble := e.Trouble()
	if !complete {
		trouble = append(trouble, strings.TrimSpace(string(e.Stdout)))
	}
	if len(trouble) > 0 {
		v.fail(1, trouble...)
	}
	if n := said.errors(); n > 0 {
		v.fail(n, fmt.Sprintf("%+v", said))
	}
}

// count compares what was counted with what was answered; so many requests may have been cut off in between.
func (v *survived) count(counted, answered, cutOff int) {
	wrong := max(answered-counted, counted-answered-cutOff, 0)
	if wrong > 0 {
		v.Wrong += wrong
		v.fail(0, fmt.Sprintf("%d answered, %d counted, at most %d in flight at the end", answered, counted, cutOff))
	}
}
