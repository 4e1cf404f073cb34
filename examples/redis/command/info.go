package command

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// sections are those of INFO. It tells only what both members know: nothing of a process.
var sections = [...]struct {
	name  string
	write func(r *run, b *strings.Builder)
}{
	{"Server", func(r *run, b *strings.Builder) {
		up := (r.ks.Now() - r.s.state.Started.Get()) / 1000
		fmt.Fprintf(b, "redis_version:%s\r\nredis_mode:standalone\r\nserver_time_usec:%d\r\nuptime_in_seconds:%d\r\nuptime_in_days:%d\r\n",
			version7, r.c.Now().UnixMicro(), up, up/86400)
	}},
	{"Clients", func(r *run, b *strings.Builder) {
		fmt.Fprintf(b, "connected_clients:%d\r\nblocked_clients:0\r\n", r.s.state.Sessions.Len())
	}},
	{"Persistence", func(_ *run, b *strings.Builder) {
		b.WriteString("loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n")
	}},
	{"Replication", func(_ *run, b *strings.Builder) {
		b.WriteString("role:master\r\nconnected_slaves:0\r\n")
	}},
	{"Keyspace", func(r *run, b *strings.Builder) {
		for n := range keyspace.Databases {
			if d := r.ks.DB(n); d.Len() > 0 {
				fmt.Fprintf(b, "db%d:keys=%d,expires=%d,avg_ttl=0\r\n", n, d.Len(), d.Expiring())
			}
		}
	}},
}

func (r *run) info() {
	var b strings.Builder
	for _, s := range sections {
		wanted := len(r.args) == 1
		for _, a := range r.args[1:] {
			wanted = wanted || is(a, strings.ToLower(s.name)) || is(a, "all") || is(a, "default") || is(a, "everything")
		}
		if !wanted {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		s.write(r, &b)
	}
	r.sayBulk(b.String())
}

// parameters are those of CONFIG that tools ask for. They are what they are.
var parameters = [...][2]string{
	{"appendfsync", "no"},
	{"appendonly", "no"},
	{"databases", strconv.Itoa(keyspace.Databases)},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"save", ""},
	{"timeout", "0"},
}

func (r *run) config() {
	switch lower(r.args[1]) {
	case "get":
		r.configGet()
	case "set":
		r.configSet()
	default: // resetstat: there are none
		r.sayOK()
	}
}

func (r *run) configGet() {
	var found []string
	limit := [2]string{"proto-max-bulk-len", strconv.Itoa(r.s.maxValue)}
	for _, pattern := range r.args[2:] {
		exact := !bytes.ContainsAny(pattern, "*?[")
		for _, p := range append(parameters[:], limit) {
			name := p[0]
			if exact && strings.EqualFold(name, string(pattern)) {
				name = string(pattern) // Redis repeats it as it was asked for
			} else if exact || !match(lower(pattern), name) {
				continue
			}
			if !slices.Contains(found, name) {
				found = append(found, name, p[1])
			}
		}
	}
	r.sayArray(len(found))
	for _, s := range found {
		r.sayBulk(s)
	}
}

// configSet lets a parameter be set to what it is.
func (r *run) configSet() {
	if len(r.args)%2 == 1 {
		r.fail(errSyntax)
		return
	}
	for i := 2; i < len(r.args); i += 2 {
		name, known := lower(r.args[i]), false
		for _, p := range parameters {
			if p[0] == name {
				known = true
				if p[1] != string(r.args[i+1]) {
					r.fail("ERR CONFIG SET failed (possibly related to argument '" + name + "') - can't set immutable config")
					return
				}
			}
		}
		if !known {
			r.fail("ERR Unknown option or number of arguments for CONFIG SET - '" + string(r.args[i]) + "'")
			return
		}
	}
	r.sayOK()
}

// command tells of the commands. Without DOCS, redis-cli takes the help that it has built in.
func (r *run) command() {
	switch {
	case len(r.args) == 1, is(r.args[1], "info") && len(r.args) == 2:
		r.sayArray(len(r.s.order))
		for _, c := range r.s.order {
			r.sayCommand(c)
		}
	case is(r.args[1], "count"):
		r.sayInt(len(r.s.order))
	case is(r.args[1], "list"):
		r.sayArray(len(r.s.order))
		for _, c := range r.s.order {
			r.sayBulk(c.name)
		}
	default: // info
		r.sayArray(len(r.args) - 2)
		for _, name := range r.args[2:] {
			if c := r.s.table[lower(name)]; c != nil {
				r.sayCommand(c)
			} else {
				r.sayNull()
			}
		}
	}
}

// sayCommand answers what COMMAND tells of one: ten things, the last four of which nobody here keeps.
func (r *run) sayCommand(c *known) {
	r.sayArray(10)
	r.sayBulk(c.name)
	r.sayInt(c.arity)
	flags := strings.Fields(c.flags)
	r.sayArray(len(flags))
	for _, f := range flags {
		r.out = resp.AppendSimple(r.out, f)
	}
	for _, n := range [...]int{c.first, c.last, c.step} {
		r.sayInt(n)
	}
	for range 4 {
		r.sayArray(0)
	}
}

func (r *run) time() {
	us := r.c.Now().UnixMicro()
	r.sayArray(2)
	r.sayBulk(strconv.FormatInt(us/1e6, 10))
	r.sayBulk(strconv.FormatInt(us%1e6, 10))
}

// wait answers how many replicas have what this connection has written. There are none: the backup has it before any reply.
func (r *run) wait() {
	if _, ok := r.integer(r.args[1]); !ok {
		return
	}
	if n, ok := resp.Integer(r.args[2]); !ok {
		r.fail("ERR timeout is not an integer or out of range")
		return
	} else if n < 0 {
		r.fail("ERR timeout is negative")
		return
	}
	r.sayInt(0)
}
