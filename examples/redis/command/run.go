package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// command is one row of the table: what COMMAND tells of it, and what executes it.
type command struct {
	name              string
	arity             int // arguments with the name; negative: at least
	flags             string
	first, last, step int // which arguments are keys; last counts from the end if negative
	run               func(*run)
}

// subcommand is a word that has to follow the name of a command.
type subcommand struct {
	of, name string
	arity    int // as that of a command, whose name counts too
}

// known is a command with its subcommands.
type known struct {
	command
	subs []subcommand
}

func wrong(arity, n int) bool { return n < -arity || arity > 0 && n != arity }

// run is one command being executed.
type run struct {
	s       *Server
	ks      *keyspace.Keyspace
	c       Call
	db      keyspace.DB
	id      uint64 // of the connection
	me      Session
	request []byte
	args    [][]byte // the name of the command comes first
	out     []byte   // the reply
	nested  bool     // in EXEC
}

// Errors with the words of Redis.
const (
	errWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errSyntax    = "ERR syntax error"
	errInteger   = "ERR value is not an integer or out of range"
	errFloat     = "ERR value is not a valid float"
	errPositive  = "ERR value is out of range, must be positive"
	errRange     = "ERR value is out of range"
	errNoKey     = "ERR no such key"
	errIndex     = "ERR index out of range"
	errDB        = "ERR DB index is out of range"
	errOverflow  = "ERR increment or decrement would overflow"
	errTooLong   = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errNaN       = "ERR increment would produce NaN or Infinity"
	errMinMax    = "ERR min or max is not a float"
	errLexRange  = "ERR min or max not valid string range item"
)

// execute answers the request: it is queued in a transaction, else run.
func (r *run) execute() {
	cmd := r.lookup()
	if cmd == nil {
		r.refuse(r.unknown())
		return
	}
	if wrong(cmd.arity, len(r.args)) {
		if cmd.name == "exec" {
			r.endTransaction()
			r.fail("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(wrongArity(cmd.name), "ERR "))
			return
		}
		r.refuse(wrongArity(cmd.name))
		return
	}
	if len(cmd.subs) > 0 && len(r.args) > 1 && !r.subcommand(cmd) {
		return
	}
	if r.me.Multi && !r.nested && !strings.Contains(immediate, " "+cmd.name+" ") {
		r.enqueue()
		return
	}
	cmd.run(r)
}

// immediate lists the commands that are not queued in a transaction.
const immediate = " exec discard multi watch quit reset "

// longestName is the length of the longest name of a command.
const longestName = 16

// lookup finds the command of the request, whatever the case of its name.
func (r *run) lookup() *known {
	var buf [longestName]byte
	name := r.args[0]
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return r.s.table[string(buf[:len(name)])]
}

// subcommand reports whether a command has the subcommand that it is given, and answers if not.
func (r *run) subcommand(cmd *known) bool {
	sub := lower(r.args[1])
	for _, s := range cmd.subs {
		if s.name == sub {
			if wrong(s.arity, len(r.args)) {
				r.refuse(wrongArity(cmd.name + "|" + sub))
				return false
			}
			return true
		}
	}
	r.refuse(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", shown(r.args[1], repeated), strings.ToUpper(cmd.name)))
	return false
}

// refuse answers with an error; a transaction that this should have been a part of will fail.
func (r *run) refuse(text string) {
	if r.me.Multi && !r.nested && !r.me.Failed {
		r.me.Failed = true
		r.saveSession()
	}
	r.fail(text)
}

// How much of an unknown command an error repeats, in bytes.
const repeated = 128

func (r *run) unknown() string {
	name := strings.ToLower(string(r.args[0]))
	for _, what := range notCovered {
		if strings.Contains(what.names, " "+name+" ") {
			return fmt.Sprintf("ERR '%s' is not covered by this server: it has no %s", name, what.kind)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ERR unknown command '%s', with args beginning with: ", shown(r.args[0], repeated))
	at := b.Len()
	for _, a := range r.args[1:] {
		if left := repeated - (b.Len() - at); left > 0 {
			fmt.Fprintf(&b, "'%s' ", shown(a, left))
		}
	}
	return b.String()
}

// shown is what C shows of an argument: up to a zero byte, and not more than most.
func shown(arg []byte, most int) []byte {
	arg, _, _ = bytes.Cut(arg, []byte{0})
	return arg[:min(len(arg), most)]
}

// notCovered lists what Redis has and this server has not.
var notCovered = [...]struct{ kind, names string }{
	{"blocking commands", " blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop "},
	{"publish and subscribe", " publish subscribe unsubscribe psubscribe punsubscribe pubsub spublish ssubscribe sunsubscribe monitor "},
	{"scripts and functions", " eval evalsha eval_ro evalsha_ro script function fcall fcall_ro "},
	{"streams", " xadd xack xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim "},
	{"replication and cluster: a pair has its own", " replicaof slaveof psync sync replconf cluster failover "},
	{"snapshots on disk: its backup is its memory", " save bgsave bgrewriteaof lastsave "},
}

func wrongArity(name string) string {
	return "ERR wrong number of arguments for '" + name + "' command"
}

// arity answers that the number of arguments is wrong, for commands whose table row cannot tell.
func (r *run) arity() { r.fail(wrongArity(strings.ToLower(string(r.args[0])))) }

// fail answers with an error.
func (r *run) fail(text string) { r.out = resp.AppendError(r.out, text) }

// failed answers if there is an error.
func (r *run) failed(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, keyspace.ErrWrongType) {
		r.fail(errWrongType)
	} else {
		r.fail("ERR " + err.Error())
	}
	return true
}

func (r *run) sayOK()            { r.out = resp.AppendSimple(r.out, "OK") }
func (r *run) sayInt(n int)      { r.out = resp.AppendInt(r.out, int64(n)) }
func (r *run) sayArray(n int)    { r.out = resp.AppendArray(r.out, n) }
func (r *run) sayNull()          { r.out = resp.AppendNull(r.out) }
func (r *run) sayNullArray()     { r.out = resp.AppendNullArray(r.out) }
func (r *run) sayBulk(s string)  { r.out = resp.AppendBulk(r.out, s) }
func (r *run) sayBytes(b []byte) { r.out = resp.AppendBulk(r.out, b) }

func (r *run) sayBool(b bool) {
	if b {
		r.out = append(r.out, ":1\r\n"...)
	} else {
		r.out = append(r.out, ":0\r\n"...)
	}
}

// sayMaybe answers a string, or its absence.
func (r *run) sayMaybe(s string, found bool) {
	if found {
		r.sayBulk(s)
	} else {
		r.sayNull()
	}
}

// integer reads an argument, and answers with an error if it is no number.
func (r *run) integer(arg []byte) (n int64, ok bool) {
	if n, ok = resp.Integer(arg); !ok {
		r.fail(errInteger)
	}
	return n, ok
}

// positive reads an argument that counts something.
func (r *run) positive(arg []byte) (n int, ok bool) {
	v, ok := resp.Integer(arg)
	if !ok || v < 0 {
		r.fail(errPositive)
		return 0, false
	}
	return clamp(v), true
}

// clamp makes a count an int that nothing added to it can overflow.
func clamp(v int64) int { return int(min(max(v, -1<<60), 1<<60)) }

// is compares an argument with a word in lower case, whatever its own.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, c := range arg {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
