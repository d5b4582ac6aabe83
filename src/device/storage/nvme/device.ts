// The NVM Express controller, revision 1.4: registers, doorbells, interrupts, and how it starts and stops.
import { alignUp, getField, setField, type TimerPort, type TracePort } from "../../../base/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { PciFunction, type Activity, type PciDevice, type PciPorts } from "../../pci/index.ts";
import { QEMU_SUBSYSTEM } from "../../pci/spec.ts";
import type { WorkPort } from "../../port.ts";
import { registerBank } from "../../register-bank.ts";
import { nvmeInfo, type NvmeConfig } from "./config.ts";
import { Executor } from "./executor.ts";
import { NvmeError } from "./errors.ts";
import { NvmeNamespace, type NamespaceOptions } from "./namespace.ts";
import type { QueueSettings } from "./queue-set.ts";
import type { CompletionQueue } from "./queues.ts";
import { loadProgress, saveProgress } from "./saving.ts";
import {
  AsyncEvent,
  CapHigh,
  CapLow,
  COMPLETION_SHIFT,
  Config,
  CONFIG_WRITABLE,
  DOORBELL_BYTES,
  DOORBELL_OFFSET,
  MAX_PAGE_EXPONENT,
  NVME_IDENTITY,
  NVME_VERSION,
  READY_TIMEOUT,
  REGISTER_BAR,
  Register as R,
  ShutdownStatus,
  Status,
  SUBMISSION_SHIFT,
} from "./spec.ts";
import { nvmeState, type NvmeState } from "./state.ts";

const PAGE_BYTES = 4096;
/** Interrupts that the mask registers can hold back. */
const MASKED_VECTORS = 32;

export interface NvmeOptions {
  /** As traces call it. */
  readonly name: string;
  readonly config: NvmeConfig;
  readonly timers: TimerPort;
  /** Absent: commands begin at once, and several are done at a time. */
  readonly work?: WorkPort | undefined;
  readonly ports: PciPorts;
}

