// Where QEMU differs from the specification, or both may do as they like: what is not compared or not made, each with its
// source. "Priv" and "Unpriv" are the specification's two volumes, version 20250508; QEMU is 10.0.

/** Bits of a CSR that are left out of digests; random code does not keep what it reads from such a register. */
export interface BlindBits {
  readonly csr: string;
  readonly bits: bigint;
  readonly because: string;
}

export const blindBits: readonly BlindBits[] = [
  {
    csr: "menvcfg",
    bits: 1n << 60n,
    because: "Priv §3.1.18: CDE is read-only zero without Smcdeleg; QEMU lets it be written with smcdeleg=off",
  },
  {
    csr: "sip",
    bits: 1n << 5n,
    because: "Priv §10.1.1.1: STIP is what stimecmp says; QEMU reads it as zero in sip while menvcfg.STCE is set",
  },
  ...["mtopi", "stopi"].map((csr) => ({
    csr,
    bits: 0xffn,
    because:
      "AIA §5.2.2, §5.4.2: without a priority number the field is 0 or 255; QEMU shows its place in the default order",
  })),
];

/** CSRs that random code leaves alone, and whose values it does not keep. */
export const freeCsrs: readonly { readonly names: RegExp; readonly because: string }[] = [
  {
    names: /^mhpm(event|counter)/,
    because: "Priv §3.1.10: selectors of events are WARL; QEMU keeps what is written, here they are zero",
  },
  {
    names: /^[ms]envcfg$/,
    because: "Priv §3.1.18: CBIE is WARL; QEMU keeps the reserved value 2. STIP changes with STCE there only later",
  },
  {
    names: /^[ms]ireg$/,
    because: "AIA §5.1: equal priority numbers leave it to the default order; QEMU takes the higher number then",
  },
  {
    names: /^(mvip|mvien)$/,
    because: "AIA §5.3: which bits can be written is free; here all local interrupts, in QEMU counter overflow alone",
  },
  {
    names: /^stimecmp$/,
    because: "Priv §3.1.18: without menvcfg.STCE, stimecmp does not set STIP; in QEMU a write of it does",
  },
];

/** CSRs that random code does not touch. */
export const untouchedCsrs: readonly { readonly names: RegExp; readonly because: string }[] = [
  {
    names: /^m?hpm(counter|event)(19|2\d|3\d)h?$/,
    because: "Unpriv Zihpm: an unimplemented counter is a constant or illegal; here it is zero, in QEMU illegal",
  },
];

/** CSRs that random code writes only with bits that both know. */
export const boundedCsrs: readonly { readonly name: string; readonly bits: bigint; readonly because: string }[] = [
  ...["mip", "mie", "sie"].map((name) => ({
    name,
    bits: 0xaaan,
    because: "Priv §3.1.9: bits of interrupts that do not exist are zero; QEMU has those of H with h=off",
  })),
  ...["sepc", "mepc"].map((name) => ({
    name,
    bits: ~1n,
    because: "Priv §3.1.14: bit 0 is always zero; QEMU keeps it",
  })),
];

/** Instructions whose trap value as an illegal instruction is not compared, by opcode (bits 6:0). */
export const blindTrapValues: readonly { readonly opcode: number; readonly because: string }[] = [
  {
    opcode: 0x0f,
    because: "Sstvala: the value is the instruction; QEMU gives zero or an earlier one for cbo.* that xenvcfg refuses",
  },
  {
    opcode: 0x73,
    because: "Sstvala: the value is the instruction; QEMU gives an earlier one where mret, sret or wfi is refused",
  },
];

/** Instructions that programs do not contain. */
export const unmadeInstructions: readonly { readonly names: RegExp; readonly because: string }[] = [
  {
    names: /^wrs\.nto$/,
    because:
      "Unpriv §14.3: with mstatus.TW it may end at once or, after any time, be illegal; here the one, in QEMU the other",
  },
  {
    names: /^froundnx\./,
    because: "Unpriv Zfa: it sets NX; QEMU's translator leaves it out where its result is overwritten, with the flag",
  },
  {
    names: /^fcvt\.s\.bf16$/,
    because: "Unpriv Zfbfmin: what is not boxed is the canonical NaN of BF16; QEMU takes that of half precision for it",
  },
];

