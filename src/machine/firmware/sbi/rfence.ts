// RFENCE extension (SBI 2.0, chapter 8): fences on other harts. All harts share our thread, so that a fence is done when
// the call returns.
import type { Hart } from "../../../target/riscv/port.ts";
import { failure, notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { hartsOf } from "./hart-mask.ts";
import { ALL_ONES, Eid, SbiError } from "./spec.ts";

const ASID_MASK = 0xffffn;

export class RfenceExtension implements SbiExtension {
  readonly eid: number = Eid.rfence;
  readonly #harts: readonly Hart[];

  constructor(harts: readonly Hart[]) {
    this.#harts = harts;
  }

  call({ functionId, args: [mask, base, start, lengthBytes, asid] }: SbiCall): SbiAnswer {
    // Functions 3 to 6 fence a hypervisor's translations, which these harts do not have.
    if (functionId > 2n) return notSupported;
    const targets = hartsOf(this.#harts, mask, base);
    if (targets === undefined) return failure(SbiError.invalidParam);
    for (const hart of targets) {
      if (functionId === 0n) hart.flushCode();
      else fence(hart, start, lengthBytes, functionId === 2n ? Number(asid & ASID_MASK) : undefined);
    }
    return success();
  }
}

/** `start` and `lengthBytes` both 0, or a length of -1, mean everything; so does a range that passes the end. */
export function fence(hart: Hart, start: bigint, lengthBytes: bigint, asid?: number): void {
  const everything = (start === 0n && lengthBytes === 0n) || lengthBytes === ALL_ONES || start + lengthBytes > ALL_ONES;
  if (everything) hart.flushTlb(undefined, undefined, asid);
  else hart.flushTlb(start, lengthBytes, asid);
}
