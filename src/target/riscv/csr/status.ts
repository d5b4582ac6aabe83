// table: mstatus and its view sstatus (privileged spec §3.1.6, §10.1.1).
import { F, Mstatus, mppShift, mstatusXl } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";

const mstatusWritable =
  BigInt(
    Mstatus.sie | Mstatus.mie | Mstatus.spie | Mstatus.mpie | Mstatus.spp | Mstatus.mpp | Mstatus.fs | Mstatus.mprv,
  ) | BigInt(Mstatus.sum | Mstatus.mxr | Mstatus.tvm | Mstatus.tw | Mstatus.tsr);
const sstatusWritable = BigInt(Mstatus.sie | Mstatus.spie | Mstatus.spp | Mstatus.fs | Mstatus.sum | Mstatus.mxr);
const uxl = 3n << 32n;
const sd = 1n << 63n;

function readStatus(h: CsrContext): bigint {
  const value = h.core.get(F.mstatus) | mstatusXl;
  return (value & BigInt(Mstatus.fs)) === BigInt(Mstatus.fs) ? value | sd : value;
}

function writeStatus(h: CsrContext, value: bigint, mask: bigint): void {
  const before = h.core.get(F.mstatus);
  let after = (before & ~mask) | (value & mask);
  const mpp = Number((after >> BigInt(mppShift)) & 3n);
  // MPP is WARL: 2 names no mode, so the old value stays.
  if (mpp === 2) after = (after & ~BigInt(Mstatus.mpp)) | (before & BigInt(Mstatus.mpp));
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
    write: (h, value) => writeStatus(h, value, mstatusWritable),
  },
];
