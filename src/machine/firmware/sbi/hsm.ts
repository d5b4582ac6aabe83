// Hart state management extension (SBI 2.0, chapter 9): start, stop, status and suspend of harts.
import { iova } from "../../../base/index.ts";
import type { Hart } from "../../../target/riscv/port.ts";
import { failure, notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { enterSupervisor } from "./hart-setup.ts";
import type { SbiPlatform } from "./platform.ts";
import { Eid, HartState, SbiError } from "./spec.ts";
import type { TimeExtension } from "./time.ts";

/** Table 9.2: bit 31 tells non-retentive types; from 0x10000000 on they are the platform's, of which there are none. */
const SuspendType = { retentive: 0x0000_0000, nonRetentive: 0x8000_0000, platformBit: 0x7000_0000 } as const;

export class HsmExtension implements SbiExtension {
  readonly eid: number = Eid.hsm;
  readonly #platform: SbiPlatform;
  readonly #time: TimeExtension;
  /** Harts that suspended themselves; they are back as soon as they can run. */
  readonly #suspended = new Set<number>();

  constructor(platform: SbiPlatform, time: TimeExtension) {
    this.#platform = platform;
    this.#time = time;
  }

  call(call: SbiCall): SbiAnswer {
    const { hart, args } = call;
    switch (call.functionId) {
      case 0n:
        return this.#start(args[0], args[1], args[2]);
      case 1n:
        hart.started = false;
        hart.kick();
        // A call that succeeds does not return.
        return undefined;
      case 2n:
        return this.#status(args[0]);
      case 3n:
        return this.#suspend(hart, Number(args[0] & 0xffff_ffffn), args[1], args[2]);
      default:
        return notSupported;
    }
  }

  reset(): void {
    this.#suspended.clear();
  }

  /** Ids of the harts that suspended themselves. */
  get suspended(): readonly number[] {
    return [...this.#suspended].filter((id) => this.#isSuspended(this.#platform.harts[id]!));
  }

  set suspended(ids: readonly number[]) {
    this.#suspended.clear();
    for (const id of ids) if (this.#platform.harts[id] !== undefined) this.#suspended.add(id);
  }

  #start(hartId: bigint, startAddress: bigint, opaque: bigint): SbiAnswer {
    const hart = this.#hart(hartId);
    if (hart === undefined) return failure(SbiError.invalidParam);
    if (hart.started) return failure(SbiError.alreadyAvailable);
    if (!this.#isExecutable(startAddress)) return failure(SbiError.invalidAddress);
    this.#suspended.delete(hart.id);
    enterSupervisor(hart, { pc: startAddress, a1: opaque });
    this.#time.clear(hart);
    hart.started = true;
    return success();
  }

  #status(hartId: bigint): SbiAnswer {
    const hart = this.#hart(hartId);
    if (hart === undefined) return failure(SbiError.invalidParam);
    if (!hart.started) return success(BigInt(HartState.stopped));
    return success(BigInt(this.#isSuspended(hart) ? HartState.suspended : HartState.started));
  }

  #suspend(hart: Hart, type: number, resumeAddress: bigint, opaque: bigint): SbiAnswer {
    if ((type & SuspendType.platformBit) !== 0) return failure(SbiError.notSupported);
    if (type !== SuspendType.retentive && type !== SuspendType.nonRetentive) return failure(SbiError.invalidParam);
    const retentive = type === SuspendType.retentive;
    if (!retentive && !this.#isExecutable(resumeAddress)) return failure(SbiError.invalidAddress);
    this.#suspended.add(hart.id);
    // Interrupts enabled before the call end the suspension, so a non-retentive one keeps sie too.
    if (!retentive) enterSupervisor(hart, { pc: resumeAddress, a1: opaque, keepInterrupts: true });
    hart.waitForInterrupt();
    return retentive ? success() : undefined;
  }

  #isSuspended(hart: Hart): boolean {
    if (!this.#suspended.has(hart.id)) return false;
    if (hart.started && !hart.runnable) return true;
    this.#suspended.delete(hart.id);
    return false;
  }

  #hart(id: bigint): Hart | undefined {
    return this.#platform.harts[Number(id)];
  }

  #isExecutable(address: bigint): boolean {
    return address % 2n === 0n && this.#platform.memory.readWindow(iova(address), 2) !== undefined;
  }
}
