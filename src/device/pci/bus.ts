// A PCI bus: functions in slots, their BARs placed where software puts them, their interrupt pins on four shared lines,
// configuration cycles led to them and, through bridges, to the buses behind.
import { assert } from "../../base/index.ts";
import type { TracePort } from "../../base/index.ts";
import { containerRegion, memoryTransaction, type MemoryRegion } from "../../memory/index.ts";
import type { DmaPort, IrqLine, MsiPort } from "../port.ts";
import type { BusBar, BusFunction, PciPorts } from "./port.ts";
import { SharedLine } from "./shared-line.ts";
import { FUNCTIONS_PER_SLOT, Header, HEADER_MULTIFUNCTION, PIN_COUNT, SLOT_COUNT } from "./spec.ts";

/** What a bus is connected to. */
export interface BusUpstream {
  /** DMA of the function named so. */
  dma(name: string): DmaPort;
  /** Messages of the function named so. */
  msi(name: string): MsiPort;
  readonly trace: TracePort;
}

export interface PciBusOptions {
  /** `pcie.0` */
  readonly name: string;
  readonly upstream: BusUpstream;
  /** What INTA to INTD of slot 0 drive; those of slot n are turned by n. */
  readonly lines: readonly IrqLine[];
  /** The bus's number now. */
  readonly number: () => number;
}

/** What a function that leads to another bus says of it. */
export interface BridgeRoute {
  readonly secondary: PciBus;
  /** The highest bus number behind it. */
  readonly subordinateNumber: number;
}

export interface PlugOptions {
  /** Other functions may be in the slot. */
  readonly isMultifunction?: boolean;
  readonly bridge?: BridgeRoute;
}

interface Plugged extends PlugOptions {
  readonly fn: BusFunction;
}

/** Slot and function as one number of 8 bits. */
export function devfn(slot: number, fn: number): number {
  assert(slot >= 0 && slot < SLOT_COUNT && fn >= 0 && fn < FUNCTIONS_PER_SLOT, "a slot and a function", slot, fn);
  return slot * FUNCTIONS_PER_SLOT + fn;
}

/** Addresses that BARs can have; what lies past it is decoded by nobody. */
const MEMORY_SPACE_BYTES = 2 ** 53;
const IO_SPACE_BYTES = 0x1_0000;

export class PciBus {
  readonly name: string;
  /** The bus's address spaces; whoever owns the bus shows parts of them elsewhere. */
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  readonly upstream: BusUpstream;
  readonly #number: () => number;
  readonly #lines: readonly SharedLine[];
  readonly #plugged = new Map<number, Plugged>();
  readonly #wires = new Map<number, Wire>();
  /** BARs that are placed. */
  readonly #placed = new Set<BusBar>();

  constructor(options: PciBusOptions) {
    assert(options.lines.length === PIN_COUNT, "a bus has four interrupt lines", options.name);
    this.name = options.name;
    this.upstream = options.upstream;
    this.#number = options.number;
    this.#lines = options.lines.map((line) => new SharedLine(line));
    this.memory = containerRegion(`${options.name}.memory`, MEMORY_SPACE_BYTES);
    this.io = containerRegion(`${options.name}.io`, IO_SPACE_BYTES);
  }

  get number(): number {
    return this.#number();
  }

