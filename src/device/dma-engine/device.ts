// A programmable DMA engine: transfers, patterns and scatter lists through the DMA port, a chunk at a time, by timer. It
// exists to be assigned: it moves data, dirties pages, faults and interrupts exactly as told.
import { alignDown, assert, getField, viewOf, type Iova, type Timer, type TimerPort } from "../../base/index.ts";
import type { AccessRule } from "../../memory/port.ts";
import { describeState, type DescriptionOf } from "../../state/index.ts";
import { PciFunction, type Activity, type PciDevice, type PciPorts } from "../pci/index.ts";
import { DmaStatus } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import { dmaEngineInfo, type DmaEngineConfig } from "./config.ts";
import { crc32 } from "./crc32.ts";
import { DmaEngineError } from "./errors.ts";
import {
  Cause,
  Control,
  Descriptor,
  DESCRIPTOR_DONE,
  DMA_ENGINE_ID,
  ENDLESS,
  FaultCause,
  INTERFACE_ID,
  MAX_DESCRIPTORS,
  MEMORY_BAR,
  Opcode,
  PAGE_BYTES,
  Register as R,
  REGISTER_BAR,
  REGISTER_BAR_BYTES,
  Status,
  Vectors,
} from "./spec.ts";
import { progressFields, type DmaEngineState, type Transfer } from "./state.ts";

/** Bytes moved without looking at the time, and most bytes before the machine has its next turn. */
const CHUNK_BYTES = 4096;
const TURN_BYTES = 0x4_0000;
const MSI_VECTORS = 4;
const WORDS_ONLY: AccessRule = { min: 4, max: 8 };

/** A transfer that cannot go on. */
interface Fault {
  readonly cause: number;
  readonly address: bigint;
}

export interface DmaEngineOptions extends DmaEngineConfig {
  /** As traces and fault logs call it. */
  readonly name: string;
  readonly timers: TimerPort;
  readonly ports: PciPorts;
}

