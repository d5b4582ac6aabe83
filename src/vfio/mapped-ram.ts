// Guest memory as an IOAS has it: a listener of the guest's address space that maps RAM and ROM where the guest sees them.
import { assert } from "../base/index.ts";
import { IommufdError, type IommufdClient } from "../iommufd/index.ts";
import {
  PAGE_BYTES,
  type AddressSpace,
  type MemoryListener,
  type MemorySection,
  type RamBlock,
} from "../memory/index.ts";

/** A run of guest memory that devices reach: IOVA equals guest-physical address. */
export interface MappedRange {
  readonly iova: number;
  readonly lengthBytes: number;
  /** Where its bytes lie in the machine's memory, which is their address for the host; page aligned. */
  readonly offset: number;
  readonly isWritable: boolean;
  readonly name: string;
}

/** A RAM block's file, where it has one. */
export interface BlockFile {
  readonly fd: number;
  /** Where in the file the block begins. */
  readonly startBytes: bigint;
}

export interface MappedRamOptions {
  readonly calls: Pick<IommufdClient, "map" | "mapFile" | "unmap">;
  readonly ioasId: number;
  /** Memory with a file is mapped by it, so that the mapping outlives this process's own. */
  readonly fileOf?: (block: RamBlock) => BlockFile | undefined;
  /** A range is about to be unmapped: what the host knows of writes to it goes with it. */
  readonly beforeUnmap: (range: MappedRange) => void;
  /** Memory that came while the machine runs and cannot be mapped: devices do not reach it. */
  readonly onFailure: (error: MappingError) => void;
  /** Memory that went and cannot be unmapped: devices still reach it, so that it is still tracked. */
  readonly onStuck: (message: string) => void;
}

/** Memory that the host does not map. */
export class MappingError extends Error {
  override readonly cause: IommufdError;
  /** `virt.ram at 0x80000000, 4096 bytes` */
  readonly where: string;

  constructor(where: string, cause: IommufdError) {
    super(`Memory ${where} cannot be mapped for devices: ${cause.message}`);
    this.where = where;
    this.cause = cause;
  }
}

export class MappedRam implements MemoryListener {
  readonly #options: MappedRamOptions;
  readonly #ranges = new Map<number, MappedRange>();
  #starting = false;
  #failures: MappingError[] = [];

  constructor(options: MappedRamOptions) {
    this.#options = options;
  }

  /** Ascending. */
  get ranges(): readonly MappedRange[] {
    return [...this.#ranges.values()].sort((a, b) => a.iova - b.iova);
  }

  /**
   * Maps what the address space has and follows its changes; the returned function unmaps everything. Throws the first
   * MappingError, with nothing mapped.
   */
  follow(space: AddressSpace): () => void {
    this.#starting = true;
    this.#failures = [];
    const stop = space.addListener(this);
    this.#starting = false;
    const [failure] = this.#failures;
    if (failure === undefined) return stop;
    stop();
    throw failure;
  }

  regionAdd(section: MemorySection): void {
    const range = mappable(section);
    if (range === undefined || this.#has(range)) return;
    try {
      this.#map(range, section);
    } catch (cause) {
      if (!(cause instanceof IommufdError)) throw cause;
      const error = new MappingError(placeOf(range), cause);
      if (this.#starting) this.#failures.push(error);
      else this.#options.onFailure(error);
      return;
    }
    this.#ranges.set(range.iova, range);
  }

  regionDel(section: MemorySection): void {
    const wanted = mappable(section);
    const range = wanted === undefined ? undefined : this.#ranges.get(wanted.iova);
    // One that could not be mapped was told of then.
    if (range === undefined) return;
    this.#options.beforeUnmap(range);
    try {
      const bytes = this.#options.calls.unmap(this.#options.ioasId, BigInt(range.iova), BigInt(range.lengthBytes));
      assert(bytes === BigInt(range.lengthBytes), "what was mapped is unmapped", range.name, bytes);
    } catch (cause) {
      if (!(cause instanceof IommufdError)) throw cause;
      this.#options.onStuck(`Memory ${placeOf(range)} went and cannot be unmapped for devices: ${cause.message}`);
      return;
    }
    this.#ranges.delete(range.iova);
  }

  /** One that could not be unmapped is still there. */
  #has(range: MappedRange): boolean {
    const there = this.#ranges.get(range.iova);
    if (there === undefined) return false;
    const { lengthBytes, offset, isWritable } = there;
    return lengthBytes === range.lengthBytes && offset === range.offset && isWritable === range.isWritable;
  }

  #map(range: MappedRange, section: MemorySection): void {
    const { calls, ioasId, fileOf } = this.#options;
    const options = {
      ioasId,
      iova: BigInt(range.iova),
      lengthBytes: BigInt(range.lengthBytes),
      writable: range.isWritable,
    };
    const block = section.block!;
    const file = fileOf?.(block);
    if (file === undefined) calls.map(BigInt(range.offset), options);
    else calls.mapFile(file.fd, file.startBytes + BigInt(range.offset - block.offset), options);
  }
}

function placeOf({ name, iova, lengthBytes }: MappedRange): string {
  return `${name} at 0x${iova.toString(16)}, ${lengthBytes} bytes`;
}

/** What of a section lies in whole pages of RAM or ROM; registers are nobody's memory. */
function mappable(section: MemorySection): MappedRange | undefined {
  const { block, region } = section;
  if (block === undefined) return undefined;
  const lead = -section.start & (PAGE_BYTES - 1);
  const lengthBytes = Math.floor((section.lengthBytes - lead) / PAGE_BYTES) * PAGE_BYTES;
  const offset = block.offset + section.offsetInRegion + lead;
  // A page of the guest that is not a page of the block cannot be mapped.
  if (lengthBytes <= 0 || offset % PAGE_BYTES !== 0) return undefined;
  const isWritable = !section.readOnly && !block.readOnly;
  return { iova: section.start + lead, lengthBytes, offset, isWritable, name: region.name };
}
