//go:build !amd64

package checkpoint

const hasSumShort = false

func sumShort(*[recordHeader]byte, []byte) uint32 { panic("unreachable") }

func copySumShort(*byte, *[recordHeader]byte, []byte) uint32 { panic("unreachable") }
