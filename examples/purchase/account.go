package main

import (
	"fmt"
	"os"
)

// account is one record of the account file. All lines have the same length, so that each has its place.
type account struct {
	Number, Balance, Limit int64
}

const (
	first      = 12345 // number of the first account in the file
	lineLength = 5 + 1 + 10 + 1 + 10 + 1
)

func (a account) line() []byte {
	return fmt.Appendf(nil, "%5d %10d %10d\n", a.Number, a.Balance, a.Limit)
}

// fetch reads an account and says where it stands.
func fetch(f *os.File, number int64) (a account, offset int64, err error) {
	offset = (number - first) * lineLength
	line := make([]byte, lineLength)
	if _, err := f.ReadAt(line, offset); err != nil {
		return a, 0, fmt.Errorf("cannot read account %d: %w", number, err)
	}
	if _, err := fmt.Sscan(string(line), &a.Number, &a.Balance, &a.Limit); err != nil || a.Number != number {
		return a, 0, fmt.Errorf("cannot read account %d: its line is %q", number, line)
	}
	return a, offset, nil
}
