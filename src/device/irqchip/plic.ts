// SiFive PLIC: level-triggered sources with priorities, claimed and completed by contexts (a hart's M or S mode).
// Source: RISC-V Platform-Level Interrupt Controller specification 1.0; layout as in SiFive's FU540.
import { assert, type TracePort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { property, uint32 } from "../../object/index.ts";
import { describeState, field, list, u32 } from "../../state/index.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import type { DescriptionOf } from "../../state/index.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

const ENABLE_STRIDE = 0x80;
const CONTEXT_STRIDE = 0x1000;
/** Three bits of priority, as QEMU's virt board configures it. */
const PRIORITY_MASK = 7;

export interface PlicOptions {
  /** Sources are numbered 1 to this. */
  readonly sourceCount: number;
  /** Interrupt output of each context, in the order of the contexts. */
  readonly contexts: readonly IrqLine[];
  readonly trace: TracePort;
}

export const plicInfo: DeviceTypeInfo = {
  typeName: "riscv.sifive.plic",
  description: "Platform-level interrupt controller",
  properties: {
    "num-sources": property(uint32, { default: 96, description: "including the absent source 0" }),
    "num-priorities": property(uint32, { default: PRIORITY_MASK }),
  },
};

export type PlicState = {
  priority: number[];
  enable: number[];
  threshold: number[];
  /** Bit per source, 32 a word: requests that wait for a claim. */
  pending: number[];
  /** Claimed and not yet completed: their gateways hold further requests back. */
  inService: number[];
  /** Levels of the input lines. */
  level: number[];
};

export class Plic implements MmioDevice {
  readonly typeName: string = plicInfo.typeName;
  readonly mmioLengthBytes: number = 0x600000;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<PlicState>;
  readonly #sourceCount: number;
  readonly #contexts: readonly IrqLine[];
  readonly #words: number;
  readonly #inService: Uint32Array;
  readonly #level: Uint32Array;
  readonly #registers;

  constructor({ sourceCount, contexts, trace }: PlicOptions) {
    assert(sourceCount >= 1 && sourceCount < 1024, "a PLIC has 1 to 1023 sources", sourceCount);
    this.#sourceCount = sourceCount;
    this.#contexts = contexts;
    this.#words = (sourceCount >>> 5) + 1;
    this.#inService = new Uint32Array(this.#words);
    this.#level = new Uint32Array(this.#words);
    const bank = Plic.#bank(sourceCount, contexts.length, this.#words);
    this.#registers = bank.file(this, trace);
    this.stateDescription = describeState("riscv.sifive.plic", 1, [
      ...bank.stateFields,
      field("inService", list(u32)),
      field("level", list(u32)),
    ]);
    this.mmio = this.#registers.mmio({ min: 4, max: 4 });
  }

  static #bank(sourceCount: number, contextCount: number, words: number) {
    return registerBank("plic", 4, {
      priority: {
        at: 4,
        repeat: { rows: sourceCount, strideBytes: 4 },
        mask: PRIORITY_MASK,
        wrote: (d: Plic) => d.#updateAll(),
      },
      pending: { at: 0x1000, access: "ro", repeat: { rows: words, strideBytes: 4 } },
      enable: {
        at: 0x2000,
        repeat: { rows: contextCount, strideBytes: ENABLE_STRIDE, columns: words },
        wrote: (d: Plic, _value, _before, index) => d.#enableWritten(index),
      },
      threshold: {
        at: 0x200000,
        repeat: { rows: contextCount, strideBytes: CONTEXT_STRIDE },
        mask: PRIORITY_MASK,
        wrote: (d: Plic, _value, _before, context) => d.#update(context),
      },
      claim: {
        at: 0x200004,
        repeat: { rows: contextCount, strideBytes: CONTEXT_STRIDE },
        read: (d: Plic, context) => d.#claim(context),
        wrote: (d: Plic, id, _before, context) => d.#complete(context, id),
      },
    });
  }

  /** The input of source `id`, 1 to `sourceCount`. */
  source(id: number): IrqLine {
    assert(id >= 1 && id <= this.#sourceCount, "a PLIC source exists", id);
    return { set: (level) => this.#setLevel(id, level) };
  }

  reset(): void {
    this.#registers.reset();
    this.#inService.fill(0);
    // The board resets everything, in whatever order, so every input is about to be low; one that is not asks again when
    // its device next says that it is high.
    this.#level.fill(0);
    this.#updateAll();
  }

  saveState(): PlicState {
    return { ...this.#registers.save(), inService: Array.from(this.#inService), level: Array.from(this.#level) };
  }

  loadState(state: PlicState): void {
    this.#registers.load(state);
    for (let word = 0; word < this.#words; word++) {
      this.#inService[word] = state.inService[word] ?? 0;
      this.#level[word] = state.level[word] ?? 0;
    }
    this.#updateAll();
  }

  #setLevel(id: number, high: boolean): void {
    const word = id >>> 5;
    const bit = 1 << (id & 31);
    if (high === ((this.#level[word]! & bit) !== 0)) return;
    if (!high) {
      // A request that has been made stays pending until it is claimed (specification, "Interrupt Gateways").
      this.#level[word]! &= ~bit;
      return;
    }
    this.#level[word]! |= bit;
    if ((this.#inService[word]! & bit) === 0) this.#request(word, bit);
  }

  #request(word: number, bit: number): void {
    const { pending } = this.#registers.values;
    if ((pending[word]! & bit) !== 0) return;
    pending[word]! |= bit;
    this.#updateAll();
  }

  #enableWritten(index: number): void {
    const word = index % this.#words;
    this.#registers.values.enable[index]! &= this.#existingSources(word);
    this.#update(Math.floor(index / this.#words));
  }

  #existingSources(word: number): number {
    const past = this.#sourceCount + 1 - 32 * word;
    const upTo = past >= 32 ? 0xffffffff : (1 << past) - 1;
    return word === 0 ? upTo & ~1 : upTo;
  }

  /** Not affected by the threshold (specification, "Interrupt Claim Process"). */
  #claim(context: number): number {
    const id = this.#best(context, 0);
    if (id === 0) return 0;
    const word = id >>> 5;
    const bit = 1 << (id & 31);
    this.#registers.values.pending[word]! &= ~bit;
    this.#inService[word]! |= bit;
    this.#updateAll();
    return id;
  }

  /** An id that the context has not enabled is ignored (specification, "Interrupt Completion"). */
  #complete(context: number, id: number): void {
    if (id > this.#sourceCount) return;
    const word = id >>> 5;
    const bit = 1 << (id & 31);
    const isEnabled = (this.#registers.values.enable[context * this.#words + word]! & bit) !== 0;
    if (!isEnabled || (this.#inService[word]! & bit) === 0) return;
    this.#inService[word]! &= ~bit;
    if ((this.#level[word]! & bit) !== 0) this.#request(word, bit);
  }

  /** The pending, enabled source of the highest priority above `floor`; the lowest id among equals; 0 for none. */
  #best(context: number, floor: number): number {
    const { pending, enable, priority } = this.#registers.values;
    const words = this.#words;
    let best = 0;
    let bestPriority = floor;
    for (let word = 0; word < words; word++) {
      let waiting = pending[word]! & enable[context * words + word]!;
      while (waiting !== 0) {
        const bitNumber = 31 - Math.clz32(waiting & -waiting);
        waiting &= waiting - 1;
        const id = 32 * word + bitNumber;
        if (priority[id - 1]! > bestPriority) {
          best = id;
          bestPriority = priority[id - 1]!;
        }
      }
    }
    return best;
  }

  #update(context: number): void {
    this.#contexts[context]!.set(this.#best(context, this.#registers.values.threshold[context]!) !== 0);
  }

  #updateAll(): void {
    for (let context = 0; context < this.#contexts.length; context++) this.#update(context);
  }
}
