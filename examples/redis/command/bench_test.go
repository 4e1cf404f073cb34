package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// BenchmarkRequest is all that a member of the pair does for a request between reading it and replying, without the
// pair itself: finding it in the bytes, executing it, and encoding the changes for the backup. Keys and elements are drawn
// from 10,000.
func BenchmarkRequest(b *testing.B) {
	for _, x := range []struct{ name, line string }{
		{"PING", "PING"},
		{"GET", "GET key:%012d"},
		{"SET", "SET key:%012d xxx"},
		{"INCR", "INCR counter:%012d"},
		{"LPUSH", "LPUSH list element:%012d"},
		{"RPOP", "RPOP long"},
		{"SADD", "SADD set element:%012d"},
		{"HSET", "HSET hash element:%012d xxx"},
		{"ZADD", "ZADD zset %[1]d element:%[1]012d"},
		{"ZRANK", "ZRANK ranks element:%012d"},
		{"LRANGE_100", "LRANGE range 0 99"},
		{"LRANGE_600", "LRANGE range 0 599"},
		{"MSET_10", "MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9 j 10"},
	} {
		b.Run(x.name, func(b *testing.B) {
			f := newFake()
			requests := make([][]byte, 10_000)
			for i := range requests {
				line, _, _ := strings.Cut(fmt.Sprintf(x.line, i), "%!(EXTRA")
				requests[i] = request(strings.Fields(line)...)
				f.do(1, "RPUSH", "long", "xxx")
				f.do(1, "ZADD", "ranks", fmt.Sprint(i), fmt.Sprintf("element:%012d", i))
				if i < 600 {
					f.do(1, "RPUSH", "range", "xxx")
				}
			}
			c := f.call(1)
			reply := make([]byte, 0, 1<<16)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := requests[i%len(requests)]
				n, _ := resp.Cut(q, maxValue)
				f.store.Begin()
				reply = f.Handle(c, q[:n], reply[:0])
				_ = f.store.Changes()
				f.store.Commit()
			}
		})
	}
}
