package checkpoint

import "golang.org/x/sys/cpu"

var hasSumShort = cpu.X86.HasSSE42

// sumShort is sumLong with the processor's own instruction: see sum_amd64.s.
//
//go:noescape
func sumShort(header *[recordHeader]byte, payload []byte) uint32

// copySumShort copies payload to dst and returns its sumShort.
//
//go:noescape
func copySumShort(dst *byte, header *[recordHeader]byte, payload []byte) uint32
