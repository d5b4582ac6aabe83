// A PCI function: configuration space, base address registers, interrupts, power state, reset. It stands on a bus of our
// own board, behind an assigning host, or in a server; the ports are all it sees of them.
import { assert, type Iova } from "../../base/index.ts";
import { blob, bool, describeState, field, type DescriptionOf, type Saveable } from "../../state/index.ts";
import { DmaStatus, type DmaPort } from "../port.ts";
import { PciBar, type BarSpec } from "./bar.ts";
import { BarRegisters } from "./bar-registers.ts";
import { ConfigSpace, type ConfigRegister } from "./config-space.ts";
import { PciStateError } from "./errors.ts";
import { MsiCapability } from "./msi.ts";
import { MsixCapability, type MsixOptions } from "./msix.ts";
import type { BusBar, BusFunction, PciPorts } from "./port.ts";
import * as spec from "./spec.ts";

export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  readonly revisionId?: number;
  /** Class, subclass and programming interface: 24 bits. */
  readonly classCode: number;
}

/** A root port has the header of a bridge, and a slot. */
export type ExpressKind = "endpoint" | "integrated-endpoint" | "root-port";

export interface PciFunctionOptions {
  /** As traces call it. */
  readonly name: string;
  readonly identity: PciIdentity;
  readonly bars: readonly BarSpec[];
  /** 1 to 4 for INTA to INTD; default 0, no pin. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** How many vectors; absent: no such capability. */
  readonly msi?: number;
  readonly msix?: MsixOptions;
  /** PCI Express with 4 KiB of configuration space and function-level reset; absent: conventional. */
  readonly express?: ExpressKind;
  readonly powerManagement?: boolean;
  readonly ports: PciPorts;
  /** Puts the device behind the function into its state after power-on. */
  readonly onReset: () => void;
}

export type PciFunctionState = {
  config: Uint8Array;
  /** MSI-X table and pending bits; empty without MSI-X. */
  msix: Uint8Array;
  intxLevel: boolean;
};

function headerTable(options: PciFunctionOptions, isBridge: boolean) {
  const { identity, interruptPin = 0 } = options;
  const { Header, Command, Status } = spec;
  const hasMemory = isBridge || options.bars.some((bar) => bar.kind === "memory");
  const hasIo = isBridge || options.bars.some((bar) => bar.kind === "io");
  const command =
    Command.busMaster |
    Command.parityError |
    Command.serrEnable |
    (interruptPin === 0 ? 0 : Command.interruptDisable) |
    (hasMemory ? Command.memory : 0) |
    (hasIo ? Command.io : 0);
  return {
    vendorId: { at: Header.vendorId, widthBytes: 2, reset: identity.vendorId },
    deviceId: { at: Header.deviceId, widthBytes: 2, reset: identity.deviceId },
    command: { at: Header.command, widthBytes: 2, writable: command },
    status: {
      at: Header.status,
      widthBytes: 2,
      clearable: Status.writeOnes,
      isLive: true,
    },
    revisionId: { at: Header.revisionId, widthBytes: 1, reset: identity.revisionId ?? 0 },
    classCode: { at: Header.classCode, widthBytes: 3, reset: identity.classCode },
    cacheLineSize: { at: Header.cacheLineSize, widthBytes: 1, writable: 0xff },
    latencyTimer: { at: Header.latencyTimer, widthBytes: 1 },
    headerType: { at: Header.headerType, widthBytes: 1, reset: isBridge ? spec.HEADER_BRIDGE : 0 },
    bist: { at: Header.bist, widthBytes: 1 },
    capabilities: { at: Header.capabilities, widthBytes: 1 },
    interruptLine: { at: Header.interruptLine, widthBytes: 1, writable: 0xff },
    interruptPin: { at: Header.interruptPin, widthBytes: 1, reset: interruptPin },
  } as const;
}

