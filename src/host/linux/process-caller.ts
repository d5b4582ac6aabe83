// A process that calls the host: its memory, descriptors and rights, all read from /proc when they are needed.
import { closeSync, openSync, readFileSync, readlinkSync } from "node:fs";
import type { Caller, CallerCredentials, CallerFiles, Capability, FileBacking, HostFile } from "../../iommufd/port.ts";
import { Errno } from "../../iommufd/port.ts";
import { objectKeyOf, ProcessMemory, type SharedObjects } from "./process-memory.ts";

/** Bits of linux/capability.h. */
const CAPABILITY_BIT: Readonly<Record<Capability, bigint>> = { IPC_LOCK: 14n, SYS_RAWIO: 17n, SYS_RESOURCE: 24n };

/** A descriptor that the process brought along for a file that the call may make. */
interface SpareDescriptor {
  readonly fd: number;
  readonly inode: string;
}

export interface ProcessCallerOptions {
  readonly objects: SharedObjects;
  readonly pid: number;
  readonly uid: number;
  readonly spaceId: number;
  /** Rights that every caller has here, whatever the kernel gave it. */
  readonly granted: readonly Capability[];
  /** What the process proved itself by. */
  readonly nonce: readonly [bigint, bigint];
  /** The host's file behind a socket's inode. */
  readonly find: (inode: string) => HostFile | undefined;
  /** Ties a new file to one: zero or a negative errno. */
  readonly bind: (inode: string, file: HostFile) => number;
  readonly unbind: (inode: string) => void;
}

export class ProcessCaller implements Caller {
  readonly memory: ProcessMemory;
  readonly files: CallerFiles;
  readonly credentials: CallerCredentials;
  readonly nonce: readonly [bigint, bigint];
  #spare: SpareDescriptor | undefined;
  #spareUsed = false;

  /** Throws when the process cannot be read. */
  constructor(options: ProcessCallerOptions) {
    const { objects, pid, uid, granted, find, bind, unbind } = options;
    this.memory = new ProcessMemory(objects, pid, options.spaceId);
    this.nonce = options.nonce;
    this.credentials = {
      pid,
      uid,
      capable: (capability) =>
        granted.includes(capability) || ((effectiveCapabilities(pid) >> CAPABILITY_BIT[capability]) & 1n) === 1n,
      memlockLimitPages: () => memlockLimitPages(pid),
    };
    this.files = {
      install: (file) => {
        const spare = this.#spare;
        if (spare === undefined || this.#spareUsed) return -Errno.EMFILE;
        const rc = bind(spare.inode, file);
        if (rc < 0) return rc;
        this.#spareUsed = true;
        return spare.fd;
      },
      lookup: (fd) => {
        const inode = socketInode(pid, fd);
        return inode === undefined ? undefined : find(inode);
      },
      close: (fd) => {
        const spare = this.#spare;
        if (spare?.fd !== fd || !this.#spareUsed) return -Errno.EBADF;
        this.#spareUsed = false;
        unbind(spare.inode);
        return 0;
      },
      backing: (fd) => openBacking(objects, pid, fd),
      // An eventfd cannot be opened anew through /proc.
      eventFd: () => -Errno.EOPNOTSUPP,
    };
  }

  /** The descriptor that comes with the call at hand; a negative number for none. */
  bringAlong(fd: number, inode: string): void {
    this.#spare = fd < 0 ? undefined : { fd, inode };
    this.#spareUsed = false;
  }

  /** Whether the call at hand has made a file of it. */
  get spareUsed(): boolean {
    return this.#spareUsed;
  }
}

function effectiveCapabilities(pid: number): bigint {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readOrEmpty(`/proc/${pid}/status`));
  return line === null ? 0n : BigInt(`0x${line[1]!}`);
}

function memlockLimitPages(pid: number): number {
  const line = /^Max locked memory\s+(\S+)/m.exec(readOrEmpty(`/proc/${pid}/limits`));
  if (line === null) return 0;
  return line[1] === "unlimited" ? Infinity : Math.floor(Number(line[1]) / 4096);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** The inode of a process's socket; undefined when the descriptor is no socket. */
export function socketInode(pid: number, fd: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
  } catch {
    return undefined;
  }
}

function openBacking(objects: SharedObjects, pid: number, fd: number): FileBacking | undefined {
  let own: number;
  try {
    own = openSync(`/proc/${pid}/fd/${fd}`, "r+");
  } catch {
    return undefined;
  }
  try {
    const object = objects.get(objectKeyOf(own));
    object.adopt(own);
    return object;
  } catch {
    closeSync(own);
    return undefined;
  }
}
