// table: address translation and physical memory protection (privileged spec §3.7, §10.1.11).
import { F, Mode, Mseccfg, Mstatus, W } from "../hart-core.ts";
import { pmpEntryCount } from "../state.ts";
import { range, type Csr, type CsrContext } from "./definition.ts";

function writeSatp(h: CsrContext, value: bigint): void {
  const mode = Number(value >> 60n);
  // A write with an unsupported mode has no effect at all (§10.1.11).
  if (mode !== 0 && (mode < 8 || mode > h.satpModes)) return;
  if (h.core.get(F.satp) === value) return;
  h.core.set(F.satp, value);
  h.contextChanged("all");
}

const pmpCsrs: readonly Csr[] = [
  ...[0, 8].map((first): Csr => ({
    number: 0x3a0 + first / 4,
    name: `pmpcfg${first / 4}`,
    read: (h) => h.core.get(first === 0 ? F.pmpcfg0 : F.pmpcfg2),
    write: (h, value) => {
      h.pmp.writeConfig(first, value);
      h.contextChanged("all");
    },
  })),
  ...range(pmpEntryCount, 0).map((i): Csr => ({
    number: 0x3b0 + i,
    name: `pmpaddr${i}`,
    read: (h) => h.core.get(F.pmpaddr + i),
    write: (h, value) => {
      h.pmp.writeAddress(i, value);
      h.contextChanged("all");
    },
  })),
];

const security: Csr = {
  number: 0x747,
  name: "mseccfg",
  available: (h) => h.has("smepmp") || h.has("zkr"),
  read: (h) => h.core.get(F.mseccfg),
  write: (h, value) => {
    const pmp = h.has("smepmp") ? Mseccfg.mml | Mseccfg.mmwp | Mseccfg.rlb : 0n;
    h.pmp.writeSecurity(value, pmp | (h.has("zkr") ? Mseccfg.useed | Mseccfg.sseed : 0n));
    h.contextChanged("all");
  },
};

export const protectionCsrs: readonly Csr[] = [
  {
    number: 0x180,
    name: "satp",
    read: (h) => h.core.get(F.satp),
    write: writeSatp,
    available: (h) => h.core.mode === Mode.M || (h.core.word(W.mstatus) & Mstatus.tvm) === 0,
  },
  security,
  ...pmpCsrs.map((csr): Csr => ({ ...csr, available: (h) => h.has("pmp") })),
];
