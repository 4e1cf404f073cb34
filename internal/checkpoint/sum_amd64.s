#include "textflag.h"

// func sumShort(header *[24]byte, payload []byte) uint32
//
// A CRC32Q depends on the one before and takes three cycles, but one can begin in every cycle: AX goes over the front half,
// BX over the rest, DX over the header.
TEXT ·sumShort(SB), NOSPLIT|NOFRAME, $0-36
	MOVQ header+0(FP), R9
	MOVQ payload_base+8(FP), SI
	MOVQ payload_len+16(FP), CX
	MOVL $-1, AX
	MOVL $-1, BX
	MOVL $-1, DX
	CRC32Q 0(R9), DX
	MOVQ CX, R8
	SHRQ $4, R8               // words of the front half
	LEAQ (SI)(R8*8), DI       // where the rest begins
	CRC32Q 8(R9), DX
	MOVQ R8, R10
	SHLQ $4, R10
	SUBQ R10, CX              // bytes of the rest beyond as many words
	CRC32Q 16(R9), DX
	SUBQ $2, R8
	JLT  one

two:
	CRC32Q 0(SI), AX
	CRC32Q 0(DI), BX
	CRC32Q 8(SI), AX
	CRC32Q 8(DI), BX
	ADDQ $16, SI
	ADDQ $16, DI
	SUBQ $2, R8
	JGE  two

one:
	ADDQ $1, R8               // 0: one word is left in each
	JNE  tail
	CRC32Q 0(SI), AX
	CRC32Q 0(DI), BX
	ADDQ $8, DI

tail:
	SUBQ $8, CX
	JLT  bytes
	CRC32Q 0(DI), BX
	ADDQ $8, DI
	SUBQ $8, CX

bytes:
	ADDQ $8, CX
	JZ   done

byte:
	CRC32B 0(DI), BX
	INCQ   DI
	DECQ   CX
	JNZ    byte

done:
	NOTL AX
	NOTL BX
	NOTL DX
	ROLL $1, AX
	ROLL $2, BX
	XORL AX, DX
	XORL BX, DX
	MOVL DX, ret+32(FP)
	RET

// func copySumShort(dst *byte, header *[24]byte, payload []byte) uint32
//
// sumShort, and every word goes to dst on its way.
TEXT ·copySumShort(SB), NOSPLIT|NOFRAME, $0-44
	MOVQ dst+0(FP), R11
	MOVQ header+8(FP), R9
	MOVQ payload_base+16(FP), SI
	MOVQ payload_len+24(FP), CX
	MOVL $-1, AX
	MOVL $-1, BX
	MOVL $-1, DX
	CRC32Q 0(R9), DX
	MOVQ CX, R8
	SHRQ $4, R8
	LEAQ (SI)(R8*8), DI
	LEAQ (R11)(R8*8), R12
	CRC32Q 8(R9), DX
	MOVQ R8, R10
	SHLQ $4, R10
	SUBQ R10, CX
	CRC32Q 16(R9), DX
	SUBQ $2, R8
	JLT  one

two:
	MOVQ 0(SI), R13
	MOVQ 0(DI), R15
	CRC32Q R13, AX
	CRC32Q R15, BX
	MOVQ R13, 0(R11)
	MOVQ R15, 0(R12)
	MOVQ 8(SI), R13
	MOVQ 8(DI), R15
	CRC32Q R13, AX
	CRC32Q R15, BX
	MOVQ R13, 8(R11)
	MOVQ R15, 8(R12)
	ADDQ $16, SI
	ADDQ $16, DI
	ADDQ $16, R11
	ADDQ $16, R12
	SUBQ $2, R8
	JGE  two

one:
	ADDQ $1, R8
	JNE  tail
	MOVQ 0(SI), R13
	MOVQ 0(DI), R15
	CRC32Q R13, AX
	CRC32Q R15, BX
	MOVQ R13, 0(R11)
	MOVQ R15, 0(R12)
	ADDQ $8, DI
	ADDQ $8, R12

tail:
	SUBQ $8, CX
	JLT  bytes
	MOVQ 0(DI), R15
	CRC32Q R15, BX
	MOVQ R15, 0(R12)
	ADDQ $8, DI
	ADDQ $8, R12
	SUBQ $8, CX

bytes:
	ADDQ $8, CX
	JZ   done

byte:
	MOVB 0(DI), R15
	CRC32B R15, BX
	MOVB R15, 0(R12)
	INCQ   DI
	INCQ   R12
	DECQ   CX
	JNZ    byte

done:
	NOTL AX
	NOTL BX
	NOTL DX
	ROLL $1, AX
	ROLL $2, BX
	XORL AX, DX
	XORL BX, DX
	MOVL DX, ret+40(FP)
	RET
