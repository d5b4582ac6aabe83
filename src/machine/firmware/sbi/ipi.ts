// IPI extension (SBI 2.0, chapter 7): supervisor software interrupts to other harts.
import { HartIrq, type Hart } from "../../../target/riscv/port.ts";
import { failure, notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { hartsOf } from "./hart-mask.ts";
import { Eid, SbiError } from "./spec.ts";

export class IpiExtension implements SbiExtension {
  readonly eid: number = Eid.ipi;
  readonly #harts: readonly Hart[];

  constructor(harts: readonly Hart[]) {
    this.#harts = harts;
  }

  call({ hart, functionId, args }: SbiCall): SbiAnswer {
    if (functionId !== 0n) return notSupported;
    const targets = hartsOf(this.#harts, args[0], args[1]);
    if (targets === undefined) return failure(SbiError.invalidParam);
    sendIpi(hart, targets);
    return success();
  }
}

/** Stopped harts get nothing: they would find a stale interrupt when they start. */
export function sendIpi(sender: Hart, targets: readonly Hart[]): void {
  for (const target of targets) {
    if (target.started) target.setIrq(HartIrq.ssip, true);
  }
  // The others should have their turn now: the sender usually waits for them.
  sender.kick();
}