function subsystemTable({ identity }: PciFunctionOptions) {
  const { subsystemVendorId = identity.vendorId, subsystemId = identity.deviceId } = identity;
  return {
    subsystemVendorId: { at: spec.Header.subsystemVendorId, widthBytes: 2, reset: subsystemVendorId },
    subsystemId: { at: spec.Header.subsystemId, widthBytes: 2, reset: subsystemId },
  } as const;
}

export class PciFunction implements BusFunction, Saveable<DescriptionOf<PciFunctionState>> {
  readonly name: string;
  readonly config: ConfigSpace;
  readonly bars: readonly PciBar[];
  readonly msi: MsiCapability | undefined;
  readonly msix: MsixCapability | undefined;
  readonly isExpress: boolean;
  /** Byte offset of the PCI Express capability; 0 without it. */
  readonly expressAt: number = 0;
  readonly hasInterruptPin: boolean;
  /** DMA as far as command register and power state allow it. */
  readonly dma: DmaPort;
  /** Told when a BAR begins, ceases or moves to be decoded; `bar.address` says where. */
  onMapping: ((bar: BusBar) => void) | undefined;
  /** Told when the command register was written. */
  onCommand: (() => void) | undefined;
  readonly stateDescription: DescriptionOf<PciFunctionState> = describeState("pci-function", 1, [
    field("config", blob),
    field("msix", blob),
    field("intxLevel", bool),
  ]);
  readonly #ports: PciPorts;
  readonly #onReset: () => void;
  readonly #command: ConfigRegister;
  readonly #status: ConfigRegister;
  readonly #barRegisters: readonly { readonly bar: PciBar; readonly registers: BarRegisters }[];
  readonly #power: ConfigRegister | undefined;
  #nextCapability: number = spec.FIRST_CAPABILITY;
  /** Where the next capability's offset goes. */
  #lastCapability: ConfigRegister;
  #intxLevel = false;

