// APLIC: one interrupt domain, which gives the interrupts of its sources to harts, directly or as messages.
// Source: RISC-V Advanced Interrupt Architecture 1.0, chapter 4. As on QEMU's board, how a domain delivers is fixed.
import { assert, getField, type TracePort } from "../../../base/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import { bool, property, uint32 } from "../../../object/index.ts";
import { bool as boolean, describeState, field, list, u32, type DescriptionOf } from "../../../state/index.ts";
import type { IrqLine, MmioDevice, MsiPort } from "../../port.ts";
import { registerBank } from "../../register-bank.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import { swap32 } from "../byte-order.ts";
import { Sources, type SourcesState } from "./sources.ts";
import {
  domaincfg,
  DOMAINCFG_FIXED,
  IDC_BASE,
  IDC_BYTES,
  msiAddress,
  msiaddrcfgh,
  APLIC_PRIORITY_MASK,
  SETIPNUM_BE,
  SETIPNUM_LE,
  smsiaddrcfgh,
  TARGET_HART_MASK,
  TARGET_HART_SHIFT,
  TARGET_IDENTITY_MASK,
  type MsiAddressing,
} from "./spec.ts";

export interface AplicOptions {
  readonly level: "machine" | "supervisor";
  /** Sources are numbered 1 to this, in every domain alike. */
  readonly sourceCount: number;
  /** Harts by index: to their external interrupts, or to their interrupt files. */
  readonly delivery:
    | { readonly kind: "direct"; readonly harts: readonly IrqLine[] }
    | { readonly kind: "msi"; readonly port: MsiPort };
  /** The domain that this one is a child of; without it, it is the root, which is a machine-level one. */
  readonly parent?: Aplic;
  readonly trace: TracePort;
}

export type AplicState = SourcesState & {
  mmsiaddrcfg: number;
  mmsiaddrcfgh: number;
  smsiaddrcfg: number;
  smsiaddrcfgh: number;
  genmsi: number;
  idelivery: number[];
  iforce: number[];
  ithreshold: number[];
  interruptEnable: boolean;
  bigEndian: boolean;
};

export const aplicInfo: DeviceTypeInfo = {
  typeName: "riscv.aplic",
  description: "Advanced platform-level interrupt controller, one domain of it",
  properties: {
    "num-irqs": property(uint32, { default: 97, description: "including the absent source 0" }),
    "iprio-mask": property(uint32, { default: APLIC_PRIORITY_MASK }),
    msimode: property(bool, { default: false }),
    mmode: property(bool, { default: false }),
  },
};

const reads0 = { read: (): number => 0 };

export class Aplic implements MmioDevice {
  readonly typeName: string = aplicInfo.typeName;
  readonly mmioLengthBytes: number = 0x8000;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<AplicState>;
  readonly #options: AplicOptions;
  readonly #sources: Sources;
  /** Empty when interrupts go out as messages. */
  readonly #harts: readonly IrqLine[];
  readonly #registers;
  #interruptEnable = false;
  #bigEndian = false;

  constructor(options: AplicOptions) {
    const { delivery, level, parent, sourceCount, trace } = options;
    assert(parent !== undefined || level === "machine", "the root domain is a machine-level one");
    this.#options = options;
    this.#harts = delivery.kind === "direct" ? delivery.harts : [];
    this.#sources = new Sources({
      count: sourceCount,
      ...(parent === undefined ? {} : { parent: parent.#sources }),
      levelsArePending: delivery.kind === "direct",
      // The smallest priority number that a target can have.
      initialTarget: delivery.kind === "direct" ? 1 : 0,
      changed: (id) => this.#sourceChanged(id),
    });
    const bank = Aplic.#bank(sourceCount, this.#harts.length);
    this.#registers = bank.file(this, trace);
    this.stateDescription = describeState("riscv.aplic", 1, [
      ...bank.stateFields,
      field("sourcecfg", list(u32)),
      field("target", list(u32)),
      field("pending", list(u32)),
      field("enabled", list(u32)),
      field("wires", list(u32)),
      field("interruptEnable", boolean),
      field("bigEndian", boolean),
    ]);
    this.mmio = {
      ...this.#registers.mmio({ min: 4, max: 4 }),
      read: (offset) => this.#ordered(offset, this.#registers.read(offset)),
      write: (offset, _width, value) => this.#registers.write(offset, this.#ordered(offset, value)),
    };
  }

