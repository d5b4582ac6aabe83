// The built-in SBI: supervisor software's firmware, run by the host instead of in machine mode.
import type { Saveable } from "../../../state/index.ts";
import type { Hart, HostFirmware } from "../../../target/riscv/port.ts";
import { BaseExtension } from "./base.ts";
import type { SbiAnswer, SbiExtension } from "./call.ts";
import { notSupported } from "./call.ts";
import { Csr } from "./csr.ts";
import { DbcnExtension } from "./dbcn.ts";
import { enterSupervisor } from "./hart-setup.ts";
import { HsmExtension } from "./hsm.ts";
import { IpiExtension } from "./ipi.ts";
import { LegacyExtensions } from "./legacy.ts";
import type { SbiPlatform } from "./platform.ts";
import { PmuExtension } from "./pmu.ts";
import { RfenceExtension } from "./rfence.ts";
import { SrstExtension } from "./srst.ts";
import { sbiState, type SbiState } from "./state.ts";
import { TimeExtension } from "./time.ts";

/** mcause of an environment call from S-mode, and the bit that tells interrupts. */
const ECALL_FROM_S = 9n;
const INTERRUPT = 1n << 63n;
/** Length of `ecall`. */
const ECALL_BYTES = 4n;

const A0 = 10;

export class BuiltInSbi implements HostFirmware, Saveable<typeof sbiState> {
  readonly stateDescription: typeof sbiState = sbiState;
  readonly #platform: SbiPlatform;
  readonly #extensions: ReadonlyMap<bigint, SbiExtension>;
  readonly #legacy: LegacyExtensions;
  readonly #time: TimeExtension;
  readonly #hsm: HsmExtension;

  constructor(platform: SbiPlatform) {
    this.#platform = platform;
    this.#time = new TimeExtension(platform);
    this.#hsm = new HsmExtension(platform, this.#time);
    this.#legacy = new LegacyExtensions(platform, this.#time);
    const extensions: SbiExtension[] = [
      new BaseExtension((eid) => this.#extensions.has(eid) || this.#legacy.has(eid)),
      this.#time,
      new IpiExtension(platform.harts),
      new RfenceExtension(platform.harts),
      this.#hsm,
      new SrstExtension(platform),
      new PmuExtension(),
      new DbcnExtension(platform),
    ];
    this.#extensions = new Map(extensions.map((extension) => [BigInt(extension.eid), extension]));
  }

  /** After a reset of the harts: the first one enters supervisor mode at `entry`, the others wait to be started. */
  boot(entry: bigint, deviceTree: bigint): void {
    this.#hsm.reset();
    for (const hart of this.#platform.harts) {
      hart.started = hart.id === 0;
      enterSupervisor(hart, { pc: entry, a1: deviceTree });
      this.#time.clear(hart);
    }
  }

  machineTrap(hart: Hart, cause: bigint, tval: bigint): void {
    if ((cause & INTERRUPT) !== 0n) this.#silence(hart, cause & ~INTERRUPT);
    else if (cause === ECALL_FROM_S) this.#ecall(hart);
    // What is not delegated and not for firmware is the supervisor's own: illegal instructions, access faults, …
    else hart.trapToSupervisor(cause, tval);
  }

  saveState(): SbiState {
    return { suspended: [...this.#hsm.suspended], deadlines: [...this.#time.deadlines] };
  }

  loadState(state: SbiState): void {
    this.#hsm.suspended = state.suspended;
    this.#time.deadlines = state.deadlines;
  }

  #ecall(hart: Hart): void {
    const [a0, a1, a2, a3, a4, a5, functionId, eid] = Array.from({ length: 8 }, (_, i) => hart.x(A0 + i)) as Registers;
    const returnTo = hart.pc + ECALL_BYTES;
    const args = [a0, a1, a2, a3, a4, a5] as const;
    if (this.#legacy.has(eid)) {
      const value = this.#legacy.call(hart, Number(eid), args);
      if (value === undefined) return;
      hart.setX(A0, BigInt.asUintN(64, value));
    } else {
      const answer: SbiAnswer = this.#extensions.has(eid)
        ? this.#extensions.get(eid)!.call({ hart, functionId, args })
        : notSupported;
      if (answer === undefined) return;
      hart.setX(A0, BigInt.asUintN(64, BigInt(answer.error)));
      hart.setX(A0 + 1, BigInt.asUintN(64, answer.value));
    }
    hart.pc = returnTo;
  }

  /** Nobody here asked for a machine interrupt: a guest reached a device that is firmware's. Firmware masks it. */
  #silence(hart: Hart, bit: bigint): void {
    hart.writeCsr(Csr.mie, (hart.readCsr(Csr.mie) ?? 0n) & ~(1n << bit));
  }
}

type Registers = [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