  constructor(options: PciFunctionOptions) {
    this.name = options.name;
    this.#ports = options.ports;
    this.#onReset = options.onReset;
    this.isExpress = options.express !== undefined;
    this.hasInterruptPin = (options.interruptPin ?? 0) !== 0;
    this.config = new ConfigSpace(this.isExpress ? spec.EXTENDED_CONFIG_BYTES : spec.CONFIG_BYTES);
    const isBridge = options.express === "root-port";
    const header = this.config.define("header", 0, headerTable(options, isBridge));
    if (!isBridge) this.config.define("header", 0, subsystemTable(options));
    this.#command = header.command;
    this.#status = header.status;
    this.#lastCapability = header.capabilities;
    if (options.powerManagement === true) this.#power = this.#addPowerManagement();
    const { msi, msix } = options;
    // The line is silent while messages are on.
    const onControl = (): void => this.#updateIntx();
    if (msi !== undefined) {
      const at = this.addCapability("msi", spec.CapabilityId.msi, spec.Msi.lengthBytes);
      this.msi = new MsiCapability(this.config, at, msi, this.#messages(), onControl);
    }
    if (options.express !== undefined) this.expressAt = this.#addExpress(options.express);
    if (msix !== undefined) {
      const at = this.addCapability("msix", spec.CapabilityId.msix, spec.Msix.lengthBytes);
      this.msix = new MsixCapability(this.config, at, msix, this.#messages(), onControl);
    }
    this.bars = options.bars.map((bar) => {
      const table = msix?.bar === bar.index ? [this.msix!.part] : [];
      return new PciBar(this.name, { ...bar, parts: [...bar.parts, ...table] });
    });
    this.#barRegisters = this.bars.map((bar) => ({ bar, registers: this.#defineBar(bar) }));
    this.#command.onWrite = () => {
      this.#decode();
      this.onCommand?.();
    };
    this.dma = this.#gatedDma(options.ports.dma);
  }

  /** Bits of `spec.Command` that are set. */
  get command(): number {
    return this.#command.value;
  }

  get canMasterBus(): boolean {
    return (this.#command.value & spec.Command.busMaster) !== 0 && this.powerState !== spec.PmControl.d3hot;
  }

  /** 0 for D0 to 3 for D3hot. */
  get powerState(): number {
    return this.#power === undefined ? 0 : this.#power.value & spec.PmControl.state;
  }

  bar(index: number): PciBar | undefined {
    return this.bars.find((bar) => bar.index === index);
  }

  /** Appends a capability to the list; its offset. Registers past the two header bytes are defined by the caller. */
  addCapability(name: string, id: number, lengthBytes: number): number {
    const at = this.#nextCapability;
    assert(at + lengthBytes <= spec.CONFIG_BYTES, "capabilities have room", name);
    const { next } = this.config.define(name, at, {
      id: { at: 0, widthBytes: 1, reset: id },
      next: { at: 1, widthBytes: 1 },
    });
    this.#status.setFixed(spec.Status.capabilities);
    this.#lastCapability.setFixed(at);
    this.#lastCapability = next;
    this.#nextCapability = (at + lengthBytes + 3) & ~3;
    return at;
  }

  /** Whether the device is to signal by messages; otherwise by the line. */
  get usesMessages(): boolean {
    return this.msix?.enabled === true || this.msi?.enabled === true;
  }

  /** Signals a vector of whichever kind of message software has enabled. */
  notify(vector: number): void {
    if (this.msix?.enabled === true) this.msix.notify(vector);
    else if (this.msi?.enabled === true) this.msi.notify(vector);
  }

  /** The device's interrupt condition, for the line. */
  setIntx(level: boolean): void {
    this.#intxLevel = level;
    this.#updateIntx();
  }

  /** A reset of this function: by the bus, by software, or at power-on. */
  reset(): void {
    this.config.reset();
    this.msix?.reset();
    this.#intxLevel = false;
    this.#decode();
    this.#onReset();
    this.#updateIntx();
  }

  saveState(): PciFunctionState {
    return {
      config: this.config.save(),
      msix: this.msix?.save() ?? new Uint8Array(0),
      intxLevel: this.#intxLevel,
    };
  }

  /** Throws PciStateError when the saved function is another one than this. */
  loadState(state: PciFunctionState): void {
    if (state.config.length !== this.config.lengthBytes) {
      const message = `Saved configuration space has ${state.config.length} bytes; ${this.config.lengthBytes} are needed`;
      throw new PciStateError("otherFunction", message, { subject: this.name });
    }
    if (state.msix.length !== (this.msix?.part.lengthBytes ?? 0)) {
      throw new PciStateError("otherFunction", "Saved MSI-X table has another length", { subject: this.name });
    }
    const register = this.config.mismatch(state.config);
    if (register !== undefined) {
      const message = `Saved configuration space differs in the read-only register ${register}`;
      throw new PciStateError("otherFunction", message, { subject: this.name });
    }
    this.config.load(state.config);
    this.msix?.load(state.msix);
    this.#intxLevel = state.intxLevel;
    this.#decode();
    this.onCommand?.();
  }

  #messages(): { send(address: bigint, data: number): void } {
    return {
      // A message is a memory write: it needs what DMA needs.
      send: (address, data) => {
        if (this.canMasterBus) this.#ports.msi.send(address, data);
      },
    };
  }

  #gatedDma(dma: DmaPort): DmaPort {
    return {
      read: (at, into) => (this.canMasterBus ? dma.read(at, into) : DmaStatus.decodeError),
      write: (at, bytes) => (this.canMasterBus ? dma.write(at, bytes) : DmaStatus.decodeError),
      readWindow: (at: Iova, lengthBytes) => (this.canMasterBus ? dma.readWindow(at, lengthBytes) : undefined),
      writeWindow: (at: Iova, lengthBytes) => (this.canMasterBus ? dma.writeWindow(at, lengthBytes) : undefined),
      fence: () => dma.fence(),
    };
  }

