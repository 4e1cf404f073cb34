// Command purchase shows why a process pair needs an update point right before a write that cannot be repeated: the credit
// purchase of NonStop's manual (Guardian Programmer's Guide, 27-20 to 27-23).
//
// Account 12345 owes 485, its limit is 500, and somebody buys for 10. The primary is killed after every single step, once
// with two update points and once with three, and the table says what became of the purchase:
//
//	go run ./examples/purchase
//
// The server is server.go, a pair written by hand; table.go runs real pairs of it and kills them.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(context.Background(), os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "purchase")
	if err == nil {
		err = printTable(os.Stdout, func(points int, at step) (result, error) {
			return buy(context.Background(), filepath.Join(dir, fmt.Sprint(points, "-", int(at))), points, at)
		})
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}

const explanation = `
With two update points a primary that dies after the write leaves its backup with the input, and the backup begins again from
there: it reads a balance of 495, in which the purchase is contained already, finds that 505 is above the limit, and refuses
what has been paid for. To repeat is not enough when the work reads what its own write has changed.

The third update point hands over the record that is about to be written, and where. A backup that takes over there does
not compute again: it writes the same record to the same place, which changes nothing if it is there already.
`
