package world

import (
	"fmt"
	"io"
	"time"
)

// Progress returns a function that says how far a run is: a line every now and then.
func Progress(w io.Writer) func(done, all int, what string) {
	began := time.Now()
	var last time.Time
	return func(done, all int, what string) {
		now := time.Now()
		if now.Sub(last) < progressEvery {
			return
		}
		last = now
		fmt.Fprintf(w, "%5.1f s  %d of %d  %s\n", now.Sub(began).Seconds(), done, all, what)
	}
}

const progressEvery = time.Second
