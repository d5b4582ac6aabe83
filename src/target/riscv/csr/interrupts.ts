// table: interrupt pending, enable and delegation (privileged spec §3.1.8, §3.1.9, §10.1.3).
import { F } from "../hart-core.ts";
import { plain, type Csr, type CsrContext } from "./definition.ts";
import { timerByCompare } from "./supervisor-timer.ts";

const supervisorInterrupts = 0x222n;
const allInterrupts = 0xaaan;
const ssip = 0x2n;
const stip = 0x20n;
const seip = 0x200n;

function writeMip(h: CsrContext, value: bigint, mask: bigint): void {
  h.core.set(F.mip, (h.core.get(F.mip) & ~mask) | (value & mask));
}

export const interruptCsrs: readonly Csr[] = [
  {
    number: 0x104,
    name: "sie",
    read: (h) => h.core.get(F.mie) & h.core.get(F.mideleg),
    write: (h, value) => {
      const mask = h.core.get(F.mideleg);
      h.core.set(F.mie, (h.core.get(F.mie) & ~mask) | (value & mask));
    },
  },
  {
    number: 0x144,
    name: "sip",
    read: (h) => BigInt(h.core.pendingBits) & h.core.get(F.mideleg),
    write: (h, value) => writeMip(h, value, ssip & h.core.get(F.mideleg)),
  },
  plain(0x303, "mideleg", F.mideleg, supervisorInterrupts),
  plain(0x304, "mie", F.mie, allInterrupts),
  {
    number: 0x344,
    name: "mip",
    read: (h) => BigInt(h.core.pendingBits),
    write: (h, value) => writeMip(h, value, ssip | seip | (timerByCompare(h) ? 0n : stip)),
  },
];
