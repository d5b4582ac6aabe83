// table: mstatus and its view sstatus (privileged spec §3.1.6, §10.1.1). Their writable bits are all in the lower half.
import { Mode, Mstatus, mppShift, W } from "../hart-core.ts";
import { byHalves, type Csr, type CsrContext } from "./definition.ts";

export const SSTATUS = 0x100;
const machineWritable = Mstatus.mie | Mstatus.mpie | Mstatus.fs;
const withUser = Mstatus.mpp | Mstatus.mprv | Mstatus.tw;
const withSupervisor = Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.sum | Mstatus.mxr | Mstatus.tvm | Mstatus.tsr;
export const sstatusWritable: number =
  Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.fs | Mstatus.sum | Mstatus.mxr;
/** Of the upper half: UXL and SXL, each 64 bits, and SD. */
const uxl = 2;
const sxl = 2 << 2;
/** The upper half of sstatus, but for SD. */
export const sstatusHigh: number = uxl;
const sd = 1 << 31;

/** Fields of modes that a hart does not have are read-only zero (§3.1.6). */
function mstatusWritable(h: CsrContext): number {
  return machineWritable | (h.has("u") ? withUser : 0) | (h.has("s") ? withSupervisor : 0);
}

/** MPP holds modes that exist. */
function isPreviousMode(h: CsrContext, mode: number): boolean {
  if (mode === Mode.S) return h.has("s");
  return mode === Mode.M || (mode === Mode.U && h.has("u"));
}

function dirtySummary(h: CsrContext): number {
  return (h.core.word(W.mstatus) & Mstatus.fs) === Mstatus.fs ? sd : 0;
}

function writeStatus(h: CsrContext, value: number, mask: number): void {
  const { core } = h;
  const before = core.word(W.mstatus);
  let after = (before & ~mask) | (value & mask);
  // MPP is WARL: with the number of no mode, the old value stays.
  if ((mask & Mstatus.mpp) !== 0 && !isPreviousMode(h, (after & Mstatus.mpp) >>> mppShift)) {
    after = (after & ~Mstatus.mpp) | (before & Mstatus.mpp);
  }
  const changed = before ^ after;
  if ((changed & Mstatus.fs) !== 0 && !h.has("f")) after &= ~Mstatus.fs;
  core.setWord(W.mstatus, after);
  if ((changed & Mstatus.fs) !== 0) core.refreshFpFast();
  if ((changed & Mstatus.mxr) !== 0) h.contextChanged("loads");
  else if ((changed & (Mstatus.sum | Mstatus.mprv | Mstatus.mpp)) !== 0) h.contextChanged("none");
}

export const statusCsrs: readonly Csr[] = [
  byHalves(SSTATUS, "sstatus", {
    low: (h) => h.core.word(W.mstatus) & sstatusWritable,
    high: (h) => sstatusHigh | dirtySummary(h),
    write: (h, value) => writeStatus(h, value, sstatusWritable),
  }),
  byHalves(0x300, "mstatus", {
    low: (h) => h.core.word(W.mstatus),
    high: (h) => (h.has("u") ? uxl : 0) | (h.has("s") ? sxl : 0) | dirtySummary(h),
    write: (h, value) => writeStatus(h, value, mstatusWritable(h)),
  }),
];