export class DmaEngine implements PciDevice {
  static readonly #bank = registerBank("dma-engine", 4, {
    id: { at: R.id, access: "ro", read: () => INTERFACE_ID },
    localBytes: { at: R.localBytes, access: "ro", read: (d: DmaEngine) => d.localMemory.length },
    control: { at: R.control, fields: Control, wrote: (d: DmaEngine, value) => d.#controlWritten(value) },
    status: { at: R.status, access: "ro", fields: Status },
    interruptStatus: { at: R.interruptStatus, access: "w1c", mask: 7, wrote: (d: DmaEngine) => d.#updateLine() },
    interruptEnable: { at: R.interruptEnable, mask: 7, wrote: (d: DmaEngine) => d.#updateLine() },
    vectors: { at: R.vectors, fields: Vectors },
    rate: { at: R.rate },
    sourceLow: { at: R.sourceLow },
    sourceHigh: { at: R.sourceHigh },
    destinationLow: { at: R.destinationLow },
    destinationHigh: { at: R.destinationHigh },
    length: { at: R.length },
    pattern: { at: R.pattern },
    repeat: { at: R.repeat },
    listLow: { at: R.listLow },
    listHigh: { at: R.listHigh },
    listCount: { at: R.listCount },
    command: { at: R.command, wrote: (d: DmaEngine) => d.#start() },
    completed: { at: R.completed, access: "ro" },
    movedLow: { at: R.movedLow, access: "ro", read: (d: DmaEngine) => Number(d.#moved & 0xffff_ffffn) },
    movedHigh: { at: R.movedHigh, access: "ro", read: (d: DmaEngine) => Number(d.#moved >> 32n) },
    faultCause: { at: R.faultCause, access: "ro" },
    faultLow: { at: R.faultLow, access: "ro" },
    faultHigh: { at: R.faultHigh, access: "ro" },
    checksum: { at: R.checksum, access: "ro" },
    doorbellCount: { at: R.doorbellCount, access: "ro" },
    doorbellValue: { at: R.doorbellValue, access: "ro" },
  });

  readonly typeName: string = dmaEngineInfo.typeName;
  readonly pci: PciFunction;
  readonly localMemory: Uint8Array;
  readonly stateDescription: DescriptionOf<DmaEngineState> = describeState("dma-engine", 1, [
    ...DmaEngine.#bank.stateFields,
    ...progressFields,
  ]);
  readonly #registers;
  readonly #timers: TimerPort;
  readonly #timer: Timer;
  readonly #vectorCount: number;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #activity: Activity = "running";
  #transfer: Transfer | undefined;
  #listIndex = 0;
  #pass = 0;
  #passesLeft = 0;
  #moved = 0n;

  constructor(options: DmaEngineOptions) {
    const { name, memoryBytes, vectors, timers, ports } = options;
    this.localMemory = new Uint8Array(memoryBytes - 2 * PAGE_BYTES);
    this.#vectorCount = vectors;
    this.#timers = timers;
    this.#timer = timers.create(`${name}.work`, () => this.#work());
    this.#registers = DmaEngine.#bank.file(this, ports.trace);
    this.pci = new PciFunction({
      name,
      identity: DMA_ENGINE_ID,
      bars: [
        {
          index: REGISTER_BAR,
          kind: "memory",
          lengthBytes: REGISTER_BAR_BYTES,
          parts: [{ at: 0, lengthBytes: REGISTER_BAR_BYTES, handler: this.#registers.mmio(WORDS_ONLY) }],
        },
        {
          index: MEMORY_BAR,
          kind: "memory",
          lengthBytes: memoryBytes,
          widthBits: 64,
          prefetchable: true,
          parts: [
            {
              at: 0,
              lengthBytes: PAGE_BYTES,
              handler: {
                valid: WORDS_ONLY,
                impl: { min: 4, max: 4 },
                read: () => 0,
                write: (offset, _width, value) => {
                  if (offset === 0) this.#rung(value);
                },
              },
            },
            { at: PAGE_BYTES, lengthBytes: this.localMemory.length, bytes: this.localMemory },
          ],
        },
      ],
      interruptPin: 1,
      msi: MSI_VECTORS,
      msix: {
        vectorCount: vectors,
        bar: MEMORY_BAR,
        barOffset: memoryBytes - PAGE_BYTES,
        lengthBytes: PAGE_BYTES,
      },
      express: "endpoint",
      powerManagement: true,
      ports,
      onReset: () => this.#resetEngine(),
    });
  }

  reset(): void {
    this.pci.reset();
  }

  close(): void {
    this.#timer.disarm();
  }

  setActivity(activity: Activity): void {
    this.#activity = activity;
    this.#setStatus(Status.paused.mask, activity !== "running");
    if (activity === "running") this.#schedule(0);
    else this.#timer.disarm();
  }

  saveState(): DmaEngineState {
    return {
      ...this.#registers.save(),
      transfer: this.#transfer === undefined ? undefined : { ...this.#transfer },
      listIndex: this.#listIndex,
      pass: this.#pass,
      passesLeft: this.#passesLeft,
      moved: this.#moved,
    };
  }

  /** Throws DmaEngineError for a transfer that cannot be under way. */
  loadState(state: DmaEngineState): void {
    const { transfer } = state;
    if (transfer !== undefined && (transfer.doneBytes > transfer.lengthBytes || "cause" in this.#checked(transfer))) {
      throw new DmaEngineError("badState", "The saved transfer is none that this engine could have begun", {
        subject: this.pci.name,
      });
    }
    this.#registers.load(state);
    this.#transfer = transfer === undefined ? undefined : { ...transfer };
    this.#listIndex = state.listIndex;
    this.#pass = state.pass;
    this.#passesLeft = state.passesLeft;
    this.#moved = state.moved;
    this.setActivity(this.#activity);
    this.#updateLine();
  }

  #resetEngine(): void {
    this.#registers.reset();
    this.#timer.disarm();
    this.#transfer = undefined;
    this.#listIndex = 0;
    this.#pass = 0;
    this.#passesLeft = 0;
    this.#moved = 0n;
    // What the last user left must not be seen by the next one.
    this.localMemory.fill(0);
    this.#setStatus(Status.paused.mask, this.#activity !== "running");
  }

  get #isBusy(): boolean {
    return (this.#registers.values.status & Status.busy.mask) !== 0;
  }

  #setStatus(mask: number, on: boolean): void {
    const { values } = this.#registers;
    values.status = on ? values.status | mask : values.status & ~mask;
  }

  #controlWritten(value: number): void {
    this.#registers.values.control = value & Control.enable.mask;
    if ((value & Control.reset.mask) !== 0) {
      this.#resetEngine();
      this.#updateLine();
    } else if ((value & Control.stop.mask) !== 0 || (value & Control.enable.mask) === 0) {
      this.#setStatus(Status.busy.mask, false);
      this.#transfer = undefined;
      this.#timer.disarm();
    }
  }

  #rung(value: number): void {
    const { values } = this.#registers;
    values.doorbellCount++;
    values.doorbellValue = value;
    this.#raise(Cause.doorbell);
  }

  #start(): void {
    const { values } = this.#registers;
    // A start while busy or off is lost, as documented.
    if (this.#isBusy || (values.control & Control.enable.mask) === 0) return;
    values.completed = 0;
    values.faultCause = FaultCause.none;
    values.status = (values.status & Status.paused.mask) | Status.busy.mask;
    this.#listIndex = 0;
    this.#pass = 0;
    this.#passesLeft = values.repeat;
    this.#transfer = undefined;
    this.#schedule(0);
  }

  #schedule(delayNs: number): void {
    if (this.#isBusy && this.#activity === "running") this.#timer.arm(this.#timers.clock.nowNs() + delayNs);
  }

  /** One turn: chunks until the budget is spent, the rate says wait, or the work ends. */
  #work(): void {
    for (let left = TURN_BYTES; left > 0;) {
      const moved = this.#step();
      if (typeof moved !== "number") {
        this.#fail(moved);
        return;
      }
      if (!this.#isBusy) return;
      left -= Math.max(moved, 1);
      const { rate } = this.#registers.values;
      if (rate > 0 && moved > 0) {
        this.#schedule(Math.ceil((moved * 1000) / rate));
        return;
      }
    }
    this.#schedule(0);
  }

  /** Moves a chunk or gets the next transfer; how many bytes it moved, or what went wrong. */
  #step(): number | Fault {
    if (this.#transfer === undefined) {
      const next = this.#nextTransfer();
      if (next !== undefined && "cause" in next) return next;
      if (next === undefined) {
        this.#finishPass();
        return 0;
      }
      this.#transfer = next;
    }
    const transfer = this.#transfer;
    const lengthBytes = Math.min(CHUNK_BYTES, transfer.lengthBytes - transfer.doneBytes);
    if (lengthBytes > 0) {
      const fault = this.#move(transfer, this.#chunk.subarray(0, lengthBytes));
      if (fault !== undefined) return fault;
      transfer.doneBytes += lengthBytes;
      this.#moved += BigInt(lengthBytes);
    }
    if (transfer.doneBytes < transfer.lengthBytes) return lengthBytes;
    return this.#finishTransfer(transfer) ?? lengthBytes;
  }

  get #listAddress(): bigint {
    const { listLow, listHigh } = this.#registers.values;
    return join64(listLow, listHigh);
  }

  #isList(): boolean {
    return this.#registers.values.command === Opcode.list;
  }

  /** The pass's next transfer; undefined when it is through. */
  #nextTransfer(): Transfer | Fault | undefined {
    const { values } = this.#registers;
    if (!this.#isList()) {
      if (this.#listIndex > 0) return undefined;
      return this.#checked({
        opcode: values.command,
        source: join64(values.sourceLow, values.sourceHigh),
        destination: join64(values.destinationLow, values.destinationHigh),
        lengthBytes: values.length,
        doneBytes: 0,
        pattern: (values.pattern + this.#pass) >>> 0,
        crc: 0,
      });
    }
    if (this.#listIndex >= Math.min(values.listCount, MAX_DESCRIPTORS)) return undefined;
    const address = this.#listAddress + BigInt(this.#listIndex * Descriptor.lengthBytes);
    const bytes = new Uint8Array(Descriptor.lengthBytes);
    const fault = this.#read(address, bytes);
    if (fault !== undefined) return fault;
    const { opcode, source, destination, length, pattern } = Descriptor.decode(bytes);
    return this.#checked({
      opcode,
      source,
      destination,
      lengthBytes: length,
      doneBytes: 0,
      pattern: (pattern + this.#pass) >>> 0,
      crc: 0,
    });
  }

  /** Refuses what no chunk of it could do. */
  #checked(transfer: Transfer): Transfer | Fault {
    const { opcode, source, destination, lengthBytes } = transfer;
    if (opcode < Opcode.copy || opcode > Opcode.count) return { cause: FaultCause.badOpcode, address: BigInt(opcode) };
    const local = opcode === Opcode.load ? destination : opcode === Opcode.store ? source : 0n;
    const usesLocal = opcode === Opcode.load || opcode === Opcode.store;
    if (usesLocal && local + BigInt(lengthBytes) > BigInt(this.localMemory.length)) {
      return { cause: FaultCause.localRange, address: local };
    }
    return transfer;
  }

  #move(transfer: Transfer, chunk: Uint8Array): Fault | undefined {
    const at = BigInt(transfer.doneBytes);
    const source = transfer.source + at;
    const destination = transfer.destination + at;
    switch (transfer.opcode) {
      case Opcode.copy:
        return this.#read(source, chunk) ?? this.#write(destination, chunk);
      case Opcode.load:
        return this.#read(source, this.localMemory.subarray(Number(destination), Number(destination) + chunk.length));
      case Opcode.store:
        return this.#write(destination, this.localMemory.subarray(Number(source), Number(source) + chunk.length));
      case Opcode.check: {
        const fault = this.#read(source, chunk);
        if (fault === undefined) transfer.crc = crc32(transfer.crc, chunk);
        return fault;
      }
      default:
        fillWords(chunk, transfer);
        return this.#write(destination, chunk);
    }
  }

