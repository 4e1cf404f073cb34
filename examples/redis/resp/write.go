package resp

import "strconv"

// Text is what replies are made of.
type Text interface{ ~string | ~[]byte }

// AppendSimple appends a status such as OK. It must not contain a line end.
func AppendSimple(dst []byte, status string) []byte {
	return append(append(append(dst, '+'), status...), "\r\n"...)
}

// AppendError appends an error. Its text begins with a code in capitals; line ends in it become spaces, as in Redis.
func AppendError(dst []byte, text string) []byte {
	dst = append(dst, '-')
	at := len(dst)
	dst = append(dst, text...)
	for i, c := range dst[at:] {
		if c == '\r' || c == '\n' {
			dst[at+i] = ' '
		}
	}
	return append(dst, "\r\n"...)
}

// AppendInt appends an integer.
func AppendInt(dst []byte, n int64) []byte { return line(dst, ':', n) }

// AppendBulk appends a string of bytes.
func AppendBulk[T Text](dst []byte, s T) []byte {
	dst = line(dst, '$', int64(len(s)))
	return append(append(dst, s...), "\r\n"...)
}

// AppendArray appends the head of an array of n replies, which follow.
func AppendArray(dst []byte, n int) []byte { return line(dst, '*', int64(n)) }

// AppendNull appends the absence of a string.
func AppendNull(dst []byte) []byte { return append(dst, "$-1\r\n"...) }

// AppendNullArray appends the absence of an array.
func AppendNullArray(dst []byte) []byte { return append(dst, "*-1\r\n"...) }

func line(dst []byte, kind byte, n int64) []byte {
	dst = append(dst, kind)
	if 0 <= n && n < 10 {
		dst = append(dst, '0'+byte(n))
	} else {
		dst = strconv.AppendInt(dst, n, 10)
	}
	return append(dst, "\r\n"...)
}
