// System reset extension (SBI 2.0, chapter 10).
import type { GuestRequest } from "../../guest-request.ts";
import { failure, notSupported, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import type { SbiPlatform } from "./platform.ts";
import { Eid, SbiError } from "./spec.ts";

const ResetType = { shutdown: 0, coldReboot: 1, warmReboot: 2 } as const;
const ResetReason = { none: 0, systemFailure: 1 } as const;
/** Reasons from here on are this implementation's or the vendor's; types from 0xf0000000 on the vendor's. */
const IMPLEMENTATION_REASONS = 0xe000_0000;
const VENDOR_TYPES = 0xf000_0000;

export class SrstExtension implements SbiExtension {
  readonly eid: number = Eid.srst;
  readonly #platform: SbiPlatform;

  constructor(platform: SbiPlatform) {
    this.#platform = platform;
  }

  call({ hart, functionId, args }: SbiCall): SbiAnswer {
    if (functionId !== 0n) return notSupported;
    // Both are 32 bits wide.
    const type = Number(args[0] & 0xffff_ffffn);
    const reason = Number(args[1] & 0xffff_ffffn);
    const knownReason = reason <= ResetReason.systemFailure || reason >= IMPLEMENTATION_REASONS;
    if (!knownReason) return failure(SbiError.invalidParam);
    if (type > ResetType.warmReboot)
      return failure(type >= VENDOR_TYPES ? SbiError.notSupported : SbiError.invalidParam);
    // A call that succeeds does not return: nothing may run until the machine has acted on it.
    for (const other of this.#platform.harts) other.started = false;
    hart.kick();
    this.#platform.request(type === ResetType.shutdown ? shutdownFor(reason) : { kind: "reset" });
    return undefined;
  }
}

/** A failure exits with its reason: 1, or the low byte of an implementation's own. */
function shutdownFor(reason: number): GuestRequest {
  if (reason === ResetReason.none) return { kind: "powerOff" };
  const status = reason & 0xff;
  return { kind: "fail", status: status === 0 ? 1 : status };
}
