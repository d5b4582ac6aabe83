// An IMSIC's interrupt file: messages set pending bits by a memory write, the hart reads and claims them by its CSRs.
// Source: RISC-V Advanced Interrupt Architecture 1.0, chapter 3.
import { assert, type TracePort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { bool, property, uint32 } from "../../object/index.ts";
import { describeState, field, list, u32, type DescriptionOf } from "../../state/index.ts";
import { swap32 } from "./byte-order.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

/** Indirectly accessed registers (§3.8); with XLEN 64 each even number of the arrays is 64 bits wide. */
const EIDELIVERY = 0x70;
const EITHRESHOLD = 0x72;
const EIP0 = 0x80;
const EIE0 = 0xc0;
const ARRAY_LENGTH = 0x40;
/** An identity has 11 bits. */
const IDENTITY_MASK = 0x7ff;

export interface ImsicOptions {
  /** Interrupt identities are 1 to this: 63 to 2047, one less than a multiple of 64. */
  readonly identityCount: number;
  /** The hart's external interrupt of this file's privilege level. */
  readonly irq: IrqLine;
  readonly trace: TracePort;
}

export const imsicInfo: DeviceTypeInfo = {
  typeName: "riscv.imsic",
  description: "Incoming message-signalled interrupts of one hart at one privilege level",
  properties: {
    mmode: property(bool, { default: false }),
    hartid: property(uint32, { default: 0 }),
    "num-irqs": property(uint32, { default: 256, description: "including the absent identity 0" }),
  },
};

export type ImsicState = {
  eidelivery: number;
  eithreshold: number;
  /** Bit per identity, 32 a word. */
  pending: number[];
  enable: number[];
};

export class Imsic implements MmioDevice {
  static readonly #bank = registerBank("imsic", 4, {
    seteipnumLe: { at: 0x0, read: () => 0, wrote: (d: Imsic, identity) => d.#request(identity) },
    seteipnumBe: { at: 0x4, read: () => 0, wrote: (d: Imsic, value) => d.#request(swap32(value)) },
  });

  readonly typeName: string = imsicInfo.typeName;
  readonly mmioLengthBytes: number = 0x1000;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<ImsicState> = describeState("riscv.imsic", 1, [
    field("eidelivery", u32),
    field("eithreshold", u32),
    field("pending", list(u32)),
    field("enable", list(u32)),
  ]);
  readonly #identityCount: number;
  readonly #irq: IrqLine;
  readonly #pending: Uint32Array;
  readonly #enable: Uint32Array;
  #eidelivery = 0;
  #eithreshold = 0;

  constructor({ identityCount, irq, trace }: ImsicOptions) {
    assert(identityCount % 64 === 63 && identityCount <= IDENTITY_MASK, "an IMSIC has whole registers", identityCount);
    this.#identityCount = identityCount;
    this.#irq = irq;
    this.#pending = new Uint32Array((identityCount + 1) / 32);
    this.#enable = new Uint32Array((identityCount + 1) / 32);
    this.mmio = Imsic.#bank.file(this, trace).mmio({ min: 4, max: 4 });
  }

  /** The pending, enabled identity of highest priority below the threshold, or 0: both halves of `topei`. */
  get top(): number {
    const limit = this.#eithreshold === 0 ? this.#identityCount + 1 : this.#eithreshold;
    for (let word = 0; word < this.#pending.length; word++) {
      const waiting = this.#pending[word]! & this.#enable[word]!;
      if (waiting === 0) continue;
      const identity = 32 * word + 31 - Math.clz32(waiting & -waiting);
      return identity < limit ? identity : 0;
    }
    return 0;
  }

  /** A write of `topei`: the top identity is no longer pending. */
  claim(): void {
    const identity = this.top;
    if (identity === 0) return;
    this.#pending[identity >>> 5]! &= ~(1 << (identity & 31));
    this.#update();
  }

  /** Register `select`, 0x70 to 0xff, at XLEN 64; undefined where the odd halves of arrays do not exist. */
  readRegister(select: number): bigint | undefined {
    const words = this.#arrayOf(select);
    if (words === undefined) {
      return BigInt(select === EIDELIVERY ? this.#eidelivery : select === EITHRESHOLD ? this.#eithreshold : 0);
    }
    if (select % 2 !== 0) return undefined;
    const at = select % ARRAY_LENGTH;
    return BigInt(words[at] ?? 0) | (BigInt(words[at + 1] ?? 0) << 32n);
  }

  /** As `readRegister`; only called where that answers. */
  writeRegister(select: number, value: bigint): void {
    const words = this.#arrayOf(select);
    const low = Number(value & 0xffff_ffffn);
    if (words !== undefined) {
      const at = select % ARRAY_LENGTH;
      if (at >= words.length) return;
      words[at] = at === 0 ? low & ~1 : low;
      words[at + 1] = Number(value >> 32n);
    } else if (select === EIDELIVERY) {
      this.#eidelivery = low & 1;
    } else if (select === EITHRESHOLD) {
      this.#eithreshold = low & IDENTITY_MASK;
    }
    this.#update();
  }

  reset(): void {
    this.#eidelivery = 0;
    this.#eithreshold = 0;
    this.#pending.fill(0);
    this.#enable.fill(0);
    this.#update();
  }

  saveState(): ImsicState {
    return {
      eidelivery: this.#eidelivery,
      eithreshold: this.#eithreshold,
      pending: Array.from(this.#pending),
      enable: Array.from(this.#enable),
    };
  }

  loadState(state: ImsicState): void {
    this.#eidelivery = state.eidelivery & 1;
    this.#eithreshold = state.eithreshold & IDENTITY_MASK;
    for (let word = 0; word < this.#pending.length; word++) {
      this.#pending[word] = state.pending[word] ?? 0;
      this.#enable[word] = state.enable[word] ?? 0;
    }
    this.#update();
  }

  /** The array that `select` is in. */
  #arrayOf(select: number): Uint32Array | undefined {
    if (select >= EIE0) return this.#enable;
    return select >= EIP0 ? this.#pending : undefined;
  }

  /** A message; identities that do not exist are ignored (§3.5). */
  #request(identity: number): void {
    if (identity === 0 || identity > this.#identityCount) return;
    this.#pending[identity >>> 5]! |= 1 << (identity & 31);
    this.#update();
  }

  #update(): void {
    this.#irq.set(this.#eidelivery === 1 && this.top !== 0);
  }
}
