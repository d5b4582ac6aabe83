// How a program ends, in machine mode: a0 is 0, or the number of the case that failed, and a1 its row.
  .text
  .globl finish
finish:
  csrw satp, zero
  li t0, 0x100000
  bnez a0, 1f
  li t1, 0x5555
  sw t1, 0(t0)
0: j 0b
1:
  li s0, 'c'
  call put
  mv s0, a0
  call put_hex
  li s0, 'r'
  call put
  mv s0, a1
  call put_hex
  li s0, '\n'
  call put
  andi a0, a0, 0xff
  slli a0, a0, 16
  li t1, 0x3333
  or a0, a0, t1
  sw a0, 0(t0)
  j 0b

put_hex:
  mv s4, ra
  li s1, 28
2:
  srl s2, s0, s1
  andi s2, s2, 15
  li s3, 10
  blt s2, s3, 3f
  addi s2, s2, 'a' - '0' - 10
3:
  mv s5, s0
  addi s0, s2, '0'
  call put
  mv s0, s5
  addi s1, s1, -4
  bgez s1, 2b
  jr s4

put:
  li t2, 0x10000000
  sb s0, 0(t2)
  ret
