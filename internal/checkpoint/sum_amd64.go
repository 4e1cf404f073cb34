package checkpoint

import "golang.org/x/sys/cpu"

var hasSumShort = cpu.X86.HasSSE42

// sumShort is crc32.Update(crc, castagnoli, b) with the processor's own instruction: see sum_amd64.s.
//
//go:noescape
func sumShort(crc uint32, b []byte) uint32