  #defineBar(bar: PciBar): BarRegisters {
    const { index, kind, is64, lengthBytes, flags } = bar;
    return new BarRegisters(this.config, { index, kind, is64, lengthBytes, flags, onWrite: () => this.#decode() });
  }

  /** Works out what the bus decodes now. */
  #decode(): void {
    const off = this.powerState === spec.PmControl.d3hot;
    for (const { bar, registers } of this.#barRegisters) {
      const enable = bar.kind === "io" ? spec.Command.io : spec.Command.memory;
      const enabled = !off && (this.#command.value & enable) !== 0;
      const address = enabled ? registers.address : undefined;
      if (address === bar.address) continue;
      bar.address = address;
      this.onMapping?.(bar);
    }
    this.#updateIntx();
  }

  #updateIntx(): void {
    const level = this.#intxLevel && !this.usesMessages;
    const status = this.#status.value & ~spec.Status.interrupt;
    this.#status.value = status | (level ? spec.Status.interrupt : 0);
    const disabled = (this.#command.value & spec.Command.interruptDisable) !== 0;
    if (this.hasInterruptPin) this.#ports.intx.set(level && !disabled && this.powerState === 0);
  }

  #addPowerManagement(): ConfigRegister {
    const at = this.addCapability("pm", spec.CapabilityId.powerManagement, spec.Pm.lengthBytes);
    const { control } = this.config.define("pm", at, {
      // Version 3, no intermediate states, no wake-up events.
      capabilities: { at: spec.Pm.capabilities, widthBytes: 2, reset: 3 },
      control: {
        at: spec.Pm.control,
        widthBytes: 4,
        reset: spec.PmControl.noSoftReset,
        writable: spec.PmControl.state,
      },
    });
    control.onWrite = (value, before) => {
      const state = value & spec.PmControl.state;
      // PCI PM 1.2 §3.2.4: a state that the function does not have is not entered.
      if (state === 1 || state === 2) control.value = before;
      this.#decode();
    };
    return control;
  }

  #addExpress(kind: ExpressKind): number {
    const { Exp, ExpFlags, ExpDeviceCapability } = spec;
    const at = this.addCapability("express", spec.CapabilityId.pciExpress, Exp.lengthBytes);
    const hasLink = kind !== "integrated-endpoint";
    const isPort = kind === "root-port";
    const portType = { endpoint: ExpFlags.endpoint, "integrated-endpoint": ExpFlags.integratedEndpoint };
    const type = isPort ? ExpFlags.rootPort | ExpFlags.slotImplemented : portType[kind];
    const { deviceControl } = this.config.define("express", at, {
      flags: { at: Exp.flags, widthBytes: 2, reset: ExpFlags.version2 | type },
      deviceCapabilities: {
        at: Exp.deviceCapabilities,
        widthBytes: 4,
        reset: ExpDeviceCapability.roleBasedErrors | (isPort ? 0 : ExpDeviceCapability.functionReset),
      },
      // Relaxed ordering and no-snoop on, 512-byte reads, as after power-on; bit 15 starts a reset and reads 0.
      deviceControl: { at: Exp.deviceControl, widthBytes: 2, reset: 0x2810, writable: isPort ? 0x7fff : 0xf8ff },
      deviceStatus: { at: Exp.deviceStatus, widthBytes: 2, clearable: 0x000f, isLive: true },
      linkCapabilities: { at: Exp.linkCapabilities, widthBytes: 4, reset: hasLink ? spec.EXP_LINK.capabilities : 0 },
      linkControl: { at: Exp.linkControl, widthBytes: 2, writable: hasLink ? 0x00cb : 0 },
      linkStatus: {
        at: Exp.linkStatus,
        widthBytes: 2,
        reset: hasLink ? spec.EXP_LINK.status : 0,
        isLive: isPort,
      },
      deviceCapabilities2: { at: Exp.deviceCapabilities2, widthBytes: 4 },
      deviceControl2: { at: Exp.deviceControl2, widthBytes: 2 },
    });
    if (isPort) return at;
    deviceControl.onWrite = (value) => {
      if ((value & spec.ExpDeviceControl.initiateReset) !== 0) this.reset();
    };
    return at;
  }
}