  #read(address: bigint, into: Uint8Array): Fault | undefined {
    const status = this.pci.dma.read(BigInt.asUintN(64, address) as Iova, into);
    return status === DmaStatus.ok ? undefined : { cause: causeOf(status), address };
  }

  #write(address: bigint, from: Uint8Array): Fault | undefined {
    const status = this.pci.dma.write(BigInt.asUintN(64, address) as Iova, from);
    return status === DmaStatus.ok ? undefined : { cause: causeOf(status) | FaultCause.write, address };
  }

  #finishTransfer(transfer: Transfer): Fault | undefined {
    const { values } = this.#registers;
    if (transfer.opcode === Opcode.check) values.checksum = transfer.crc;
    this.#transfer = undefined;
    const fault = this.#reportDescriptor(DESCRIPTOR_DONE);
    this.#listIndex++;
    values.completed++;
    return fault;
  }

  /** Writes a list entry's status. */
  #reportDescriptor(status: number): Fault | undefined {
    if (!this.#isList()) return undefined;
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, status, true);
    const entry = this.#listAddress + BigInt(this.#listIndex * Descriptor.lengthBytes);
    return this.#write(entry + BigInt(Descriptor.offsets.status), bytes);
  }

  #finishPass(): void {
    if (this.#passesLeft > 0) {
      if (this.#passesLeft !== ENDLESS) this.#passesLeft--;
      this.#pass = (this.#pass + 1) >>> 0;
      this.#listIndex = 0;
      return;
    }
    this.#setStatus(Status.busy.mask, false);
    this.#raise(Cause.done);
  }

  #fail({ cause, address }: Fault): void {
    const { values } = this.#registers;
    values.faultCause = cause;
    values.faultLow = Number(BigInt.asUintN(32, address));
    values.faultHigh = Number(BigInt.asUintN(32, address >> 32n));
    this.#transfer = undefined;
    this.#setStatus(Status.busy.mask, false);
    this.#setStatus(Status.fault.mask, true);
    // A list that cannot be reached either has nowhere to say so.
    this.#reportDescriptor(cause << 8);
    this.#raise(Cause.fault);
  }

  #raise(cause: number): void {
    const { values } = this.#registers;
    values.interruptStatus |= cause;
    this.#updateLine();
    if ((values.interruptEnable & cause) === 0) return;
    const which = cause === Cause.done ? Vectors.done : cause === Cause.fault ? Vectors.fault : Vectors.doorbell;
    this.pci.notify(Math.min(getField(values.vectors, which), this.#vectorCount - 1));
  }

  #updateLine(): void {
    const { interruptStatus, interruptEnable } = this.#registers.values;
    this.pci.setIntx((interruptStatus & interruptEnable) !== 0);
  }
}

function join64(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

function causeOf(status: DmaStatus): number {
  assert(status !== DmaStatus.ok, "a fault has a cause");
  return status === DmaStatus.decodeError ? FaultCause.unmapped : FaultCause.forbidden;
}

/** The next words of a fill or a count; a length that is no multiple of four ends within a word. */
function fillWords(chunk: Uint8Array, { opcode, pattern, doneBytes }: Transfer): void {
  const view = viewOf(chunk);
  const whole = alignDown(chunk.length, 4);
  const step = opcode === Opcode.count ? 1 : 0;
  let word = (pattern + step * (doneBytes / 4)) >>> 0;
  for (let at = 0; at < whole; at += 4) {
    view.setUint32(at, word, true);
    word = (word + step) >>> 0;
  }
  for (let at = whole; at < chunk.length; at++) chunk[at] = (word >>> (8 * (at - whole))) & 0xff;
}
