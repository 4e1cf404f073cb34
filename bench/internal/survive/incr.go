package survive

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

// counter is a connection on which a number is counted up with INCR, many requests in flight. It knows what every reply
// must be: the next number.
type counter struct {
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	key     string
	sent    int   // requests
	got     int   // replies to them
	value   int64 // the last number
	wrong   int
	longest atomic.Int64 // time without a reply, in ns, since it was last looked at
}

const (
	countersDB    = "9" // apart from what redis-benchmark does
	noReplyWithin = 10 * time.Second
)

// dialCounter returns when the server has answered: the connection is no longer being accepted then.
func dialCounter(addr, key string) (*counter, error) {
	conn, err := net.DialTimeout("tcp", addr, noReplyWithin)
	if err != nil {
		return nil, err
	}
	c := &counter{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn), key: key}
	for _, command := range [][]string{{"SELECT", countersDB}, {"DEL", key}} {
		if _, err := c.ask(command...); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return c, nil
}

// ask makes one request and returns the first line of the reply to it.
func (c *counter) ask(args ...string) (string, error) {
	c.command(args...)
	if err := c.flush(); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err == nil && line[0] == '-' {
		err = fmt.Errorf("%s: %s", args[0], strings.TrimSpace(line[1:]))
	}
	return strings.TrimSpace(line), err
}

func (c *counter) command(args ...string) {
	fmt.Fprintf(c.out, "*%d\r\n", len(args)) // errors stay with the writer, and flush tells them
	for _, a := range args {
		fmt.Fprintf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
}

func (c *counter) flush() error {
	if err := c.conn.SetDeadline(time.Now().Add(noReplyWithin)); err != nil {
		return err
	}
	return c.out.Flush()
}

// run counts until it is told to stop and every request has been answered.
func (c *counter) run(depth int, stop *atomic.Bool) error {
	for last := time.Now(); ; {
		for c.sent-c.got < depth && !stop.Load() {
			c.command("INCR", c.key)
			c.sent++
		}
		if c.sent == c.got {
			return c.check()
		}
		if err := c.flush(); err != nil {
			return err
		}
		for more := true; more; more = c.in.Buffered() > 0 && c.got < c.sent {
			if err := c.reply(); err != nil {
				return err
			}
		}
		now := time.Now()
		c.longest.Store(max(c.longest.Load(), int64(now.Sub(last)))) // one that is looked at in between is counted twice
		last = now
	}
}

func (c *counter) reply() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(line[1:])), 10, 64)
	if line[0] != ':' || err != nil {
		return fmt.Errorf("INCR: %q, expected %d", line, c.value+1)
	}
	if n != c.value+1 {
		c.wrong++
	}
	c.got++
	c.value = n
	return nil
}

// check compares what the server holds with what it has answered.
func (c *counter) check() error {
	head, err := c.ask("GET", c.key)
	if err != nil {
		return err
	}
	if head == "$-1" && c.got == 0 {
		return nil
	}
	body, err := c.in.ReadString('\n')
	if err == nil && strings.TrimSpace(body) != strconv.Itoa(c.got) {
		c.wrong++
	}
	return err
}

// counters are several of them at a time.
type counters struct {
	all   []*counter
	waits *figures.Times // the longest time without a reply after each kill
	kills int
	stop  atomic.Bool
	wg    sync.WaitGroup
	mu    sync.Mutex
	said  []string
}

func startCounters(addr string, connections, depth int) (*counters, error) {
	cs := &counters{waits: figures.NewTimes()}
	for i := range connections {
		c, err := dialCounter(addr, fmt.Sprint("counted:", i))
		if err != nil {
			cs.close()
			return nil, err
		}
		cs.all = append(cs.all, c)
	}
	for _, c := range cs.all {
		cs.wg.Go(func() {
			if err := c.run(depth, &cs.stop); err != nil {
				cs.mu.Lock()
				defer cs.mu.Unlock()
				cs.said = append(cs.said, fmt.Sprintf("a connection that counts with INCR: %v", err))
			}
		})
	}
	return cs, nil
}

// look takes note of the longest wait since the last kill.
func (cs *counters) look() {
	longest := int64(0)
	for _, c := range cs.all {
		longest = max(longest, c.longest.Swap(0))
	}
	if cs.kills > 0 {
		cs.waits.Add(time.Duration(longest))
	}
	cs.kills++
}

// finish has every request answered and fills in what came of them.
func (cs *counters) finish(res *survived) {
	cs.stop.Store(true)
	cs.wg.Wait()
	cs.look()
	for _, c := range cs.all {
		res.Checked += c.got
		res.Wrong += c.wrong
	}
	res.fail(len(cs.said), cs.said...)
	if cs.waits.N() > 0 {
		res.WaitP50, res.WaitMax = float64(cs.waits.At(50))/1e3, float64(cs.waits.Max())/1e3
	}
}

func (cs *counters) close() {
	for _, c := range cs.all {
		_ = c.conn.Close()
	}
}
