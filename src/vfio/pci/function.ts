// An assigned device as a PCI function of a board: the host's configuration space, except for what only the VMM can answer:
// where BARs lie in the guest, and where messages go. What QEMU's vfio-pci does (hw/vfio/pci.c).
import { BarRegisters, ConfigSpace, MsiCapability, MsixTable, pciSpec } from "../../device/pci/index.ts";
import type { BusBar, BusFunction, ConfigRegister, PciPorts } from "../../device/pci/index.ts";
import { IommufdError, VfioDeviceFlag, VfioPciIrq, VfioPciRegion, type VfioRegion } from "../../iommufd/index.ts";
import { blob, bool, describeState, field, u16, type DescriptionOf, type Saveable } from "../../state/index.ts";
import type { AssignedDevice } from "../device.ts";
import { VfioError } from "../errors.ts";
import type { PeerMemory } from "../peer-memory.ts";
import type { EventPort } from "../port.ts";
import { HostConfig } from "./host-config.ts";
import { AssignedInterrupts } from "./interrupts.ts";
import { PassedRegisters } from "./passed-registers.ts";
import { RegionBar, type Overlay } from "./region-bar.ts";

const { BarFlag, CapabilityId, Command, Header, HEADER_MULTIFUNCTION, Msi, MsiControl, Msix, MsixControl, PIN_COUNT } =
  pciSpec;

export interface AssignedFunctionOptions {
  /** As traces call it. */
  readonly name: string;
  readonly device: AssignedDevice;
  readonly ports: Pick<PciPorts, "intx" | "msi" | "trace">;
  readonly events: EventPort;
  /** Where memory in its BARs is shared with the machine's other devices. */
  readonly peers: PeerMemory;
}

/**
 * Registers that the VMM answers, the command register as the guest last wrote it, MSI-X table and pending bits, whether the
 * guest's line is up, the host's registers that the guest may write.
 */
export type AssignedFunctionState = {
  config: Uint8Array;
  command: number;
  messages: Uint8Array;
  line: boolean;
  passed: Uint8Array;
};

interface PlacedBar {
  readonly bar: RegionBar;
  readonly registers: BarRegisters;
}

interface MessageTable {
  readonly at: number;
  readonly control: ConfigRegister;
  readonly table: MsixTable;
  readonly tableBytes: Uint8Array;
  readonly pendingBytes: Uint8Array;
}

export class AssignedFunction implements BusFunction, Saveable<DescriptionOf<AssignedFunctionState>> {
  readonly name: string;
  readonly config: BusFunction["config"];
  readonly bars: readonly BusBar[];
  onMapping: ((bar: BusBar) => void) | undefined;
  readonly stateDescription: DescriptionOf<AssignedFunctionState> = describeState("vfio-pci-function", 3, [
    field("config", blob),
    field("command", u16),
    field("messages", blob),
    field("line", bool, { since: 2, default: false }),
    field("passed", blob, { since: 3, default: new Uint8Array(0) }),
  ]);
  readonly #device: AssignedDevice;
  readonly #ports: AssignedFunctionOptions["ports"];
  readonly #host: HostConfig;
  /** Registers that the VMM answers; a byte of `#isOwn` says which. */
  readonly #own: ConfigSpace;
  readonly #isOwn: Uint8Array;
  readonly #bars: readonly PlacedBar[];
  readonly #interrupts: AssignedInterrupts;
  readonly #msi: MsiCapability | undefined;
  readonly #msix: MessageTable | undefined;
  readonly #passed: PassedRegisters;
  #command = 0;

