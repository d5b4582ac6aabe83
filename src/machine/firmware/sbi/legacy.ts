// Legacy extensions (SBI 2.0, chapter 5): what software of version 0.1 calls. They answer in a0 alone, and pass lists
// of harts by a virtual address.
import { HartIrq, type Hart } from "../../../target/riscv/port.ts";
import { sendIpi } from "./ipi.ts";
import { hartsOf } from "./hart-mask.ts";
import type { SbiPlatform } from "./platform.ts";
import { fence } from "./rfence.ts";
import { LegacyCall, SbiError } from "./spec.ts";
import type { TimeExtension } from "./time.ts";

export class LegacyExtensions {
  readonly #platform: SbiPlatform;
  readonly #time: TimeExtension;

  constructor(platform: SbiPlatform, time: TimeExtension) {
    this.#platform = platform;
    this.#time = time;
  }

  has(eid: bigint): boolean {
    return eid >= 0n && eid <= BigInt(LegacyCall.shutdown);
  }

  /** The new a0; undefined when the call does not come back. */
  call(hart: Hart, eid: number, args: readonly bigint[]): bigint | undefined {
    const { console, request, harts } = this.#platform;
    const [a0 = 0n, a1 = 0n, a2 = 0n, a3 = 0n] = args;
    switch (eid) {
      case LegacyCall.setTimer:
        this.#time.setTimer(hart, a0);
        return 0n;
      case LegacyCall.putChar:
        return console.put(Number(a0 & 0xffn)) ? 0n : BigInt(SbiError.failed);
      case LegacyCall.getChar:
        return BigInt(console.get() ?? -1);
      case LegacyCall.clearIpi:
        hart.setIrq(HartIrq.ssip, false);
        return 0n;
      case LegacyCall.sendIpi:
        return this.#forEach(hart, a0, (targets) => sendIpi(hart, targets));
      case LegacyCall.remoteFenceI:
        return this.#forEach(hart, a0, (targets) => targets.forEach((target) => target.flushCode()));
      case LegacyCall.remoteSfenceVma:
        return this.#forEach(hart, a0, (targets) => targets.forEach((target) => fence(target, a1, a2)));
      case LegacyCall.remoteSfenceVmaAsid: {
        const asid = Number(a3 & 0xffffn);
        return this.#forEach(hart, a0, (targets) => targets.forEach((target) => fence(target, a1, a2, asid)));
      }
      default: // shutdown
        for (const other of harts) other.started = false;
        hart.kick();
        request({ kind: "powerOff" });
        return undefined;
    }
  }

  /** A null pointer names every hart; a mask that cannot be read or names a hart that does not exist is refused. */
  #forEach(hart: Hart, maskVa: bigint, act: (targets: readonly Hart[]) => void): bigint {
    const { harts } = this.#platform;
    const mask = maskVa === 0n ? undefined : hart.readVirtual(maskVa, 8);
    if (maskVa !== 0n && mask === undefined) return BigInt(SbiError.invalidAddress);
    const targets = mask === undefined ? harts : hartsOf(harts, mask, 0n);
    if (targets === undefined) return BigInt(SbiError.invalidParam);
    act(targets);
    return 0n;
  }
}
