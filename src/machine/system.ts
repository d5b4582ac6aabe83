// A machine's physical side: its memory, the address space over it, the devices placed in that, and who must be closed.
import type { Device, MmioDevice } from "../device/index.ts";
import {
  AddressSpace,
  containerRegion,
  mmioRegion,
  ramRegion,
  type MemoryRegion,
  type RamBlock,
  type World,
} from "../memory/index.ts";
import type { Saveable } from "../state/index.ts";
import type { LoadSegment } from "./boot/image.ts";

/** One byte past the last guest-physical address that a board may use. */
const SPACE_BYTES = 2 ** 53;
const ZEROES = new Uint8Array(0x1_0000);

export interface PlacedDevice {
  readonly name: string;
  readonly at: number;
  readonly device: MmioDevice;
}

export class System {
  readonly space: AddressSpace;
  /** Everything with saved state, by a name that is the same in every machine of this configuration. */
  readonly saveables: Map<string, Saveable> = new Map();
  readonly #root: MemoryRegion = containerRegion("system", SPACE_BYTES);
  readonly #devices = new Set<Device>();
  readonly #placed: PlacedDevice[] = [];
  readonly #closers: (() => void)[] = [];

  constructor(world: World) {
    this.space = new AddressSpace("memory", this.#root, world);
    this.#closers.push(
      () => world.close(),
      () => this.space.close(),
    );
  }

  /** Puts a block of RAM or a ROM at `at`. */
  placeRam(block: RamBlock, at: number): void {
    this.#root.add(ramRegion(block), at);
  }

  /** Puts a device's registers at `at`; it is reset, saved and closed with the others. */
  place<D extends MmioDevice>(name: string, at: number, device: D): D {
    this.adopt(name, device);
    this.show(mmioRegion(name, device.mmioLengthBytes, device.mmio), at);
    this.#placed.push({ name, at, device });
    return device;
  }

  /** Devices with places of their own, in the order of placing. */
  get placed(): readonly PlacedDevice[] {
    return this.#placed;
  }

  /**
   * Takes a device that is reached through another one: it is reset, saved and closed with the others. The function that
   * is returned closes it and forgets it.
   */
  adopt(name: string, device: Device): () => void {
    const close = (): void => device.close?.();
    this.#closers.push(close);
    this.#devices.add(device);
    this.saveables.set(name, device);
    return () => {
      this.#closers.splice(this.#closers.indexOf(close), 1);
      this.#devices.delete(device);
      this.saveables.delete(name);
      close();
    };
  }

  /** Puts a region at `at`; where several overlap, the highest priority is seen. */
  show(region: MemoryRegion, at: number, priority?: number): void {
    this.#root.add(region, at, priority);
  }

  resetDevices(): void {
    for (const device of this.#devices) device.reset();
  }

  /** Writes bytes into RAM or a ROM, as whoever loads images. */
  load(at: number, bytes: Uint8Array): void {
    this.space.load(at, bytes, this.space.world.notes.source("loader"));
  }

  /** Writes an image, with the zeroes that belong to it. */
  loadSegment({ at, bytes, lengthBytes, zeroRest }: LoadSegment): void {
    this.load(at, bytes);
    if (!zeroRest) return;
    for (let done = bytes.length; done < lengthBytes; done += ZEROES.length) {
      this.load(at + done, ZEROES.subarray(0, Math.min(ZEROES.length, lengthBytes - done)));
    }
  }

  /** In the opposite order of opening; idempotent. */
  close(): void {
    for (const close of this.#closers.splice(0).reverse()) close();
  }
}
