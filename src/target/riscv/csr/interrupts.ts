// table: interrupt pending, enable and delegation (privileged spec §3.1.8, §3.1.9, §10.1.3; AIA §5.3).
import { F } from "../hart-core.ts";
import { virtualPendingBits } from "../interrupt-choice.ts";
import { writeMvip } from "./aia.ts";
import { plain, type Csr, type CsrContext } from "./definition.ts";
import { timerByCompare } from "./supervisor-timer.ts";

const supervisorInterrupts = 0x222n;
const allInterrupts = 0xaaan;
const ssip = 0x2n;
const stip = 0x20n;
const seip = 0x200n;

/** Without S-mode, its interrupts do not exist in mie and mip (§3.1.9). */
const existing = (h: CsrContext): bigint => (h.has("s") ? allInterrupts : allInterrupts & ~supervisorInterrupts);

function writeMip(h: CsrContext, value: bigint, mask: bigint): void {
  h.core.set(F.mip, (h.core.get(F.mip) & ~mask) | (value & mask));
}

/** Interrupts that the supervisor has by mvien alone: there sie and sip are not mie's and mip's. */
const virtual = (h: CsrContext): bigint => h.core.aia.mvien & ~h.core.get(F.mideleg);

export const interruptCsrs: readonly Csr[] = [
  {
    number: 0x104,
    name: "sie",
    read: (h) => (h.core.get(F.mie) & h.core.get(F.mideleg)) | (h.core.aia.sie & virtual(h)),
    write: (h, value) => {
      const delegated = h.core.get(F.mideleg);
      const own = virtual(h);
      h.core.set(F.mie, (h.core.get(F.mie) & ~delegated) | (value & delegated));
      h.core.aia.sie = (h.core.aia.sie & ~own) | (value & own);
    },
  },
  {
    number: 0x144,
    name: "sip",
    read: (h) => (BigInt(h.core.pendingBits) & h.core.get(F.mideleg)) | virtualPendingBits(h.core),
    write: (h, value) => {
      writeMip(h, value, ssip & h.core.get(F.mideleg));
      // The supervisor's external interrupt is its controller's, or firmware's, to end.
      writeMvip(h, value, virtual(h) & ~seip);
    },
  },
  { ...plain(0x303, "mideleg", F.mideleg, supervisorInterrupts), available: (h) => h.has("s") },
  {
    number: 0x304,
    name: "mie",
    read: (h) => h.core.get(F.mie),
    write: (h, value) => h.core.set(F.mie, value & existing(h)),
  },
  {
    number: 0x344,
    name: "mip",
    read: (h) => BigInt(h.core.pendingBits),
    write: (h, value) =>
      writeMip(h, value, (ssip | seip | (timerByCompare(h) ? 0n : stip)) & existing(h) & ~BigInt(h.core.aia.hiddenMip)),
  },
];
