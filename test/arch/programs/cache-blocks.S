// Zicbom and Zicboz: what they do, what they take below machine mode (unprivileged spec §19; privileged spec §3.1.18, §10.1.10).
#include "arch.h"
#define MENVCFG 0x30a
#define SENVCFG 0x10a
#define CBIE 0x30
#define CBCFE 0x40
#define CBZE 0x80
  .text
  .globl main
main:
  .option arch, +zicbom, +zicboz
  la t2, block + 67
  case 1 // the whole block of an address becomes zero, and no more
  la t0, block
  li t1, -1
  sd t1, 56(t0)
  sd t1, 64(t0)
  sd t1, 120(t0)
  sd t1, 128(t0)
  cbo.zero (t2)
  ld t1, 56(t0)
  expect t1, -1
  ld t1, 64(t0)
  expect t1, 0
  ld t1, 120(t0)
  expect t1, 0
  ld t1, 128(t0)
  expect t1, -1
  case 2 // management changes no byte
  cbo.clean (t0)
  cbo.flush (t0)
  cbo.inval (t0)
  ld t1, 56(t0)
  expect t1, -1
  case 3 // below machine mode by leave of menvcfg, and in user mode of senvcfg too
  csrw MENVCFG, zero
  csrw SENVCFG, zero
  mode_must_trap SUPERVISOR, ILLEGAL, "cbo.zero (t2)"
  mode_must_trap SUPERVISOR, ILLEGAL, "cbo.clean (t2)"
  mode_must_trap SUPERVISOR, ILLEGAL, "cbo.flush (t2)"
  mode_must_trap SUPERVISOR, ILLEGAL, "cbo.inval (t2)"
  mode_must_trap USER, ILLEGAL, "cbo.zero (t2)"
  li t0, CBIE | CBCFE | CBZE
  csrw MENVCFG, t0
  mode_must_not_trap SUPERVISOR, "cbo.zero (t2)"
  mode_must_not_trap SUPERVISOR, "cbo.clean (t2)"
  mode_must_not_trap SUPERVISOR, "cbo.flush (t2)"
  mode_must_not_trap SUPERVISOR, "cbo.inval (t2)"
  mode_must_trap USER, ILLEGAL, "cbo.zero (t2)"
  mode_must_trap USER, ILLEGAL, "cbo.inval (t2)"
  li t0, CBIE | CBCFE | CBZE
  csrw SENVCFG, t0
  mode_must_not_trap USER, "cbo.zero (t2)"
  mode_must_not_trap USER, "cbo.clean (t2)"
  mode_must_not_trap USER, "cbo.inval (t2)"
  csrw MENVCFG, zero
  mode_must_trap USER, ILLEGAL, "cbo.zero (t2)"
  case 4 // prefetches are hints for any address
  li t0, -1
  .4byte 0x0002e013 | (0 << 20)
  .4byte 0x0012e013
  .4byte 0x0032e013
  j pass

  .data
  .balign 64
block: .skip 256