  static #bank(sourceCount: number, hartCount: number) {
    const perSource = { rows: sourceCount, strideBytes: 4 };
    const perWord = { rows: Math.ceil((sourceCount + 1) / 32), strideBytes: 4 };
    const perHart = { rows: Math.max(1, hartCount), strideBytes: IDC_BYTES };
    const whenDirect = (d: Aplic): boolean => d.#isDirect;
    const whenRoot = (d: Aplic): boolean => !d.#isDirect && d.#options.parent === undefined;
    const idcWrote = (d: Aplic, _value: number, _before: number, hart: number): void => d.#updateHart(hart);
    const setPending = (d: Aplic, id: number): void => d.#sources.setPending(id, true);
    return registerBank("aplic", 4, {
      domaincfg: {
        at: 0x0,
        fields: domaincfg,
        read: (d: Aplic) => d.#readDomaincfg(),
        wrote: (d: Aplic, value) => d.#writeDomaincfg(value),
      },
      sourcecfg: {
        at: 0x4,
        repeat: perSource,
        read: (d: Aplic, i) => d.#sources.config(i + 1),
        wrote: (d: Aplic, value, _before, i) => d.#sources.configure(i + 1, value),
      },
      mmsiaddrcfg: { at: 0x1bc0, when: whenRoot, wrote: (d: Aplic, _v, before) => d.#keep("mmsiaddrcfg", before) },
      mmsiaddrcfgh: {
        at: 0x1bc4,
        when: whenRoot,
        fields: msiaddrcfgh,
        wrote: (d: Aplic, _value, before) => {
          // Locked before this write, or by it.
          if (getField(before, msiaddrcfgh.lock) === 1) d.#registers.values.mmsiaddrcfgh = before;
        },
      },
      smsiaddrcfg: { at: 0x1bc8, when: whenRoot, wrote: (d: Aplic, _v, before) => d.#keep("smsiaddrcfg", before) },
      smsiaddrcfgh: {
        at: 0x1bcc,
        when: whenRoot,
        fields: smsiaddrcfgh,
        wrote: (d: Aplic, _v, before) => d.#keep("smsiaddrcfgh", before),
      },
      setip: {
        at: 0x1c00,
        repeat: perWord,
        read: (d: Aplic, word) => d.#sources.pendingWord(word),
        wrote: (d: Aplic, value, _before, word) => d.#forEach(word, value, (id) => d.#sources.setPending(id, true)),
      },
      setipnum: { at: 0x1cdc, ...reads0, wrote: setPending },
      inClrip: {
        at: 0x1d00,
        repeat: perWord,
        read: (d: Aplic, word) => d.#sources.inputWord(word),
        wrote: (d: Aplic, value, _before, word) => d.#forEach(word, value, (id) => d.#sources.setPending(id, false)),
      },
      clripnum: { at: 0x1ddc, ...reads0, wrote: (d: Aplic, id) => d.#sources.setPending(id, false) },
      setie: {
        at: 0x1e00,
        repeat: perWord,
        read: (d: Aplic, word) => d.#sources.enabledWord(word),
        wrote: (d: Aplic, value, _before, word) => d.#forEach(word, value, (id) => d.#sources.setEnabled(id, true)),
      },
      setienum: { at: 0x1edc, ...reads0, wrote: (d: Aplic, id) => d.#sources.setEnabled(id, true) },
      clrie: {
        at: 0x1f00,
        repeat: perWord,
        ...reads0,
        wrote: (d: Aplic, value, _before, word) => d.#forEach(word, value, (id) => d.#sources.setEnabled(id, false)),
      },
      clrienum: { at: 0x1fdc, ...reads0, wrote: (d: Aplic, id) => d.#sources.setEnabled(id, false) },
      setipnumLe: { at: SETIPNUM_LE, ...reads0, wrote: setPending },
      setipnumBe: { at: SETIPNUM_BE, ...reads0, wrote: setPending },
      genmsi: {
        at: 0x3000,
        // Never busy: a message has arrived when the write that sends it is done.
        mask: (TARGET_HART_MASK | TARGET_IDENTITY_MASK) >>> 0,
        wrote: (d: Aplic, value) => d.#generate(value),
      },
      target: {
        at: 0x3004,
        repeat: perSource,
        read: (d: Aplic, i) => d.#sources.target(i + 1),
        wrote: (d: Aplic, value, _before, i) => d.#retarget(i + 1, value),
      },
      idelivery: { at: IDC_BASE, repeat: perHart, mask: 1, when: whenDirect, wrote: idcWrote },
      iforce: { at: IDC_BASE + 0x4, repeat: perHart, mask: 1, when: whenDirect, wrote: idcWrote },
      ithreshold: { at: IDC_BASE + 0x8, repeat: perHart, mask: APLIC_PRIORITY_MASK, when: whenDirect, wrote: idcWrote },
      topi: {
        at: IDC_BASE + 0x18,
        repeat: perHart,
        when: whenDirect,
        read: (d: Aplic, hart) => d.#topi(hart),
        wrote: () => undefined,
      },
      claimi: {
        at: IDC_BASE + 0x1c,
        repeat: perHart,
        when: whenDirect,
        read: (d: Aplic, hart) => d.#claimi(hart),
        wrote: () => undefined,
      },
    });
  }

  /** The wire of source `id`, 1 to `sourceCount`; the root domain's. */
  source(id: number): IrqLine {
    assert(this.#options.parent === undefined, "wires go to the root domain");
    assert(id >= 1 && id <= this.#sources.count, "an APLIC source exists", id);
    return { set: (level) => this.#sources.setWire(id, level) };
  }

  /** Priority number of the top interrupt of a hart, 0 when there is none. */
  topPriority(hart: number): number {
    return this.#topi(hart) & APLIC_PRIORITY_MASK;
  }

  reset(): void {
    this.#registers.reset();
    this.#interruptEnable = false;
    this.#bigEndian = false;
    // As with a PLIC: whoever holds a wire high says so again.
    this.#sources.reset();
    this.#update();
  }

  saveState(): AplicState {
    return {
      ...this.#registers.save(),
      ...this.#sources.saveState(),
      interruptEnable: this.#interruptEnable,
      bigEndian: this.#bigEndian,
    };
  }

  loadState(state: AplicState): void {
    this.#registers.load(state);
    this.#sources.loadState(state);
    this.#interruptEnable = state.interruptEnable;
    this.#bigEndian = state.bigEndian;
    this.#update();
  }

  get #isDirect(): boolean {
    return this.#options.delivery.kind === "direct";
  }

  #readDomaincfg(): number {
    return (
      DOMAINCFG_FIXED |
      (this.#interruptEnable ? domaincfg.interruptEnable.mask : 0) |
      (this.#isDirect ? 0 : domaincfg.msiDelivery.mask) |
      (this.#bigEndian ? domaincfg.bigEndian.mask : 0)
    );
  }

  #writeDomaincfg(value: number): void {
    this.#interruptEnable = getField(value, domaincfg.interruptEnable) === 1;
    this.#bigEndian = getField(value, domaincfg.bigEndian) === 1;
    this.#update();
  }

  /** A word in the byte order of its register (§4.5.1, §4.5.13, §4.5.14). */
  #ordered(offset: number, value: number): number {
    if (offset === SETIPNUM_LE) return value;
    return this.#bigEndian || offset === SETIPNUM_BE ? swap32(value) : value;
  }

  #forEach(word: number, bits: number, act: (id: number) => void): void {
    for (let i = 0; i < 32; i++) if ((bits & (1 << i)) !== 0) act(32 * word + i);
  }

  /** The addresses of messages do not change once they are locked. */
  #keep(register: "mmsiaddrcfg" | "smsiaddrcfg" | "smsiaddrcfgh", before: number): void {
    const { values } = this.#registers;
    if (getField(values.mmsiaddrcfgh, msiaddrcfgh.lock) === 1) values[register] = before;
  }

  #retarget(id: number, value: number): void {
    const priority = value & APLIC_PRIORITY_MASK;
    const low = this.#isDirect ? (priority === 0 ? 1 : priority) : value & TARGET_IDENTITY_MASK;
    const before = this.#sources.hartIndex(id);
    this.#sources.setTarget(id, ((value & TARGET_HART_MASK) | low) >>> 0);
    // The hart that had it may have nothing now.
    if (this.#isDirect) this.#updateHart(before);
  }

  #sourceChanged(id: number): void {
    if (this.#isDirect) this.#updateHart(this.#sources.hartIndex(id));
    else this.#forward(id);
  }

  #update(): void {
    if (this.#isDirect) for (let hart = 0; hart < this.#harts.length; hart++) this.#updateHart(hart);
    else for (let id = 1; id <= this.#sources.count; id++) this.#forward(id);
  }

  // Direct delivery (§4.8).

  #updateHart(hart: number): void {
    const { idelivery, iforce } = this.#registers.values;
    const delivers = this.#interruptEnable && idelivery[hart] === 1;
    this.#harts[hart]?.set(delivers && (iforce[hart] === 1 || this.#topi(hart) !== 0));
  }

  /** The source of the smallest priority number below the threshold, the lowest among equals, and that number. */
  #topi(hart: number): number {
    const threshold = this.#registers.values.ithreshold[hart]!;
    const sources = this.#sources;
    let best = 0;
    let bestPriority = threshold === 0 ? APLIC_PRIORITY_MASK + 1 : threshold;
    for (let word = 0; 32 * word <= sources.count; word++) {
      let waiting = sources.pendingWord(word) & sources.enabledWord(word);
      while (waiting !== 0) {
        const id = 32 * word + 31 - Math.clz32(waiting & -waiting);
        waiting &= waiting - 1;
        if (sources.hartIndex(id) !== hart) continue;
        const priority = sources.target(id) & APLIC_PRIORITY_MASK;
        if (priority >= bestPriority) continue;
        best = id;
        bestPriority = priority;
      }
    }
    return best === 0 ? 0 : (best << 16) | bestPriority;
  }

  #claimi(hart: number): number {
    const topi = this.#topi(hart);
    if (topi === 0) this.#registers.values.iforce[hart] = 0;
    else this.#sources.taken(topi >>> 16);
    this.#updateHart(hart);
    return topi;
  }

  // Delivery as messages (§4.9).

  #forward(id: number): void {
    if (!this.#interruptEnable || !this.#sources.interrupts(id)) return;
    this.#sources.taken(id);
    this.#send(this.#sources.target(id));
  }

  /** A write of genmsi, which is read-only zero in direct delivery. */
  #generate(value: number): void {
    if (this.#isDirect) this.#registers.values.genmsi = 0;
    else this.#send(value);
  }

  #send(target: number): void {
    const { delivery } = this.#options;
    assert(delivery.kind === "msi", "messages are sent by a domain that delivers so");
    const address = msiAddress(this.#addressing(), target >>> TARGET_HART_SHIFT);
    delivery.port.send(address, target & TARGET_IDENTITY_MASK);
  }

  /** The root domain says for all of them where interrupt files are. */
  #addressing(): MsiAddressing {
    let root: Aplic = this;
    while (root.#options.parent !== undefined) root = root.#options.parent;
    const { mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh: supervisor } = root.#registers.values;
    const isMachine = this.#options.level === "machine";
    const high = isMachine ? mmsiaddrcfgh : supervisor;
    return {
      basePage: (BigInt(getField(high, msiaddrcfgh.basePage)) << 32n) | BigInt(isMachine ? mmsiaddrcfg : smsiaddrcfg),
      lowShift: getField(high, msiaddrcfgh.lowShift),
      lowWidth: getField(mmsiaddrcfgh, msiaddrcfgh.lowWidth),
      highShift: getField(mmsiaddrcfgh, msiaddrcfgh.highShift),
      highWidth: getField(mmsiaddrcfgh, msiaddrcfgh.highWidth),
    };
  }
}
