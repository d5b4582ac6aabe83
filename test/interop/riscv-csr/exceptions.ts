// Where CSRs may differ from QEMU's, each with the reason. A register's number and its field are enough to say where; what the
// specification (privileged 1.13 unless another is named) says is what is done here.

export interface CsrException {
  readonly reason: string;
  readonly numbers: readonly number[];
  /** Only what is read before anything is written. */
  readonly readOnly?: true;
  /** QEMU has it and this machine does not, or the other way around. */
  readonly presence?: true;
  /** Bits that may differ; all of them when this is absent. */
  readonly bits?: bigint;
  /** True when this pair is as it may be, in the place of `bits`. */
  readonly allows?: (theirs: bigint, ours: bigint) => boolean;
}

const rows = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);
const eachByte = (value: bigint): bigint[] => rows(0, 8).map((i) => (value >> BigInt(8 * i)) & 0xffn);

export const csrExceptions: readonly CsrException[] = [
  { reason: "time passes", numbers: [0xb00, 0xb02, 0xc00, 0xc01, 0xc02] },
  { reason: "entropy is random", numbers: [0x015] },
  {
    reason: "UXL is 2 here, always; QEMU takes every value (§3.1.6.3)",
    numbers: [0x100, 0x300],
    bits: 3n << 32n,
  },
  { reason: "2 in CBIE is reserved and leaves it as it was (§3.1.18)", numbers: [0x10a, 0x30a], bits: 0x30n },
  { reason: "CDE comes with Smcdeleg, which is not there", numbers: [0x30a], bits: 1n << 60n },
  { reason: "the lowest bit of mepc and sepc is zero (§3.1.14)", numbers: [0x141, 0x341], bits: 1n },
  {
    reason: "a page table where no memory is gives access faults (§10.3.2, step 2)",
    numbers: [0x180],
    allows: (theirs, ours) => theirs === 12n && ours === 1n,
  },
  {
    reason: "what cannot occur or not be delegated is read-only zero in medeleg (§3.1.8)",
    numbers: [0x302],
    bits: 0xf40c00n,
  },
  {
    reason: "interrupts of the hypervisor extension, counters' overflows and local ones are not there (§3.1.9)",
    numbers: [0x104, 0x144, 0x303, 0x304, 0x344],
    bits: 0xffff_ffff_ffff_e444n,
  },
  {
    reason: "mtimecmp begins with all ones, so that MTIP begins with zero (§3.2.1 leaves it open)",
    numbers: [0x344],
    bits: 0x80n,
  },
  {
    reason: "STIP was set while STCE was, and QEMU keeps it",
    numbers: [0x309, 0x344],
    readOnly: true,
    bits: 0x20n,
  },
  {
    reason: "every bit that mvien can have is writable in mvip, whatever mvien has (AIA 1.0, §5.3)",
    numbers: [0x309],
    bits: 0xffff_ffff_ffff_e000n,
  },
  { reason: "P1P13 guards a register of the hypervisor extension (Smstateen)", numbers: [0x30c], bits: 1n << 56n },
  { reason: "the upper halves of sstateen0 to 3 are read-only zero (Ssstateen)", numbers: [0x10c], bits: 3n << 62n },
  { reason: "mstateen0h to 3h are RV32's alone (Smstateen)", numbers: rows(0x31c, 4), presence: true },
  {
    reason: "bits 5 and 6 of a PMP configuration are zero, and W without R is reserved (§3.7.1)",
    numbers: [0x3a0, 0x3a2],
    allows: (theirs, ours) => {
      const mine = eachByte(ours);
      return eachByte(theirs).every((byte, i) => (byte & 3n) === 2n || (byte & 0x9fn) === mine[i]);
    },
  },
  { reason: "PMP addresses have 54 bits (§3.7.1)", numbers: rows(0x3b0, 16), bits: 0x3ffn << 54n },
  {
    reason: "the highest bits of events come with Sscofpmf, which is not there",
    numbers: rows(0x323, 16),
    bits: 0xffn << 56n,
  },
  { reason: "events of counters that count nothing are read-only zero (§3.1.11)", numbers: rows(0x333, 13) },
  {
    reason: "counters 19 to 31 are there and read-only zero (§3.1.11)",
    numbers: [...rows(0xb13, 13), ...rows(0xc13, 13)],
    presence: true,
  },
  { reason: "QEMU keeps bits of mseccfg that mean nothing (Smepmp, Zkr)", numbers: [0x747], bits: ~0x307n },
  { reason: "G in misa is reserved (§3.1.1)", numbers: [0x301], bits: 1n << 6n },
];
