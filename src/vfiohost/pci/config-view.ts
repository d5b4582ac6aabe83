// Configuration space as a user sees it: some bits are the device's, some the host's copy, and a few writes do something.
// Behaviour: drivers/vfio/pci/vfio_pci_config.c of Linux 7.2.
import { pciSpec, type PciFunction } from "../../device/pci/index.ts";
import { Errno, type Caller } from "../../iommufd/index.ts";
import {
  ExpControl,
  HEADER_BYTES,
  headerBits,
  littleEndian,
  PmBits,
  shownCapabilities,
  type Permissions,
  type ShownCapability,
} from "./config-permissions.ts";

const { BAR_COUNT, BarFlag, CapabilityId, Command, Exp, ExpDeviceCapability, Header, Msi, MsiControl, Pm, PmControl } =
  pciSpec;

/** What a write to configuration space asks of the rest of the driver. */
export interface ConfigEffects {
  /** The user's interrupt disable bit changed. */
  interruptDisabled(disabled: boolean): void;
  /** A function-level reset was asked for. */
  resetFunction(): void;
  /** Whether MSI was turned on by ioctl; the enable bit alone does nothing. */
  readonly usesMsi: boolean;
  /** log2 of how many vectors that gave. */
  readonly msiVectorsLog2: number;
}

/** A capability in its place. */
interface Placed {
  readonly id: number;
  readonly at: number;
  readonly lengthBytes: number;
  readonly shown: ShownCapability;
}

/** An access within one capability and one dword. */
interface Chunk {
  readonly at: number;
  readonly widthBytes: 1 | 2 | 4;
  readonly place: Placed | undefined;
}

export class ConfigView {
  readonly #pci: PciFunction;
  readonly #effects: ConfigEffects;
  /** The host's copy. */
  readonly #copy: Uint8Array;
  readonly #places: Placed[] = [];
  #barsWritten = true;
  #interruptDisabled = false;

  constructor(pci: PciFunction, effects: ConfigEffects) {
    this.#pci = pci;
    this.#effects = effects;
    this.#copy = new Uint8Array(pci.config.lengthBytes);
    this.#fill(0, HEADER_BYTES);
    this.#findCapabilities();
  }

