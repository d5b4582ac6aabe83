// ACLINT's software interrupt devices: MSWI holds a bit per hart, SSWI sends an edge.
// Source: RISC-V Advanced Core Local Interruptor specification 1.0-rc4, chapters 3 and 4. MSWI is also the first part of
// SiFive's CLINT.
import type { TracePort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { bool, property, uint32 } from "../../object/index.ts";
import { describeState, type DescriptionOf } from "../../state/index.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

/** Room for 4095 harts, whatever the number of them. */
const SWI_BYTES = 0x4000;

export interface AclintSwiOptions {
  /** The software interrupt of each hart. */
  readonly harts: readonly IrqLine[];
  readonly trace: TracePort;
}

export const aclintSwiInfo: DeviceTypeInfo = {
  typeName: "riscv.aclint.swi",
  description: "Software interrupts of harts, for machine or supervisor mode",
  properties: {
    "num-harts": property(uint32, { default: 1 }),
    sswi: property(bool, { default: false, description: "for supervisor mode" }),
  },
};

export type AclintMswiState = { msip: number[] };

export class AclintMswi implements MmioDevice {
  readonly typeName: string = aclintSwiInfo.typeName;
  readonly mmioLengthBytes: number = SWI_BYTES;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<AclintMswiState>;
  readonly #harts: readonly IrqLine[];
  readonly #registers;

  constructor({ harts, trace }: AclintSwiOptions) {
    this.#harts = harts;
    const bank = AclintMswi.#bank(harts.length);
    this.#registers = bank.file(this, trace);
    this.stateDescription = describeState("riscv.aclint.mswi", 1, bank.stateFields);
    this.mmio = this.#registers.mmio({ min: 4, max: 4 });
  }

  static #bank(hartCount: number) {
    return registerBank("mswi", 4, {
      msip: {
        at: 0,
        repeat: { rows: hartCount, strideBytes: 4 },
        mask: 1,
        wrote: (d: AclintMswi, value, _before, hart) => d.#harts[hart]!.set(value !== 0),
      },
    });
  }

  reset(): void {
    this.#registers.reset();
    for (const hart of this.#harts) hart.set(false);
  }

  saveState(): AclintMswiState {
    return this.#registers.save();
  }

  loadState(state: AclintMswiState): void {
    this.#registers.load(state);
    const { msip } = this.#registers.values;
    for (const [hart, line] of this.#harts.entries()) line.set(msip[hart] !== 0);
  }
}

/** Holds nothing: what has been sent is the hart's `sip.SSIP`, which software clears there. */
export class AclintSswi implements MmioDevice {
  readonly typeName: string = aclintSwiInfo.typeName;
  readonly mmioLengthBytes: number = SWI_BYTES;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<Record<string, never>> = describeState("riscv.aclint.sswi", 1, []);
  readonly #harts: readonly IrqLine[];

  constructor({ harts, trace }: AclintSwiOptions) {
    this.#harts = harts;
    this.mmio = AclintSswi.#bank(harts.length).file(this, trace).mmio({ min: 4, max: 4 });
  }

  static #bank(hartCount: number) {
    return registerBank("sswi", 4, {
      setssip: {
        at: 0,
        repeat: { rows: hartCount, strideBytes: 4 },
        mask: 1,
        read: () => 0,
        wrote: (d: AclintSswi, value, _before, hart) => {
          if (value !== 0) d.#harts[hart]!.set(true);
        },
      },
    });
  }

  reset(): void {}

  saveState(): Record<string, never> {
    return {};
  }

  loadState(): void {}
}
