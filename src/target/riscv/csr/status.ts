// table: mstatus and its view sstatus (privileged spec §3.1.6, §10.1.1).
import { F, Mode, Mstatus, mppShift, mstatusXl } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";

const machineWritable = BigInt(Mstatus.mie | Mstatus.mpie | Mstatus.fs);
const withUser = BigInt(Mstatus.mpp | Mstatus.mprv | Mstatus.tw);
const withSupervisor = BigInt(
  Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.sum | Mstatus.mxr | Mstatus.tvm | Mstatus.tsr,
);
const sstatusWritable = BigInt(Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.fs | Mstatus.sum | Mstatus.mxr);
const uxl = 3n << 32n;
const sxl = 3n << 34n;
const sd = 1n << 63n;

/** Fields of modes that a hart does not have are read-only zero (§3.1.6). */
function mstatusWritable(h: CsrContext): bigint {
  return machineWritable | (h.has("u") ? withUser : 0n) | (h.has("s") ? withSupervisor : 0n);
}

/** MPP holds modes that exist. */
function isPreviousMode(h: CsrContext, mode: number): boolean {
  if (mode === Mode.S) return h.has("s");
  return mode === Mode.M || (mode === Mode.U && h.has("u"));
}

function readStatus(h: CsrContext): bigint {
  const lengths = (h.has("u") ? uxl : 0n) | (h.has("s") ? sxl : 0n);
  const value = h.core.get(F.mstatus) | (mstatusXl & lengths);
  return (value & BigInt(Mstatus.fs)) === BigInt(Mstatus.fs) ? value | sd : value;
}

function writeStatus(h: CsrContext, value: bigint, mask: bigint): void {
  const before = h.core.get(F.mstatus);
  let after = (before & ~mask) | (value & mask);
  const mpp = Number((after >> BigInt(mppShift)) & 3n);
  // MPP is WARL: with the number of no mode, the old value stays.
  if (!isPreviousMode(h, mpp)) after = (after & ~BigInt(Mstatus.mpp)) | (before & BigInt(Mstatus.mpp));
  if (!h.has("f")) after &= ~BigInt(Mstatus.fs);
  h.core.set(F.mstatus, after);
  h.core.refreshFpFast();
  const changed = Number((before ^ after) & 0xffffffffn);
  if ((changed & Mstatus.mxr) !== 0) h.contextChanged("loads");
  else if ((changed & (Mstatus.sum | Mstatus.mprv | Mstatus.mpp)) !== 0) h.contextChanged("none");
}

export const statusCsrs: readonly Csr[] = [
  {
    number: 0x100,
    name: "sstatus",
    read: (h) => readStatus(h) & (sstatusWritable | uxl | sd),
    write: (h, value) => writeStatus(h, value, sstatusWritable),
  },
  {
    number: 0x300,
    name: "mstatus",
    read: readStatus,
    write: (h, value) => writeStatus(h, value, mstatusWritable(h)),
  },
];
