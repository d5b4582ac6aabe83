// A hart's state in the machine's WebAssembly memory: registers, CSRs, and the flags that generated code tests.
import { commonFields, VcpuLayout } from "../../accel/index.ts";

/** Fields beside the register files; CSRs have their architectural names (privileged specification 1.13). */
export const csrFields: readonly string[] = [
  ...["mstatus", "medeleg", "mideleg", "mie", "mip", "mtvec", "mscratch", "mepc", "mcause", "mtval"],
  ...["mcounteren", "mcountinhibit", "menvcfg", "stvec", "sscratch", "sepc", "scause", "stval", "satp"],
  ...["scounteren", "senvcfg", "stimecmp", "pmpcfg0", "pmpcfg2"],
  ...["mseccfg", "mstateen0", "mstateen1", "mstateen2", "mstateen3"],
];

export const pmpEntryCount = 16;

/** Size of a block of the cache-block instructions (Zic64b). */
export const cacheBlockBytes = 64;

/** Bits of the field `fpFast`: what a floating-point instruction may take for granted without a slow path. */
export const FpFast = {
  /** mstatus.FS is Dirty: registers may be written. */
  dirty: 1,
  /** fflags.NX is already set: an inexact result raises nothing new. */
  inexact: 2,
  /** frm is round-to-nearest-even, so the dynamic rounding mode is the engine's own. */
  nearest: 4,
  /** mstatus.FS is not Off: registers may be read. */
  on: 8,
  /** Never set: what asks for it always takes the slow path. */
  never: 16,
} as const;

function buildLayout(): VcpuLayout {
  const layout = new VcpuLayout();
  // x0 reads as zero because nothing writes it: instructions with rd = x0 are decoded to write `xSink`.
  layout.add("x", "i64", 32);
  layout.add("xSink", "i64");
  layout.add("f", "f64", 32);
  for (const common of commonFields) layout.add(common.name, common.type, common.count);
  layout.add("reservationVa", "i64");
  layout.add("reservationValue", "i64");
  layout.add("fpFast", "i32");
  // 1 where the current mode may execute cbo.zero.
  layout.add("zeroing", "i32");
  // 1 where the current mode may access sstatus, and mip and the lines are all that can be pending.
  layout.add("statusOpen", "i32");
  layout.add("lines", "i32");
  layout.add("fpOp", "i32");
  layout.add("fcsr", "i32");
  for (const name of csrFields) layout.add(name, "i64");
  layout.add("pmpaddr", "i64", pmpEntryCount);
  return layout;
}

export const hartLayout: VcpuLayout = buildLayout();

const xBase = hartLayout.offset("x");
const fBase = hartLayout.offset("f");

/** Byte offset of x register `n` for reading. */
export function xOffset(n: number): number {
  return xBase + n * 8;
}

/** Byte offset of x register `n` for writing: x0 goes to the sink. */
export function xDestination(n: number): number {
  return n === 0 ? hartLayout.offset("xSink") : xBase + n * 8;
}

export function fOffset(n: number): number {
  return fBase + n * 8;
}

/** No reservation: an address that no aligned access has. */
export const noReservation = 0xffff_ffff_ffff_ffffn;
