// The seam of the kernel's ABI: who answers /dev/iommu calls (the software host, or Linux itself), and what an answer may
// ask of the caller: its memory, its descriptors, its rights. Everything is synchronous; results are Linux's: a value of
// zero or more, or a negative errno.

export { Errno } from "./uapi/errno.ts";

/** A run of pages that lie one after the other in one backing. */
export interface PageRun {
  readonly backing: PageBacking;
  /** Byte offset in the backing; a multiple of 4096. */
  readonly offset: number;
  readonly pageCount: number;
}

/** Bytes that outlive the mapping through which they were found: a shared object, a file, or one address space. */
export interface PageBacking {
  /** Pages are the same exactly when key and offset are. */
  readonly key: string;
  /** False when the bytes are out of reach (the only process that had them is gone, the file ends before). */
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  /** The bytes themselves, where this process can reach them without copying. */
  window?(offset: number, lengthBytes: number): Uint8Array | undefined;
  /** Told when the first page is pinned and when the last one no longer is. */
  pinned?(isPinned: boolean): void;
}

/** A file that can be mapped by descriptor (a memfd). */
export interface FileBacking extends PageBacking {
  readonly lengthBytes: number;
  /** The host is done with this look-up of the file. */
  close?(): void;
}

/** One address space; processes that share it share the object. */
export interface MemorySpace {
  readonly id: number;
}

export interface CallerMemory {
  readonly space: MemorySpace;
  /** Copies from the caller; false stands for EFAULT. */
  read(va: bigint, into: Uint8Array): boolean;
  /** Copies to the caller; false stands for EFAULT, and earlier bytes may have been written. */
  write(va: bigint, from: Uint8Array): boolean;
  /**
   * The pages from `va` (a multiple of 4096) on, in ascending order, for reading or for writing too. Undefined when one of
   * them is not mapped with that right, or the address space is gone.
   */
  pages(va: bigint, pageCount: number, forWriting: boolean): readonly PageRun[] | undefined;
}

export type Capability = "IPC_LOCK" | "SYS_RESOURCE" | "SYS_RAWIO";

export interface CallerCredentials {
  readonly pid: number;
  readonly uid: number;
  capable(capability: Capability): boolean;
  /** RLIMIT_MEMLOCK in pages; Infinity when unlimited. */
  memlockLimitPages(): number;
}

/** An eventfd of the caller, held by the host. */
export interface EventFd {
  /** Adds one, as the kernel does for an interrupt. */
  signal(): void;
  /** Takes the count whenever it is not zero, from now on, and tells so; the returned function ends it. */
  listen(onSignalled: () => void): () => void;
  /** The host is done with it. */
  release(): void;
}

/** The caller's descriptor table, as far as the host touches it. */
export interface CallerFiles {
  /** Gives `file` the lowest free descriptor, or a negative errno. */
  install(file: HostFile): number;
  /** The host's own file behind a descriptor. */
  lookup(fd: number): HostFile | undefined;
  /** Closes a descriptor; the last one of a file releases it. Zero or a negative errno. */
  close(fd: number): number;
  /** An ordinary file's pages; undefined when the descriptor is not open. */
  backing(fd: number): FileBacking | undefined;
  /** The eventfd behind a descriptor: -EBADF when it is not open, -EINVAL when it is another kind of file. */
  eventFd(fd: number): EventFd | number;
}

export interface Caller {
  readonly memory: CallerMemory;
  readonly files: CallerFiles;
  readonly credentials: CallerCredentials;
}

/** Readiness as poll(2) has it. */
export const PollEvent = { IN: 1, OUT: 4, ERR: 8, HUP: 16 } as const;

export const MapProtection = { READ: 1, WRITE: 2, EXEC: 4 } as const;

export interface MapRequest {
  readonly offset: bigint;
  readonly lengthBytes: number;
  /** Bits of `MapProtection`. */
  readonly protection: number;
  readonly shared: boolean;
}

/** A region that the caller may map. `release` is called once, when the last mapping is gone. */
export interface HostMapping {
  /** The region's bytes, shared with the host. */
  readonly bytes: Uint8Array;
  release(): void;
}

/** An open file of the host. The caller who acts is named with each call, since descriptors are inherited and passed on. */
export interface HostFile {
  ioctl(caller: Caller, command: number, argument: bigint): number;
  /** At the file's own position, or at `offset` (pread). */
  read(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number;
  write(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number;
  /** Bits of `PollEvent`. */
  poll(): number;
  /** A mapping, or a negative errno. */
  mmap(caller: Caller, request: MapRequest): HostMapping | number;
  /** The last descriptor was closed. */
  release(): void;
  /** Told when `poll` may give another answer; one listener. */
  onReadiness?: (() => void) | undefined;
}

export interface HostSession {
  /** A descriptor, or a negative errno (ENOENT when the path is none of the host's). */
  open(path: string): number;
  ioctl(fd: number, command: number, argument: bigint): number;
  /** At the descriptor's own position, or at `offset` (pread). */
  read(fd: number, bufferVa: bigint, lengthBytes: number, offset?: bigint): number;
  write(fd: number, bufferVa: bigint, lengthBytes: number, offset?: bigint): number;
  poll(fd: number): number;
  mmap(fd: number, request: MapRequest): HostMapping | number;
  close(fd: number): number;
}

export interface HostPort {
  /** Paths that `open` answers. */
  readonly paths: readonly string[];
  openFile(caller: Caller, path: string): HostFile | number;
  attach(caller: Caller): HostSession;
  /** Pages that this address space holds pinned and locked through the host (VmPin, VmLck). */
  lockedMemory(space: MemorySpace): { readonly pinnedPages: number; readonly lockedPages: number };
}
