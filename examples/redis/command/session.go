package command

import (
	"fmt"
	"strings"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// attend finds the session of the connection; its first request makes one.
func (r *run) attend() {
	r.id = r.c.Opener()
	var found bool
	if r.me, found = r.s.state.Sessions.Lookup(r.id); !found {
		r.me = Session{Since: r.ks.Now()}
		r.saveSession()
		if r.s.state.Started.Get() == 0 {
			r.s.state.Started.Set(r.ks.Now())
		}
	}
	r.db = r.ks.DB(r.me.DB)
}

func (r *run) saveSession() { r.s.state.Sessions.Set(r.id, r.me) }

// number is the ID of a connection as clients see it.
func number(connection uint64) int64 { return int64(connection &^ (1 << 63)) }

func (r *run) ping() {
	switch len(r.args) {
	case 1:
		r.out = resp.AppendSimple(r.out, "PONG")
	case 2:
		r.sayBytes(r.args[1])
	default:
		r.arity()
	}
}

func (r *run) echo() { r.sayBytes(r.args[1]) }

func (r *run) selectDB() {
	if n, ok := r.dbNumber(r.args[1]); ok {
		r.use(n)
		r.sayOK()
	}
}

// dbNumber reads the number of a database. It answers if that is none.
func (r *run) dbNumber(arg []byte) (number int, ok bool) {
	n, ok := r.integer(arg)
	switch {
	case !ok:
	case n != int64(int32(n)):
		r.fail("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n < 0 || n >= keyspace.Databases:
		r.fail(errDB)
	default:
		return int(n), true
	}
	return 0, false
}

func (r *run) use(n int) {
	r.db = r.ks.DB(n)
	if n != r.me.DB {
		r.me.DB = n
		r.saveSession()
	}
}

// auth is for servers that want a password. This one has none.
func (r *run) auth() {
	switch {
	case len(r.args) > 3:
		r.fail(errSyntax)
	case len(r.args) == 2:
		r.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	case string(r.args[1]) != "default":
		r.fail(errPassword)
	default:
		r.sayOK()
	}
}

const errPassword = "WRONGPASS invalid username-password pair or user is disabled."

func (r *run) hello() {
	version := int64(2)
	rest := r.args[1:]
	if len(rest) > 0 {
		var ok bool
		if version, ok = resp.Integer(rest[0]); !ok {
			r.fail("ERR Protocol version is not an integer or out of range")
			return
		}
		if version != 2 {
			r.fail("NOPROTO unsupported protocol version")
			return
		}
		rest = rest[1:]
	}
	name := r.me.Name
	for len(rest) > 0 {
		switch {
		case is(rest[0], "auth") && len(rest) > 2:
			if string(rest[1]) != "default" {
				r.fail(errPassword)
				return
			}
			rest = rest[3:]
		case is(rest[0], "setname") && len(rest) > 1:
			if name = string(rest[1]); !r.validName(name) {
				return
			}
			rest = rest[2:]
		default:
			r.fail("ERR Syntax error in HELLO option '" + string(rest[0]) + "'")
			return
		}
	}
	r.setName(name)
	r.sayArray(14)
	r.sayPair("server", "redis")
	r.sayPair("version", version7)
	r.sayBulk("proto")
	r.sayInt(int(version))
	r.sayBulk("id")
	r.sayInt(int(number(r.id)))
	r.sayPair("mode", "standalone")
	r.sayPair("role", "master")
	r.sayBulk("modules")
	r.sayArray(0)
}

// version7 is the Redis whose commands these are.
const version7 = "7.0.15"

func (r *run) sayPair(name, value string) {
	r.sayBulk(name)
	r.sayBulk(value)
}

func (r *run) validName(name string) bool {
	for _, c := range []byte(name) {
		if c < '!' || c > '~' {
			r.fail("ERR Client names cannot contain spaces, newlines or special characters.")
			return false
		}
	}
	return true
}

func (r *run) setName(name string) {
	if name != r.me.Name {
		r.me.Name = name
		r.saveSession()
	}
}

func (r *run) client() {
	switch lower(r.args[1]) {
	case "id":
		r.sayInt(int(number(r.id)))
	case "getname":
		r.sayMaybe(r.me.Name, r.me.Name != "")
	case "setname":
		if name := string(r.args[2]); r.validName(name) {
			r.setName(name)
			r.sayOK()
		}
	case "setinfo":
		r.clientSetInfo()
	case "info":
		r.sayBulk(r.describe(r.id, r.me) + "\n")
	case "list":
		var b strings.Builder
		for id, who := range r.s.state.Sessions.All() {
			b.WriteString(r.describe(id, who) + "\n")
		}
		r.sayBulk(b.String())
	default: // no-evict, no-touch: nothing is ever evicted, and nobody asks when a key was last touched
		if is(r.args[2], "on") || is(r.args[2], "off") {
			r.sayOK()
		} else {
			r.fail(errSyntax)
		}
	}
}

func (r *run) clientSetInfo() {
	switch {
	case is(r.args[2], "lib-name"):
		r.me.Library = string(r.args[3])
	case is(r.args[2], "lib-ver"):
		r.me.Version = string(r.args[3])
	default:
		r.fail("ERR Unrecognized option '" + string(r.args[2]) + "'")
		return
	}
	r.saveSession()
	r.sayOK()
}

// describe is a line of CLIENT LIST. The address of others is not ours to tell: a backup does not know it.
func (r *run) describe(id uint64, s Session) string {
	addr := "?"
	if id == r.id {
		addr = r.c.Remote()
	}
	multi, flags := -1, "N"
	if s.Multi {
		multi, flags = s.Queued, "x"
	}
	return fmt.Sprintf("id=%d addr=%s name=%s age=%d flags=%s db=%d multi=%d resp=2 lib-name=%s lib-ver=%s",
		number(id), addr, s.Name, (r.ks.Now()-s.Since)/1000, flags, s.DB, multi, s.Library, s.Version)
}

func (r *run) quit() {
	r.c.Hangup()
	r.sayOK()
}

func (r *run) reset() {
	r.endTransaction()
	r.me = Session{Since: r.me.Since}
	r.saveSession()
	r.db = r.ks.DB(0)
	r.out = resp.AppendSimple(r.out, "RESET")
}
