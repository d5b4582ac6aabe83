// The control and status registers that firmware sets up (privileged specification 1.13, chapter 2), by number.

export const Csr = {
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  sscratch: 0x140,
  stimecmp: 0x14d,
  satp: 0x180,
  mstatus: 0x300,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mvien: 0x308,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  mvendorid: 0xf11,
  marchid: 0xf12,
  mimpid: 0xf13,
} as const;
