package resp

import "bytes"

// Parse appends the arguments of a request to args. The request is one that Cut has found; it may have none, which is no
// request at all. The arguments of an array alias it. The error is a ProtocolError.
func Parse(request []byte, args [][]byte) ([][]byte, error) {
	if len(request) == 0 {
		return args, nil
	}
	if request[0] != '*' {
		return split(args, bytes.TrimSuffix(bytes.TrimSuffix(request, []byte("\n")), []byte("\r")))
	}
	_, at, err := number(request, 1, ErrCount, ErrCountTooLong)
	if err != nil {
		return args, err
	}
	for at > 0 && at < len(request) {
		size, next, err := bulk(request, at, len(request))
		if err != nil {
			return args, err
		}
		if at = next + size + 2; next == 0 || at > len(request) {
			return args, ErrBulkLen // nothing that Cut has found
		}
		args = append(args, request[next:next+size:next+size])
	}
	return args, nil
}

// split cuts an inline command into arguments, by the rules of Redis (sdssplitargs): double quotes know escapes, single
// quotes only that of themselves, and a closing quote ends the argument. A zero byte ends the line.
func split(args [][]byte, line []byte) ([][]byte, error) {
	line, _, _ = bytes.Cut(line, []byte{0})
	for {
		for len(line) > 0 && space(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return args, nil
		}
		arg, rest, ok := word(line)
		if !ok {
			return args, ErrQuotes
		}
		args, line = append(args, arg), rest
	}
}

func word(line []byte) (arg, rest []byte, ok bool) {
	arg = []byte{}
	for len(line) > 0 && !ends(line[0]) {
		quote := line[0]
		line = line[1:]
		if quote != '"' && quote != '\'' {
			arg = append(arg, quote)
			continue
		}
		for {
			if len(line) == 0 {
				return nil, nil, false
			}
			c := line[0]
			line = line[1:]
			if c == quote {
				break
			}
			if c == '\\' {
				c, line = escaped(quote, line)
			}
			arg = append(arg, c)
		}
		if len(line) > 0 && !space(line[0]) {
			return nil, nil, false
		}
		break
	}
	return arg, line, true
}

// escaped reads what follows a backslash in quotes.
func escaped(quote byte, line []byte) (c byte, rest []byte) {
	if quote == '\'' {
		if len(line) > 0 && line[0] == '\'' {
			return '\'', line[1:]
		}
		return '\\', line
	}
	if len(line) >= 3 && line[0] == 'x' {
		high, ok1 := hex(line[1])
		low, ok2 := hex(line[2])
		if ok1 && ok2 {
			return high<<4 | low, line[3:]
		}
	}
	if len(line) == 0 {
		return '\\', line
	}
	if i := bytes.IndexByte([]byte("nrtba"), line[0]); i >= 0 {
		return "\n\r\t\b\a"[i], line[1:]
	}
	return line[0], line[1:]
}

func hex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// space tells what may stand between two arguments.
func space(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// ends tells which of that ends an argument without quotes.
func ends(c byte) bool { return space(c) && c != '\v' && c != '\f' }