  /** Throws VfioError for a device that is no PCI function, IommufdError where the host does not say what it is. */
  constructor({ name, device, ports, events, peers }: AssignedFunctionOptions) {
    const { client } = device;
    if ((device.facts.flags & VfioDeviceFlag.PCI) === 0) {
      throw new VfioError("unknownDevice", `Device ${device.name} is no PCI device; vfio-pci takes no other`, {
        subject: device.name,
      });
    }
    this.name = name;
    this.#device = device;
    this.#ports = ports;
    const onFailure = (what: string): void => ports.trace.guestError(name, what);
    this.#host = new HostConfig(client, client.region(VfioPciRegion.CONFIG), onFailure);
    this.#own = new ConfigSpace(this.#host.lengthBytes);
    this.#isOwn = new Uint8Array(this.#host.lengthBytes);
    const pin = this.#takePin();
    this.#interrupts = new AssignedInterrupts({
      client,
      events,
      intx: ports.intx,
      hasLine: pin !== 0,
      onMessage: (vector) => this.#messageCame(vector),
      onFailure,
    });
    this.#msi = this.#takeMsi();
    this.#msix = this.#takeMsix();
    this.#passed = new PassedRegisters(this.#host);
    const placed: PlacedBar[] = [];
    try {
      this.#takeBars(placed, peers, onFailure);
    } catch (error) {
      // What is shared with other devices would stay.
      for (const { bar } of placed) bar.close();
      throw error;
    }
    this.#bars = placed;
    this.bars = this.#bars.map(({ bar }) => bar);
    this.config = {
      lengthBytes: this.#host.lengthBytes,
      read: (at, widthBytes) => this.#readConfig(at, widthBytes),
      write: (at, widthBytes, value) => this.#writeConfig(at, widthBytes, value),
    };
    this.#host.known();
    this.#interrupts.useLine();
  }

  /** The bus was reset: the device too, where it can be. */
  reset(): void {
    this.#interrupts.close();
    this.#own.reset();
    this.#msix?.table.reset();
    this.#stopDma();
    try {
      this.#device.reset();
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#ports.trace.guestError(this.name, error.message);
    }
    this.#interrupts.useLine();
  }

  close(): void {
    this.#interrupts.close();
    for (const { bar } of this.#bars) bar.close();
  }

  /** Before anything else, as a reset by VFIO leaves configuration space as it was. */
  #stopDma(): void {
    const { io, memory, busMaster } = Command;
    const command = this.#host.read(Header.command, 2) & ~(io | memory | busMaster);
    this.#host.write(Header.command, 2, command);
    this.#setCommand(command);
  }

  saveState(): AssignedFunctionState {
    const { tableBytes } = this.#msix ?? { tableBytes: [] };
    return {
      config: this.#own.save(),
      command: this.#command,
      messages: Uint8Array.from([...tableBytes, ...this.#allPending()]),
      line: this.#interrupts.isLineHigh,
      passed: this.#passed.save(),
    };
  }

  /** Throws VfioError when the saved function is another one than this. */
  loadState({ config, command, messages, line, passed }: AssignedFunctionState): void {
    const tableBytes = this.#msix?.tableBytes.length ?? 0;
    const pendingBytes = this.#msix?.pendingBytes.length ?? 0;
    const register = config.length === this.#own.lengthBytes ? this.#own.mismatch(config) : "size";
    const fits = {
      "its MSI-X table": messages.length === tableBytes + pendingBytes,
      registers: this.#passed.fits(passed),
    };
    const difference = register ?? Object.entries(fits).find(([, does]) => !does)?.[0];
    if (difference !== undefined) {
      const message = `The saved state of ${this.name} is another device's: it differs in ${difference}`;
      throw new VfioError("otherDevice", message, { subject: this.name });
    }
    this.#own.load(config);
    this.#msix?.tableBytes.set(messages.subarray(0, tableBytes));
    this.#msix?.pendingBytes.set(messages.subarray(tableBytes));
    this.#host.write(Header.command, 2, command);
    this.#setCommand(command);
    this.#enableChanged();
    // What the guest has not acknowledged is up; the host raises it again if the device still asks.
    if (line) this.#interrupts.raiseLine();
    this.#passed.load(passed);
  }

  #readConfig(at: number, widthBytes: number): number {
    const host = this.#host.read(at, widthBytes);
    let value = 0;
    for (let i = widthBytes - 1; i >= 0; i--) {
      const own = this.#isOwn[at + i] === 1;
      const byte = own ? this.#own.read(at + i, 1) : (host >>> (8 * i)) & 0xff;
      value = value * 256 + (at + i === Header.headerType ? byte & ~HEADER_MULTIFUNCTION : byte);
    }
    return value;
  }

  #writeConfig(at: number, widthBytes: number, value: number): void {
    const isOwn = this.#isOwn.subarray(at, at + widthBytes);
    if (isOwn.includes(0)) this.#host.write(at, widthBytes, value);
    if (isOwn.includes(1)) this.#own.write(at, widthBytes, value);
    if (at <= Header.command + 1 && at + widthBytes > Header.command)
      this.#setCommand(this.#host.read(Header.command, 2));
  }

  #setCommand(command: number): void {
    this.#command = command;
    this.#decode();
  }

  #take(at: number, lengthBytes: number): void {
    this.#isOwn.fill(1, at, at + lengthBytes);
  }

  /** Which addresses the BARs have now. */
  #decode(): void {
    for (const { bar, registers } of this.#bars) {
      const enable = bar.kind === "io" ? Command.io : Command.memory;
      const address = (this.#command & enable) === 0 ? undefined : registers.address;
      if (address === bar.address) continue;
      bar.address = address;
      this.onMapping?.(bar);
    }
  }

  #takeBars(placed: PlacedBar[], peers: PeerMemory, onFailure: (what: string) => void): void {
    this.#take(Header.romBar, 4);
    let isUpperHalf = false;
    for (let index = 0; index < pciSpec.BAR_COUNT; index++) {
      if (isUpperHalf) {
        isUpperHalf = false;
        continue;
      }
      const at = Header.bar0 + 4 * index;
      const flags = this.#host.read(at, 4);
      const kind = (flags & BarFlag.io) === 0 ? "memory" : "io";
      const is64 = kind === "memory" && (flags & BarFlag.memory64) !== 0;
      isUpperHalf = is64;
      this.#take(at, is64 ? 8 : 4);
      const region = this.#device.client.region(index);
      if (region.lengthBytes === 0n) continue;
      const bar = new RegionBar({
        name: `${this.name}.bar${index}`,
        region,
        kind,
        client: this.#device.client,
        peers,
        overlays: this.#overlays(region),
        onAccess: () => this.#interrupts.acknowledge(),
        onFailure,
      });
      const registers = new BarRegisters(this.#own, {
        index,
        kind,
        is64,
        lengthBytes: bar.lengthBytes,
        flags: flags & (kind === "io" ? 3 : 15),
        onWrite: () => this.#decode(),
      });
      placed.push({ bar, registers });
    }
  }

  /** Which pin it has, as it was at the start: a device that vanishes must not change its wiring. 0 for none. */
  #takePin(): number {
    const given = this.#host.read(Header.interruptPin, 1);
    const pin = given <= PIN_COUNT ? given : 0;
    this.#take(Header.interruptPin, 1);
    this.#own.define("interruptPin", Header.interruptPin, { pin: { at: 0, widthBytes: 1, reset: pin } });
    return pin;
  }

  /** MSI is answered here, pointer to the next capability included. */
  #takeMsi(): MsiCapability | undefined {
    const at = this.#host.find(CapabilityId.msi);
    if (at === undefined) return undefined;
    const control = this.#host.read(at + Msi.control, 2);
    // The short forms cannot be masked; no device of a software host has them.
    if ((control & MsiControl.is64) === 0 || (control & MsiControl.perVectorMask) === 0) return undefined;
    this.#takeCapability("msi", at, Msi.lengthBytes);
    const vectorCount = 2 ** Math.min(5, (control >> MsiControl.capableShift) & 7);
    return new MsiCapability(this.#own, at, vectorCount, this.#ports.msi, () => this.#enableChanged());
  }

  #takeMsix(): MessageTable | undefined {
    const at = this.#host.find(CapabilityId.msix);
    if (at === undefined) return undefined;
    this.#takeCapability("msix", at, Msix.lengthBytes);
    const size = this.#host.read(at + Msix.control, 2) & MsixControl.sizeMask;
    const { control } = this.#own.define("msix", at, {
      control: {
        at: Msix.control,
        widthBytes: 2,
        reset: size,
        writable: MsixControl.enable | MsixControl.functionMask,
      },
      table: { at: Msix.table, widthBytes: 4, reset: this.#host.read(at + Msix.table, 4) },
      pending: { at: Msix.pending, widthBytes: 4, reset: this.#host.read(at + Msix.pending, 4) },
    });
    const vectorCount = size + 1;
    const tableBytes = new Uint8Array(vectorCount * Msix.entryBytes);
    const pendingBytes = new Uint8Array(Math.ceil(vectorCount / 64) * 8);
    const table = new MsixTable({
      vectorCount,
      table: tableBytes,
      pending: pendingBytes,
      port: this.#ports.msi,
      control: () => control.value,
      onMask: (vector) => {
        if (!table.isMasked(vector)) this.#interrupts.addVector(vector);
      },
    });
    control.onWrite = (value, before) => {
      if (((value ^ before) & MsixControl.enable) !== 0) this.#enableChanged();
      else this.#addUnmasked();
      table.sendPending();
    };
    return { at, control, table, tableBytes, pendingBytes };
  }

  #takeCapability(name: string, at: number, lengthBytes: number): void {
    this.#take(at, lengthBytes);
    this.#own.define(name, at, {
      id: { at: 0, widthBytes: 1, reset: this.#host.read(at, 1) },
      next: { at: 1, widthBytes: 1, reset: this.#host.read(at + 1, 1) },
    });
  }

  #overlays(region: VfioRegion): Overlay[] {
    if (this.#msix === undefined) return [];
    const { at, table, tableBytes, pendingBytes } = this.#msix;
    const overlay = (register: number, bytes: Uint8Array, handler: Overlay["handler"]): Overlay[] => {
      const place = this.#host.read(at + register, 4);
      const from = (place & ~7) >>> 0;
      const room = Number(region.lengthBytes) - from;
      return (place & 7) === region.index && room > 0
        ? [{ at: from, lengthBytes: Math.min(bytes.length, room), handler }]
        : [];
    };
    return [
      ...overlay(Msix.table, tableBytes, table.tableHandler),
      ...overlay(Msix.pending, pendingBytes, this.#pendingHandler(region)),
    ];
  }

  /** Pending bits here, and those of vectors that the guest has never opened, which wait in the device. */
  #allPending(): Uint8Array {
    if (this.#msix === undefined) return new Uint8Array(0);
    const { at, pendingBytes } = this.#msix;
    const place = this.#host.read(at + Msix.pending, 4);
    const all = new Uint8Array(pendingBytes.length);
    try {
      this.#device.client.read(this.#device.client.region(place & 7), BigInt((place & ~7) >>> 0), all);
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      all.fill(0);
    }
    pendingBytes.forEach((byte, i) => (all[i]! |= byte));
    return all;
  }

  #pendingHandler(region: VfioRegion): Overlay["handler"] {
    const { at, table } = this.#msix!;
    const bytes = new Uint8Array(4);
    const view = new DataView(bytes.buffer);
    return {
      ...table.pendingHandler,
      read: (offset, width) => {
        const from = (this.#host.read(at + Msix.pending, 4) & ~7) >>> 0;
        try {
          this.#device.client.read(region, BigInt(from + offset), bytes);
        } catch (error) {
          if (!(error instanceof IommufdError)) throw error;
          bytes.fill(0);
        }
        return (table.pendingHandler.read(offset, width)! | view.getUint32(0, true)) >>> 0;
      },
    };
  }

  #messageCame(vector: number): void {
    if (this.#msix?.table.enabled === true) this.#msix.table.notify(vector);
    else if (this.#msi?.enabled === true) this.#msi.notify(vector);
  }

  #enableChanged(): void {
    if (this.#msix?.table.enabled === true) this.#interrupts.useMessages(VfioPciIrq.MSIX, this.#unmasked());
    else if (this.#msi?.enabled === true) {
      const vectors = Array.from({ length: this.#msi.enabledCount }, (_, vector) => vector);
      this.#interrupts.useMessages(VfioPciIrq.MSI, vectors);
    } else this.#interrupts.useLine();
  }

  #unmasked(): number[] {
    const { table } = this.#msix!;
    return Array.from({ length: table.vectorCount }, (_, vector) => vector).filter((vector) => !table.isMasked(vector));
  }

  #addUnmasked(): void {
    if (this.#msix?.table.enabled !== true) return;
    for (const vector of this.#unmasked()) this.#interrupts.addVector(vector);
  }
}
