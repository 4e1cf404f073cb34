#include "textflag.h"

// func sumShort(crc uint32, b []byte) uint32
//
// One CRC32Q depends on the one before and takes three cycles: the loop is as fast as that chain, and records
// begin at a multiple of eight bytes, so there is nothing to align first.
TEXT ·sumShort(SB), NOSPLIT|NOFRAME, $0-36
	MOVQ b_base+8(FP), SI
	MOVQ b_len+16(FP), CX
	MOVL crc+0(FP), AX
	NOTL AX
	SUBQ $32, CX
	JLT  words

four:
	CRC32Q 0(SI), AX
	CRC32Q 8(SI), AX
	CRC32Q 16(SI), AX
	CRC32Q 24(SI), AX
	ADDQ   $32, SI
	SUBQ   $32, CX
	JGE    four

words:
	ADDQ $24, CX // 8 less than what is left
	JLT  bytes

word:
	CRC32Q 0(SI), AX
	ADDQ   $8, SI
	SUBQ   $8, CX
	JGE    word

bytes:
	ADDQ $8, CX
	JZ   done

byte:
	CRC32B 0(SI), AX
	INCQ   SI
	DECQ   CX
	JNZ    byte

done:
	NOTL AX
	MOVL AX, ret+32(FP)
	RET
