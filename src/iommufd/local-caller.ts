// A caller in this process: its addresses are offsets in one run of bytes (the machine's memory), its descriptors a table.
import type {
  Caller,
  CallerCredentials,
  CallerFiles,
  CallerMemory,
  EventFd,
  FileBacking,
  HostFile,
  MemorySpace,
} from "./port.ts";
import { LocalEventFd } from "./local-event-fd.ts";
import { Errno } from "./uapi/index.ts";

const PAGE_SIZE = 4096;
const MAX_DESCRIPTORS = 1024;

export interface LocalCallerOptions {
  /** The caller's memory; address n is byte n. */
  readonly bytes: Uint8Array;
  readonly credentials?: Partial<CallerCredentials>;
  /** Names the memory where several callers see the same; default: this memory is its own. */
  readonly space?: MemorySpace;
  /** Told of bytes that a device of the host wrote. */
  readonly onDeviceWrite?: (offset: number, lengthBytes: number) => void;
}

let nextSpace = 1;

/** Pages of one run of bytes: one backing, addressed directly. */
function localMemory({ bytes, onDeviceWrite }: LocalCallerOptions, space: MemorySpace): CallerMemory {
  const inside = (va: bigint, lengthBytes: number): boolean => va + BigInt(lengthBytes) <= BigInt(bytes.length);
  const backing = bytesBacking(`local:${space.id}`, bytes, onDeviceWrite);
  return {
    space,
    read(va, into) {
      if (!inside(va, into.length)) return false;
      const at = Number(va);
      into.set(bytes.subarray(at, at + into.length));
      return true;
    },
    write(va, from) {
      if (!inside(va, from.length)) return false;
      bytes.set(from, Number(va));
      return true;
    },
    pages(va, pageCount) {
      return inside(va, pageCount * PAGE_SIZE) ? [{ backing, offset: Number(va), pageCount }] : undefined;
    },
  };
}

/** A backing over bytes of this process; `onWrite` is told of writes through it. */
export function bytesBacking(
  key: string,
  bytes: Uint8Array,
  onWrite?: (offset: number, lengthBytes: number) => void,
): FileBacking {
  return {
    key,
    lengthBytes: bytes.length,
    read(offset, into) {
      if (offset + into.length > bytes.length) return false;
      into.set(bytes.subarray(offset, offset + into.length));
      return true;
    },
    write(offset, from) {
      if (offset + from.length > bytes.length) return false;
      bytes.set(from, offset);
      onWrite?.(offset, from.length);
      return true;
    },
    window(offset, lengthBytes) {
      return offset + lengthBytes > bytes.length ? undefined : bytes.subarray(offset, offset + lengthBytes);
    },
  };
}

/** A descriptor table; two descriptors of one file (`duplicate`) release it when both are closed. */
export class LocalFiles implements CallerFiles {
  readonly #files = new Map<number, HostFile | FileBacking>();

  #lowestFree(): number {
    let fd = 3;
    while (this.#files.has(fd)) fd++;
    return fd;
  }

  #put(file: HostFile | FileBacking): number {
    const fd = this.#lowestFree();
    if (fd >= MAX_DESCRIPTORS) return -Errno.EMFILE;
    this.#files.set(fd, file);
    return fd;
  }

  install(file: HostFile): number {
    return this.#put(file);
  }

  /** Opens an ordinary file that can be mapped by descriptor. */
  installBacking(file: FileBacking): number {
    return this.#put(file);
  }

  duplicate(fd: number): number {
    const file = this.#files.get(fd);
    return file === undefined ? -Errno.EBADF : this.#put(file);
  }

  lookup(fd: number): HostFile | undefined {
    const file = this.#files.get(fd);
    return file !== undefined && "ioctl" in file ? file : undefined;
  }

  close(fd: number): number {
    const file = this.#files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    this.#files.delete(fd);
    if ("ioctl" in file && ![...this.#files.values()].includes(file)) file.release();
    return 0;
  }

  closeAll(): void {
    for (const fd of [...this.#files.keys()]) this.close(fd);
  }

  backing(fd: number): FileBacking | undefined {
    const file = this.#files.get(fd);
    if (file === undefined) return undefined;
    // The host's own files have no pages: mapping one by descriptor finds it empty.
    return "ioctl" in file ? bytesBacking(`none:${fd}`, new Uint8Array(0)) : file;
  }

  /** Opens an eventfd with a count of zero. */
  openEventFd(): number {
    return this.#put(new LocalEventFd());
  }

  eventFd(fd: number): EventFd | number {
    const file = this.#files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    return file instanceof LocalEventFd ? file.hold() : -Errno.EINVAL;
  }
}

export interface LocalCaller extends Caller {
  readonly files: LocalFiles;
}

export function makeLocalCaller(options: LocalCallerOptions): LocalCaller {
  const space = options.space ?? { id: nextSpace++ };
  return {
    memory: localMemory(options, space),
    files: new LocalFiles(),
    credentials: {
      pid: 1,
      uid: 0,
      capable: () => true,
      memlockLimitPages: () => Infinity,
      ...options.credentials,
    },
  };
}
