// Macros of the programs. A program has `main` and ends with `j pass` or `j fail`; its environment (machine.S or paged.S)
// starts it and reports. gp holds the number of the current case, s11 a row of its table; both are told at a failure.
// t5 and t6 are the macros' own.

  .option arch, +zfh, +svinval, +zawrs, +zihintpause

.macro case number
  li gp, \number
  li s11, 0
.endm

.macro expect register, value
  li t6, \value
  beq \register, t6, .Lequal\@
  j fail
.Lequal\@:
.endm

.macro expect_same register, other
  beq \register, \other, .Lequal\@
  j fail
.Lequal\@:
.endm

.macro expect_address register, label
  la t6, \label
  beq \register, t6, .Lequal\@
  j fail
.Lequal\@:
.endm

// For machine.S only. After a trap s1 to s4 hold cause, trap value, pc and status, and s5 tells who took it: 0 machine, 1
// supervisor mode; it goes on in machine mode behind the macro. s6 is where the code of the macro was.

.macro expect_trap_of code
  la s0, .Lafter\@
  la s6, .Lat\@
  li s1, -1
  li s5, 0
.Lat\@:
  .option push
  .option norvc
  \code
  .option pop
.Lafter\@:
  la s0, unexpected
.endm

.macro must_trap cause, code
  expect_trap_of "\code"
  expect s1, \cause
  expect_same s3, s6
.endm

.macro must_not_trap code
  expect_trap_of "\code"
  expect s1, -1
.endm

.macro enter mode, label
  la s0, .Lafter\@
  li s1, -1
  li s5, 0
  li t6, 0x1800
  csrc mstatus, t6
  li t6, \mode << 11
  csrs mstatus, t6
  la t6, \label
  csrw mepc, t6
  mret
.Lafter\@:
  la s0, unexpected
.endm

// Runs code in a mode (0 U, 1 S), up to its first trap or else to an ecall behind it.
.macro in_mode mode, code
  .pushsection .text.modes, "ax"
  .balign 4
.Lbody\@:
  .option push
  .option norvc
  \code
  ecall
  .option pop
  .popsection
  la s6, .Lbody\@
  enter \mode, .Lbody\@
.endm

.macro mode_must_trap mode, cause, code
  in_mode \mode, "\code"
  expect s1, \cause
  expect_same s3, s6
.endm

.macro mode_must_not_trap mode, code
  in_mode \mode, "\code"
  expect s1, 8 + \mode
.endm

#define USER 0
#define SUPERVISOR 1

#define FETCH_MISALIGNED 0
#define FETCH_ACCESS 1
#define ILLEGAL 2
#define BREAKPOINT 3
#define LOAD_MISALIGNED 4
#define LOAD_ACCESS 5
#define STORE_MISALIGNED 6
#define STORE_ACCESS 7
#define ECALL_U 8
#define ECALL_S 9
#define ECALL_M 11
#define FETCH_PAGE 12
#define LOAD_PAGE 13
#define STORE_PAGE 15
#define INTERRUPT (1 << 63)

#define SIE 0x2
#define MIE 0x8
#define SPIE 0x20
#define MPIE 0x80
#define SPP 0x100
#define MPP 0x1800
#define FS 0x6000
#define MPRV 0x20000
#define SUM 0x40000
#define MXR 0x80000
#define TVM 0x100000
#define TW 0x200000
#define TSR 0x400000

#define PTE_V 0x01
#define PTE_R 0x02
#define PTE_W 0x04
#define PTE_X 0x08
#define PTE_U 0x10
#define PTE_G 0x20
#define PTE_A 0x40
#define PTE_D 0x80

#define CLINT 0x2000000
#define MTIMECMP 0x2004000
#define MTIME 0x200bff8
