// What the Advanced Interrupt Architecture adds to a hart beyond wider registers; all zero where it is not used.
import { list, struct, field, u32, u64, u8, type StateType } from "../../state/index.ts";
import type { ExternalInterrupts } from "./port.ts";

const SEIP = 0x200n;

export type AiaSaved = {
  mvien: bigint;
  mvip: bigint;
  sie: bigint;
  miselect: number;
  siselect: number;
  machinePriorities: number[];
  supervisorPriorities: number[];
};

export const aiaType: StateType<AiaSaved> = struct([
  field("mvien", u64),
  field("mvip", u64),
  field("sie", u64),
  field("miselect", u32),
  field("siselect", u32),
  field("machinePriorities", list(u8)),
  field("supervisorPriorities", list(u8)),
]);

export class AiaState {
  readonly external: ExternalInterrupts | undefined;
  /** Bits of mvip that are not an alias of mip's. */
  mvip = 0n;
  /** Bits of sie that are not an alias of mie's: those that mvien and not mideleg gives to the supervisor. */
  sie = 0n;
  miselect = 0;
  siselect = 0;
  /** Priority numbers by interrupt, 0 for the default order. */
  readonly machinePriorities: Uint8Array = new Uint8Array(64);
  readonly supervisorPriorities: Uint8Array = new Uint8Array(64);
  /** Software's bits that mip does not show: SEIP while mvien makes it the supervisor's own (AIA §5.3). */
  hiddenMip = 0;
  #mvien = 0n;

  constructor(external: ExternalInterrupts | undefined) {
    this.external = external;
  }

  get mvien(): bigint {
    return this.#mvien;
  }

  set mvien(value: bigint) {
    this.#mvien = value;
    this.hiddenMip = Number(value & SEIP);
  }

  reset(): void {
    this.load(new AiaState(undefined).save());
  }

  save(): AiaSaved {
    return {
      mvien: this.mvien,
      mvip: this.mvip,
      sie: this.sie,
      miselect: this.miselect,
      siselect: this.siselect,
      machinePriorities: Array.from(this.machinePriorities),
      supervisorPriorities: Array.from(this.supervisorPriorities),
    };
  }

  load(saved: AiaSaved): void {
    this.mvien = saved.mvien;
    this.mvip = saved.mvip;
    this.sie = saved.sie;
    this.miselect = saved.miselect;
    this.siselect = saved.siselect;
    for (let irq = 0; irq < 64; irq++) {
      this.machinePriorities[irq] = saved.machinePriorities[irq] ?? 0;
      this.supervisorPriorities[irq] = saved.supervisorPriorities[irq] ?? 0;
    }
  }
}
