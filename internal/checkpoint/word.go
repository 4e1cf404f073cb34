package checkpoint

const (
	offsetBits = 48
	offsetMask = 1<<offsetBits - 1
	epochMask  = 1<<15 - 1
	byWriter   = 1 << 63
)

// packWord makes a commit word of an epoch and an absolute offset.
func packWord(epoch uint32, offset uint64) uint64 {
	return uint64(epoch&epochMask)<<offsetBits | offset&offsetMask
}

// stateOf tells the state of a log with the given base epoch from its commit word.
func stateOf(word uint64, base uint32) State {
	swapped := word&byWriter != 0
	switch uint32(word>>offsetBits) & epochMask {
	case base & epochMask:
		if swapped {
			return Closed
		}
		return Live
	case (base + 1) & epochMask:
		if swapped {
			return HandedOver
		}
		return Sealed
	case (base + 2) & epochMask:
		if swapped {
			return TakenBack
		}
	}
	return Broken
}

// distance is how far absolute offset to lies after from, modulo 2^48.
func distance(from, to uint64) uint64 { return (to - from) & offsetMask }
