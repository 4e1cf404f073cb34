package command

// match reports whether s matches a pattern of Redis: *, ?, [abc], [^abc], [a-z], and \ before what stands for itself. It
// takes time in proportion to the product of the lengths at worst.
func match(pattern, s string) bool {
	star, retry := -1, 0 // the last * and where it has to go on
	p, i := 0, 0
	for i < len(s) || p < len(pattern) {
		if p < len(pattern) && pattern[p] == '*' {
			star, retry = p, i
			p++
			continue
		}
		if i < len(s) {
			if size, ok := matchOne(pattern[p:], s[i]); ok {
				p, i = p+size, i+1
				continue
			}
		}
		if star < 0 || retry >= len(s) {
			return false
		}
		retry++
		p, i = star+1, retry
	}
	return true
}

// matchOne matches one character with the beginning of a pattern, and returns the length of that.
func matchOne(pattern string, c byte) (size int, ok bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return matchClass(pattern, c)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}

func matchClass(pattern string, c byte) (size int, ok bool) {
	p := pattern[1:]
	not := p != "" && p[0] == '^'
	if not {
		p = p[1:]
	}
	for {
		switch {
		case p == "": // not closed: as if it were
			return len(pattern), ok != not
		case p[0] == ']':
			return len(pattern) - len(p) + 1, ok != not
		case p[0] == '\\' && len(p) > 1:
			ok = ok || p[1] == c
			p = p[2:]
		case len(p) > 2 && p[1] == '-':
			low, high := min(p[0], p[2]), max(p[0], p[2])
			ok = ok || low <= c && c <= high
			p = p[3:]
		default:
			ok = ok || p[0] == c
			p = p[1:]
		}
	}
}