  /** Whether memory can be reached: decoding is on in the user's view, and the function is not in D3. */
  get memoryEnabled(): boolean {
    return (this.#copy[Header.command]! & Command.memory) !== 0 && this.#pci.powerState !== PmControl.d3hot;
  }

  get hasInterruptPin(): boolean {
    return this.#copy[Header.interruptPin] !== 0;
  }

  /** Reads into the caller's memory; how many bytes, or -EFAULT. */
  read(caller: Caller, at: number, va: bigint, lengthBytes: number): number {
    return this.#each(at, lengthBytes, (chunk, done) => {
      const value = this.#readChunk(chunk);
      const bytes = new Uint8Array(chunk.widthBytes);
      store(bytes, 0, chunk.widthBytes, value);
      return caller.memory.write(va + BigInt(done), bytes);
    });
  }

  write(caller: Caller, at: number, va: bigint, lengthBytes: number): number {
    return this.#each(at, lengthBytes, (chunk, done) => {
      if (!this.#takesWrites(chunk)) return true;
      const bytes = new Uint8Array(chunk.widthBytes);
      if (!caller.memory.read(va + BigInt(done), bytes)) return false;
      this.#writeChunk(chunk, littleEndian(bytes, 0, chunk.widthBytes));
      return true;
    });
  }

  #each(at: number, lengthBytes: number, visit: (chunk: Chunk, done: number) => boolean): number {
    for (let done = 0; done < lengthBytes;) {
      const from = at + done;
      if (from >= this.#copy.length || at + lengthBytes > this.#copy.length) return -Errno.EFAULT;
      const chunk = this.#chunkAt(from, lengthBytes - done);
      if (!visit(chunk, done)) return -Errno.EFAULT;
      done += chunk.widthBytes;
    }
    return lengthBytes;
  }

  #placeOf(at: number): Placed | undefined {
    return this.#places.find((p) => at >= p.at && at < p.at + p.lengthBytes);
  }

  /** The widest aligned piece that stays within one capability. */
  #chunkAt(at: number, lengthBytes: number): Chunk {
    const place = this.#placeOf(at);
    let same = 1;
    while ((at + same) % 4 !== 0 && this.#placeOf(at + same) === place) same++;
    const most = Math.min(lengthBytes, same);
    const widthBytes = most >= 4 && at % 4 === 0 ? 4 : most >= 2 && at % 2 === 0 ? 2 : 1;
    return { at, widthBytes, place };
  }

  #takesWrites({ at, place }: Chunk): boolean {
    if (at < HEADER_BYTES || place === undefined) return true;
    return place.shown.permissions !== undefined || place.shown.rawWrites === true;
  }

  #readChunk({ at, widthBytes, place }: Chunk): number {
    const physical = this.#pci.config.read(at, widthBytes);
    if (at < HEADER_BYTES) {
      if (this.#barsWritten && isBar(at)) this.#fixBars();
      return this.#mixed(headerBits, 0, at, widthBytes, physical);
    }
    // Between capabilities a device may hide registers: they are the device's.
    if (place === undefined) return physical;
    const { permissions } = place.shown;
    if (permissions !== undefined) return this.#mixed(permissions, place.at, at, widthBytes, physical);
    const bytes = new Uint8Array(4);
    store(bytes, 0, widthBytes, physical);
    for (let i = 0; i < widthBytes; i++) if (at + i < place.at + 2) bytes[i] = this.#copy[at + i]!;
    return littleEndian(bytes, 0, widthBytes);
  }

  #mixed(bits: Permissions, base: number, at: number, widthBytes: number, physical: number): number {
    const virtual = bits.virtualBits(at - base, widthBytes);
    return ((physical & ~virtual) | (littleEndian(this.#copy, at, widthBytes) & virtual)) >>> 0;
  }

  #writeChunk({ at, widthBytes, place }: Chunk, value: number): void {
    if (at < HEADER_BYTES) {
      this.#writeHeader(at, widthBytes, value);
    } else if (place?.shown.permissions === undefined) {
      this.#pci.config.write(at, widthBytes, value);
    } else {
      this.#writeMixed(place.shown.permissions, place.at, at, widthBytes, value);
      const offset = at - place.at;
      if (place.id === CapabilityId.powerManagement && offset === Pm.control) this.#setPowerState(place.at, value);
      if (place.id === CapabilityId.pciExpress) this.#expressWritten(place.at);
      const control = Msi.control;
      if (place.id === CapabilityId.msi && offset <= control && offset + widthBytes >= control) {
        this.#msiControlWritten(place.at + control);
      }
    }
  }

  /** Bits of the copy go there, bits of the device to the device. */
  #writeMixed(bits: Permissions, base: number, at: number, widthBytes: number, value: number): void {
    const virtual = bits.virtualBits(at - base, widthBytes);
    const writable = bits.writableBits(at - base, widthBytes);
    const copied = writable & virtual;
    if (copied !== 0) {
      const old = littleEndian(this.#copy, at, widthBytes);
      store(this.#copy, at, widthBytes, ((old & ~copied) | (value & copied)) >>> 0);
    }
    const direct = writable & ~virtual;
    if (direct === 0) return;
    const old = this.#pci.config.read(at, widthBytes);
    this.#pci.config.write(at, widthBytes, ((old & ~direct) | (value & direct)) >>> 0);
  }

  #writeHeader(at: number, widthBytes: number, value: number): void {
    this.#writeMixed(headerBits, 0, at, widthBytes, value);
    if (at === Header.command) {
      const decoding = Command.memory | Command.io;
      this.#copy[at] = (this.#copy[at]! & ~decoding) | (value & decoding);
    }
    if (at === Header.command || at === Header.command + 1) {
      const disabled = (littleEndian(this.#copy, Header.command, 2) & Command.interruptDisable) !== 0;
      if (disabled !== this.#interruptDisabled) {
        this.#interruptDisabled = disabled;
        this.#effects.interruptDisabled(disabled);
      }
    }
    if (isBar(at)) this.#barsWritten = true;
  }

  #setPowerState(at: number, value: number): void {
    this.#pci.config.write(at + Pm.control, 1, value & PmControl.state);
  }

  #expressWritten(at: number): void {
    const { config } = this.#pci;
    const control = littleEndian(this.#copy, at + Exp.deviceControl, 2);
    if ((control & ExpControl.initiateReset) !== 0) {
      store(this.#copy, at + Exp.deviceControl, 2, control & ~ExpControl.initiateReset);
      const capabilities = config.read(at + Exp.deviceCapabilities, 4);
      if ((capabilities & ExpDeviceCapability.functionReset) !== 0) this.#effects.resetFunction();
    }
    // Reads are never made smaller than the payloads that the host set up.
    const physical = config.read(at + Exp.deviceControl, 2);
    const payload = (physical & ExpControl.payload) >> ExpControl.payloadShift;
    const wanted = (control & ExpControl.readRequest) >> ExpControl.readRequestShift;
    const request = Math.max(payload, wanted) << ExpControl.readRequestShift;
    if ((physical & ExpControl.readRequest) === request) return;
    config.write(at + Exp.deviceControl, 2, (physical & ~ExpControl.readRequest) | request);
  }

  #msiControlWritten(at: number): void {
    let control = littleEndian(this.#copy, at, 2);
    if (!this.#effects.usesMsi) control &= ~MsiControl.enable;
    const most = this.#effects.msiVectorsLog2;
    if (((control >> MsiControl.enabledShift) & 7) > most) {
      control = (control & ~(7 << MsiControl.enabledShift)) | (most << MsiControl.enabledShift);
    }
    store(this.#copy, at, 2, control);
    this.#pci.config.write(at, 2, control);
  }

  /** Addresses in the copy get the low bits of what the device has. */
  #fixBars(): void {
    const words = Array.from({ length: BAR_COUNT }, (_, i) => littleEndian(this.#copy, Header.bar0 + 4 * i, 4));
    const fixed = words.map(() => 0);
    for (const bar of this.#pci.bars) {
      const mask = BigInt.asUintN(64, -BigInt(bar.lengthBytes));
      fixed[bar.index] = ((words[bar.index]! & Number(mask & 0xffff_ffffn)) | bar.flags) >>> 0;
      if ((bar.flags & BarFlag.memory64) !== 0 && bar.kind === "memory") {
        fixed[bar.index + 1] = (words[bar.index + 1]! & Number(mask >> 32n)) >>> 0;
      }
    }
    fixed.forEach((word, i) => store(this.#copy, Header.bar0 + 4 * i, 4, word));
    store(this.#copy, Header.romBar, 4, 0);
    this.#barsWritten = false;
  }

  #fill(at: number, lengthBytes: number): void {
    for (let i = at; i < at + lengthBytes; i++) this.#copy[i] = this.#pci.config.read(i, 1);
  }

  #findCapabilities(): void {
    const { config } = this.#pci;
    let link: number = Header.capabilities;
    for (let at = config.read(link, 1); at !== 0; at = config.read(at + 1, 1)) {
      const id = config.read(at, 1);
      const shown = shownCapabilities.get(id);
      const lengthBytes = shown?.lengthBytes === "vendor" ? config.read(at + 2, 1) : (shown?.lengthBytes ?? 0);
      if (shown === undefined || lengthBytes === 0) {
        this.#copy[link] = config.read(at + 1, 1);
        continue;
      }
      this.#fill(at, lengthBytes);
      if (id === CapabilityId.powerManagement) {
        this.#clearCopy(at + Pm.capabilities, PmBits.pmeSupport);
        this.#clearCopy(at + Pm.control, PmBits.pmeEnable | PmBits.pmeStatus);
      }
      this.#places.push({ id, at, lengthBytes, shown });
      link = at + 1;
    }
  }

  #clearCopy(at: number, bits: number): void {
    store(this.#copy, at, 2, littleEndian(this.#copy, at, 2) & ~bits);
  }
}

function isBar(at: number): boolean {
  const inBars = at >= Header.bar0 && at < Header.bar0 + 4 * BAR_COUNT;
  return inBars || (at >= Header.romBar && at < Header.romBar + 4);
}

function store(bytes: Uint8Array, at: number, widthBytes: number, value: number): void {
  for (let i = 0; i < widthBytes; i++) bytes[at + i] = (value >>> (8 * i)) & 0xff;
}
