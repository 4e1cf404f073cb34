package codec_test

import (
	"fmt"
	"reflect"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

func ExampleFor() {
	type account struct {
		Owner   string `msgpack:"owner"`
		Balance int64  `msgpack:"balance"`
	}
	accounts, numbers := codec.For[account](), codec.For[uint32]()
	b, _ := accounts.Append(nil, account{"ada", 5})
	b, _ = numbers.Append(b, 42) // values need nothing between them
	a, rest, err := accounts.Decode(b)
	fmt.Println(a, err)
	n, _, err := numbers.Decode(rest)
	fmt.Println(n, err)
	// Output:
	// {ada 5} <nil>
	// 42 <nil>
}

func ExampleCheck() {
	type account struct {
		Owner   string
		balance int64
	}
	_ = account{balance: 1}
	fmt.Println(codec.Check(reflect.TypeFor[account]()))
	// Output: codec_test.account.balance is not exported and would be lost; if that is meant, tag it `msgpack:"-"`
}