export class NvmeController implements PciDevice {
  static readonly #bank = registerBank("nvme", 4, {
    capabilitiesLow: {
      at: R.capabilitiesLow,
      access: "ro",
      read: (d: NvmeController): number =>
        (d.#config.queueEntries - 1) | CapLow.contiguous | (READY_TIMEOUT << CapLow.timeoutShift),
    },
    capabilitiesHigh: {
      at: R.capabilitiesHigh,
      access: "ro",
      read: () => CapHigh.nvmCommandSet | (MAX_PAGE_EXPONENT << CapHigh.maxPageShift),
    },
    version: { at: R.version, access: "ro", read: () => NVME_VERSION },
    interruptMaskSet: {
      at: R.interruptMaskSet,
      wrote: (d: NvmeController, value, before) => d.#setMask((before | value) >>> 0),
    },
    interruptMaskClear: {
      at: R.interruptMaskClear,
      read: (d: NvmeController): number => d.#mask,
      wrote: (d: NvmeController, value) => d.#setMask((d.#mask & ~value) >>> 0),
    },
    configuration: {
      at: R.configuration,
      mask: CONFIG_WRITABLE,
      wrote: (d: NvmeController, value, before) => d.#configured(value, before),
    },
    status: { at: R.status, access: "ro", fields: Status },
    adminQueueAttributes: { at: R.adminQueueAttributes, mask: 0x0fff_0fff },
    adminSubmissionLow: { at: R.adminSubmissionLow, mask: 0xffff_f000 },
    adminSubmissionHigh: { at: R.adminSubmissionHigh },
    adminCompletionLow: { at: R.adminCompletionLow, mask: 0xffff_f000 },
    adminCompletionHigh: { at: R.adminCompletionHigh },
  });

  readonly typeName: string = nvmeInfo.typeName;
  readonly pci: PciFunction;
  readonly stateDescription: DescriptionOf<NvmeState> = nvmeState(NvmeController.#bank.stateFields);
  readonly #config: NvmeConfig;
  readonly #registers;
  readonly #trace: TracePort;
  readonly #executor: Executor;
  readonly #namespaces = new Map<number, NvmeNamespace>();
  /** Changes with each reset, so that a shutdown knows whether it is still wanted. */
  #epoch = 0;

  constructor({ name, config, timers, work, ports }: NvmeOptions) {
    this.#config = config;
    this.#trace = ports.trace;
    this.#registers = NvmeController.#bank.file(this, ports.trace);
    const doorbellBytes = alignUp((config.queuePairs + 1) * 2 * DOORBELL_BYTES, PAGE_BYTES);
    const msixAt = DOORBELL_OFFSET + doorbellBytes;
    const msixBytes = 2 * alignUp(config.interruptVectors * 16, PAGE_BYTES);
    this.pci = new PciFunction({
      name,
      identity: { ...NVME_IDENTITY, ...QEMU_SUBSYSTEM },
      bars: [
        {
          index: REGISTER_BAR,
          kind: "memory",
          lengthBytes: 2 ** Math.ceil(Math.log2(msixAt + msixBytes)),
          widthBits: 64,
          parts: [
            { at: 0, lengthBytes: DOORBELL_OFFSET, handler: this.#registers.mmio() },
            { at: DOORBELL_OFFSET, lengthBytes: doorbellBytes, handler: this.#doorbells() },
          ],
        },
      ],
      interruptPin: 1,
      msix: { vectorCount: config.interruptVectors, bar: REGISTER_BAR, barOffset: msixAt, lengthBytes: msixBytes },
      express: "endpoint",
      powerManagement: true,
      ports,
      onReset: () => this.#resetDevice(),
    });
    this.#executor = new Executor({
      ...{ name, config, timers, work },
      namespaces: this.#namespaces,
      dma: this.pci.dma,
      trace: ports.trace,
      queueSettings: () => this.#queueSettings(),
      posted: (queue) => this.#posted(queue),
      failed: (reason) => this.#fail(reason),
    });
  }

  /** Told when a block node fails a command; the guest has got an error. */
  set onIoError(told: (operation: string, error: unknown) => void) {
    this.#executor.onIoError = told;
  }

  /** Before the machine starts; without a number it gets the lowest free one. Throws NvmeError. */
  addNamespace({ id = this.#firstFree(), ...options }: Omit<NamespaceOptions, "id"> & { readonly id?: number }): void {
    if (this.#namespaces.has(id)) {
      throw new NvmeError("badConfig", `namespace id '${id}' already allocated`, { subject: this.pci.name });
    }
    this.#namespaces.set(id, new NvmeNamespace({ ...options, id }));
  }

  reset(): void {
    this.pci.reset();
  }

  close(): void {
    this.#executor.close();
  }

  drain(): Promise<void> {
    return this.#executor.drain();
  }

  setActivity(activity: Activity): void {
    this.#executor.setRunning(activity === "running");
  }

  saveState(): NvmeState {
    return { ...this.#registers.save(), ...saveProgress(this.#executor) };
  }

  /** Throws NvmeError `badState`. */
  loadState(state: NvmeState): void {
    const isReady = getField(state.status, Status.ready) === 1;
    const isFatal = getField(state.status, Status.fatal) === 1;
    const before = this.#registers.save();
    this.#epoch++;
    // Commands that go on at once look at the registers.
    this.#registers.load(state);
    try {
      loadProgress(this.#executor, state, { isReady, isFatal });
    } catch (error) {
      this.#registers.load(before);
      throw error;
    }
    this.#updateLine();
    // A shutdown that was under way is done once more.
    if (getField(state.status, Status.shutdown) === ShutdownStatus.occurring) this.#shutDown();
  }

  get #pageBytes(): number {
    return 2 ** (12 + getField(this.#registers.values.configuration, Config.pageExponent));
  }

  get #mask(): number {
    return this.#registers.values.interruptMaskSet;
  }

  #firstFree(): number {
    let id = 1;
    while (this.#namespaces.has(id)) id++;
    return id;
  }

  #resetDevice(): void {
    this.#executor.reset();
    this.#epoch++;
    this.#registers.reset();
    for (const namespace of this.#namespaces.values()) namespace.blockShift = namespace.initialBlockShift;
  }

  #setMask(mask: number): void {
    this.#registers.values.interruptMaskSet = mask;
    this.#updateLine();
  }

  #setStatus(field: (typeof Status)[keyof typeof Status], value: number): void {
    const { values } = this.#registers;
    values.status = setField(values.status, field, value);
  }

  /** §3.1.5: enabling, disabling, shutting down. */
  #configured(value: number, before: number): void {
    const enabled = getField(value, Config.enable) === 1;
    if (enabled && getField(before, Config.enable) === 0) this.#start();
    else if (!enabled && getField(before, Config.enable) === 1) this.#stop();
    const shutdown = getField(value, Config.shutdown);
    const shutdownBefore = getField(before, Config.shutdown);
    if (shutdown !== 0 && shutdownBefore === 0) this.#shutDown();
    else if (shutdown === 0 && shutdownBefore !== 0) this.#setStatus(Status.shutdown, ShutdownStatus.none);
  }

  #start(): void {
    const problem = this.#startProblem();
    if (problem !== undefined) return this.#fail(problem);
    const { values } = this.#registers;
    const attributes = values.adminQueueAttributes;
    this.#executor.queues.addAdmin(
      { base: join64(values.adminSubmissionLow, values.adminSubmissionHigh), entries: (attributes & 0xfff) + 1 },
      { base: join64(values.adminCompletionLow, values.adminCompletionHigh), entries: (attributes >>> 16) + 1 },
    );
    this.#setStatus(Status.ready, 1);
    this.#executor.setReady(true);
  }

  #startProblem(): string | undefined {
    const { values } = this.#registers;
    const { configuration, adminQueueAttributes } = values;
    if (getField(configuration, Config.commandSet) !== 0) return "another command set than NVM is selected";
    if (getField(configuration, Config.arbitration) !== 0) return "another arbitration than round robin is selected";
    if (getField(configuration, Config.pageExponent) > MAX_PAGE_EXPONENT) return "the page size is too large";
    if ((adminQueueAttributes & 0xfff) === 0 || adminQueueAttributes >>> 16 === 0)
      return "an admin queue has one entry";
    const pageMask = BigInt(this.#pageBytes - 1);
    for (const base of [
      join64(values.adminSubmissionLow, values.adminSubmissionHigh),
      join64(values.adminCompletionLow, values.adminCompletionHigh),
    ]) {
      if (base === 0n || (base & pageMask) !== 0n) return "an admin queue does not begin at a page";
    }
    return undefined;
  }

  /** A controller reset, §7.3.2: admin queue registers stay. */
  #stop(): void {
    this.#epoch++;
    this.#executor.reset();
    this.#registers.values.status = 0;
    this.#updateLine();
  }

  /** §7.6.2: what is in volatile caches becomes durable. */
  #shutDown(): void {
    const epoch = this.#epoch;
    this.#setStatus(Status.shutdown, ShutdownStatus.occurring);
    this.#executor.runForHost(async () => {
      for (const { node } of this.#namespaces.values()) {
        try {
          await node.flush();
        } catch (error) {
          this.#executor.hostFailed("shutdown", error);
        }
      }
      const isWanted = getField(this.#registers.values.configuration, Config.shutdown) !== 0;
      if (epoch === this.#epoch && isWanted) this.#setStatus(Status.shutdown, ShutdownStatus.complete);
    });
  }

  /** The controller can do nothing any more until it is reset. */
  #fail(reason: string): void {
    this.#trace.guestError(this.pci.name, `${reason}; the controller needs a reset`);
    this.#setStatus(Status.fatal, 1);
    this.#executor.setReady(false);
  }

  #queueSettings(): QueueSettings {
    const { configuration } = this.#registers.values;
    return {
      pageBytes: this.#pageBytes,
      entriesFit:
        getField(configuration, Config.submissionShift) === SUBMISSION_SHIFT &&
        getField(configuration, Config.completionShift) === COMPLETION_SHIFT,
      usesMsix: this.pci.msix!.enabled,
    };
  }

  #doorbells(): MmioHandler {
    return {
      impl: { min: 4, max: 4 },
      // §3.1.24: what they read is not defined.
      read: () => 0,
      write: (offset, _width, value) => this.#rung(offset / DOORBELL_BYTES, value),
    };
  }

  /** Doorbells alternate: tail of submission queue n, head of completion queue n. */
  #rung(doorbell: number, value: number): void {
    const { queues, events } = this.#executor;
    if (getField(this.#registers.values.status, Status.ready) === 0) {
      return this.#trace.guestError(this.pci.name, `doorbell ${doorbell} is rung before the controller is ready`);
    }
    const id = doorbell >>> 1;
    const isTail = (doorbell & 1) === 0;
    const queue = isTail ? queues.submission.get(id) : queues.completion.get(id);
    if (queue === undefined) return this.#wrongDoorbell(`doorbell ${doorbell} belongs to no queue`, false);
    if (value >= queue.entries) {
      return this.#wrongDoorbell(`doorbell ${doorbell}: ${value} is past the end of the queue`, true);
    }
    if (isTail) queue.tail = value;
    else {
      queue.head = value;
      this.#updateLine();
      if (id === 0) events.report();
    }
    this.#executor.take();
  }

  #wrongDoorbell(reason: string, isValue: boolean): void {
    this.#trace.guestError(this.pci.name, reason);
    this.#executor.events.raise(isValue ? AsyncEvent.invalidDoorbellValue : AsyncEvent.invalidDoorbell);
  }

  #posted(queue: CompletionQueue): void {
    if (!queue.interrupts) return;
    this.#updateLine();
    this.pci.notify(queue.vector);
  }

  /** §7.5.1.1: high while a queue that interrupts and is not masked holds something. */
  #updateLine(): void {
    const mask = this.#mask;
    let level = false;
    for (const queue of this.#executor.queues.completion.values()) {
      const masked = queue.vector < MASKED_VECTORS && ((mask >>> queue.vector) & 1) === 1;
      if (queue.interrupts && queue.hasEntries && !masked) level = true;
    }
    this.pci.setIntx(level);
  }
}

function join64(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
