// A buffer that an exporter shares by descriptor and can take back at any time (a PCI region, or the test exporter's memory).
import type { Caller, HostFile, HostMapping, PageBacking } from "../port.ts";
import { Errno } from "../uapi/index.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { HostMemory } from "./host-memory.ts";

export class DmaBuf implements HostFile {
  readonly lengthBytes: number;
  readonly bytes: Uint8Array;
  /** Whether the exporter offers its physical range to IOMMUs; others cannot be mapped. */
  readonly offersPhysicalRange: boolean;
  revoked = false;
  /** Told when nobody refers to it any more. */
  onGone: (() => void) | undefined;
  readonly firstFrame: number;
  readonly #memory: HostMemory;
  readonly #importers = new Set<() => void>();
  #references = 1;

  constructor(memory: HostMemory, bytes: Uint8Array, offersPhysicalRange: boolean) {
    this.#memory = memory;
    this.bytes = bytes;
    this.lengthBytes = bytes.length;
    this.offersPhysicalRange = offersPhysicalRange;
    const backing: PageBacking = {
      key: `dmabuf:${memory.nextSerial()}`,
      read: (offset, into) => {
        if (offset + into.length > bytes.length) return false;
        into.set(bytes.subarray(offset, offset + into.length));
        return true;
      },
      write: (offset, from) => {
        if (offset + from.length > bytes.length) return false;
        bytes.set(from, offset);
        return true;
      },
      window: (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
    };
    this.firstFrame = memory.frames.pin(backing, 0, this.lengthBytes / PAGE_SIZE);
  }

  get(): void {
    this.#references++;
  }

  put(): void {
    if (--this.#references > 0) return;
    this.#memory.frames.unpin(this.firstFrame, this.lengthBytes / PAGE_SIZE);
    this.onGone?.();
  }

  attach(onRevoke: () => void): void {
    this.#importers.add(onRevoke);
  }

  detach(onRevoke: () => void): void {
    this.#importers.delete(onRevoke);
  }

  /** Changes the exporter's mind; importers drop their mappings either way, as the kernel's invalidation does. */
  setRevoked(revoked: boolean): void {
    this.revoked = revoked;
    for (const importer of [...this.#importers]) importer();
  }

  ioctl(): number {
    return -Errno.ENOTTY;
  }

  read(): number {
    return -Errno.EINVAL;
  }

  write(): number {
    return -Errno.EINVAL;
  }

  poll(): number {
    return 0;
  }

  mmap(_caller: Caller): HostMapping | number {
    return -Errno.EINVAL;
  }

  release(): void {
    this.put();
  }
}