  /** Functions by `devfn`, ascending. */
  get functions(): ReadonlyMap<number, BusFunction> {
    const sorted = [...this.#plugged].sort(([a], [b]) => a - b);
    return new Map(sorted.map(([at, { fn }]) => [at, fn]));
  }

  /** What the function that is going to be plugged at `at` is given. */
  ports(at: number, name: string): PciPorts {
    const intx = new Wire(() => this.#lineOf(at));
    this.#wires.set(at, intx);
    const { upstream } = this;
    return { intx, msi: upstream.msi(name), dma: upstream.dma(name), trace: upstream.trace };
  }

  /** Puts a function into its place, which is free; it answers configuration cycles from now on. */
  plug(at: number, fn: BusFunction, options: PlugOptions = {}): void {
    assert(!this.#plugged.has(at), "a function's place is free", this.name, at);
    this.#plugged.set(at, { fn, ...options });
    fn.onMapping = (bar) => this.#place(bar);
    memoryTransaction(() => {
      for (const bar of fn.bars) this.#place(bar);
    });
    this.#wires.get(at)?.plugged();
  }

  /** Takes a function out: nothing of it is seen afterwards, and its pin is low. */
  unplug(at: number): BusFunction {
    const plugged = this.#plugged.get(at);
    assert(plugged !== undefined, "there is a function to unplug", this.name, at);
    const { fn } = plugged;
    fn.onMapping = undefined;
    this.#wires.get(at)?.cut();
    this.#wires.delete(at);
    memoryTransaction(() => {
      for (const bar of fn.bars) this.#remove(bar);
    });
    this.#plugged.delete(at);
    return fn;
  }

  /** The bus with this number among this one and those behind its bridges. */
  find(busNumber: number): PciBus | undefined {
    if (busNumber === this.number) return this;
    for (const { bridge } of this.#plugged.values()) {
      if (bridge === undefined || busNumber < bridge.secondary.number || busNumber > bridge.subordinateNumber) continue;
      const found = bridge.secondary.find(busNumber);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** A configuration cycle, aligned. Where nobody answers there are ones. */
  readConfig(at: number, register: number, widthBytes: number): number {
    const plugged = this.#plugged.get(at);
    const ones = 2 ** (8 * widthBytes) - 1;
    if (plugged === undefined || register + widthBytes > plugged.fn.config.lengthBytes) return ones;
    const value = plugged.fn.config.read(register, widthBytes);
    const shown = Header.headerType - register;
    if (plugged.isMultifunction !== true || shown < 0 || shown >= widthBytes) return value;
    return (value | (HEADER_MULTIFUNCTION << (8 * shown))) >>> 0;
  }

  writeConfig(at: number, register: number, widthBytes: number, value: number): void {
    const fn = this.#plugged.get(at)?.fn;
    if (fn !== undefined && register + widthBytes <= fn.config.lengthBytes)
      fn.config.write(register, widthBytes, value);
  }

  /** A reset of everything on this bus. */
  reset(): void {
    for (const { fn } of this.#plugged.values()) fn.reset();
  }

  /** One more output on the line of a slot's pin, 0 for INTA (PCI-to-PCI Bridge 1.2, §9.1). */
  line(slot: number, pin: number): IrqLine {
    return this.#lines[(slot + pin) % PIN_COUNT]!.output();
  }

  /** Undefined while nothing is plugged there. */
  #lineOf(at: number): IrqLine | undefined {
    const plugged = this.#plugged.get(at);
    if (plugged === undefined) return undefined;
    const pin = plugged.fn.config.read(Header.interruptPin, 1);
    assert(pin >= 1 && pin <= PIN_COUNT, "a function that interrupts has a pin", this.name, at);
    return this.line(Math.floor(at / FUNCTIONS_PER_SLOT), pin - 1);
  }

  #place(bar: BusBar): void {
    memoryTransaction(() => {
      this.#remove(bar);
      const space = this.#space(bar);
      const { address } = bar;
      if (address === undefined || address + BigInt(bar.lengthBytes) > BigInt(space.lengthBytes)) return;
      space.add(bar.region, Number(address));
      this.#placed.add(bar);
    });
  }

  #remove(bar: BusBar): void {
    if (this.#placed.delete(bar)) this.#space(bar).remove(bar.region);
  }

  #space(bar: BusBar): MemoryRegion {
    return bar.kind === "io" ? this.io : this.memory;
  }
}

/**
 * From a function's pin to its line, which is known when the function is plugged: a device of a host may ask before that.
 * Nothing passes once it is cut.
 */
class Wire implements IrqLine {
  readonly #find: () => IrqLine | undefined;
  #line: IrqLine | undefined;
  #level = false;
  #isCut = false;

  constructor(find: () => IrqLine | undefined) {
    this.#find = find;
  }

  set(level: boolean): void {
    this.#level = level;
    if (this.#isCut || (!level && this.#line === undefined)) return;
    this.#line ??= this.#find();
    this.#line?.set(level);
  }

  plugged(): void {
    this.set(this.#level);
  }

  cut(): void {
    this.#line?.set(false);
    this.#isCut = true;
  }
}