/** What programs do not contain at all. */
export const unmade: readonly { readonly what: string; readonly because: string }[] = [
  {
    what: "misaligned atomic operations",
    because: "Unpriv §13.4: a store/AMO exception (6); QEMU on one thread raises that of a load (4)",
  },
  {
    what: "misaligned store-conditionals",
    because: "Unpriv §13.2: an exception (6), with or without a reservation; QEMU fails them without one",
  },
  {
    what: "writes of mstatus.UXL",
    because: "Priv §3.1.6.3: a WARL field, 64 bits here; QEMU takes any value, and its translator stops over some",
  },
  {
    what: "store-conditionals of another width than the load-reserved before",
    because: "Unpriv §13.2: they may succeed or fail; QEMU compares as many bytes as they have, Ratite all",
  },
  {
    what: "cbo.* on addresses that are not aligned to a block",
    because: "Unpriv §19.4.2: the value of an exception is rs1; QEMU gives the block's address",
  },
  {
    what: "cbo.* where there is no memory",
    because: "Unpriv §19.4.2: a store/AMO access fault where neither load nor store is permitted; QEMU does nothing",
  },
  {
    what: "instructions from f to x registers while mstatus.FS is Initial or Clean",
    because: "Priv §3.1.6.6: a changed fcsr makes FS Dirty; QEMU leaves it for comparisons and conversions",
  },
  {
    what: "more than one interrupt to choose from",
    because:
      "Priv §3.1.9: MEI, MSI, MTI, SEI, SSI, STI in this order; QEMU takes the lowest number. AIA §5.4.1: software's SEIP " +
      "comes after all numbers; in QEMU before",
  },
  {
    what: "atomic operations under random PMP entries, or where there is no memory",
    because:
      "Priv §3.7.1, §10.3.2: translation comes first; QEMU on one thread checks the load by PMP before the store by PTE",
  },
  {
    what: "page tables where there is no memory",
    because: "Priv §10.3.2: an access fault of the original access; QEMU raises a page fault",
  },
  {
    what: "pages without A that are code, or data that cannot be written",
    because:
      "Priv §10.3.1: A may be set without an access; QEMU does so for code ahead, and for refused atomic operations",
  },
  {
    what: "bits 63:54 of pmpaddr",
    because: "Priv §3.7.1: they are zero; QEMU keeps them",
  },
  {
    what: "writes of fcsr while mstatus.FS is Initial or Clean",
    because:
      "Priv §3.1.6.6: FS may become Dirty without a change; it does here, in QEMU not where no bit is set or cleared",
  },
  {
    what: "cbo.* under random PMP entries",
    because: "Priv §3.7.1: an access that an entry matches in part fails; QEMU does not look at all of a cache block",
  },
  {
    what: "sfence.w.inval and sfence.inval.ir in U-mode",
    because: "Priv §11 (Svinval): they are illegal there; QEMU lets them pass",
  },
  {
    what: "reserved uses of N in leaves without A and D",
    because: "Priv §12 (Svnapot): they are page faults; QEMU sets A and D before it finds out",
  },
  {
    what: "memory type 3 in leaves",
    because: "Priv §13 (Svpbmt): the reserved type is a page fault; QEMU takes it",
  },
  {
    what: "amocas with x0 as destination",
    because: "Unpriv §15.1: it compares with zero and writes nothing; QEMU's translator writes its constant zero",
  },
  {
    what: "wild fetches from the windows of PCI",
    because:
      "QEMU's board answers there with ones, as the bus does, and runs them; Ratite does not run what is not memory",
  },
];

/** What programs do contain although it is so rare that leaving it out would cost more: a difference of this kind is no finding. */
export const rare: readonly { readonly what: string; readonly because: string }[] = [
  {
    what: "a refused wfi, mret or sret over a page boundary, in code that ran at another virtual address before",
    because: "Priv §3.1.14: mepc is its address; QEMU takes the page from the next one, so that it is 4096 too much",
  },
];
