package filestate

// stepKind is one thing that Do does to the file.
type stepKind uint8

const (
	stepWrite  stepKind = iota + 1 // the data of op
	stepPunch                      // hole
	stepCut                        // the size becomes hole.from
	stepSync                       // an fsync is due, before the next rename or at the end
	stepRename                     // op, unless it or one of later has been done
)

type step struct {
	kind  stepKind
	op    *Op
	hole  span
	later []Op
}

// steps returns what is to be done for ops, in order.
//
// A truncate is done last, and to the final size only: in its place it would give away the space that was reserved for the
// writes behind it. What it cuts off and no such write covers becomes a hole in its place. A rename divides: what
// was planned before it is complete when the file gets its new name.
func steps(ops []Op) []step {
	var todo []step
	for len(ops) > 0 {
		head, rest := untilRename(ops)
		size, cut := sizeAfter(0, head), false // exact behind a truncate
		for i := range head {
			op := &head[i]
			switch op.Kind {
			case OpWrite:
				todo = append(todo, step{kind: stepWrite, op: op})
			case OpTruncate:
				cut = true
				for _, hole := range uncovered(span{op.Off, size}, head[i+1:]) {
					todo = append(todo, step{kind: stepPunch, op: op, hole: hole})
				}
			case OpSync:
				todo = append(todo, step{kind: stepSync, op: op})
			case OpRename:
				if cut {
					todo = append(todo, step{kind: stepCut, op: op, hole: span{from: size}})
				}
				todo = append(todo, step{kind: stepRename, op: op, later: rest})
				cut = false
			}
		}
		if cut {
			todo = append(todo, step{kind: stepCut, op: &head[len(head)-1], hole: span{from: size}})
		}
		ops = rest
	}
	return todo
}

// untilRename cuts ops behind its first rename.
func untilRename(ops []Op) (head, rest []Op) {
	for i := range ops {
		if ops[i].Kind == OpRename {
			return ops[:i+1], ops[i+1:]
		}
	}
	return ops, nil
}
