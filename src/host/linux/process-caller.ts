// A process that calls the host: its memory, descriptors and rights, all read from /proc when they are needed.
import { closeSync, openSync, readFileSync, readlinkSync } from "node:fs";
import type { Caller, CallerCredentials, CallerFiles, Capability, FileBacking, HostFile } from "../../iommufd/port.ts";
import { Errno } from "../../iommufd/port.ts";
import { objectKeyOf, ProcessMemory, type SharedObjects } from "./process-memory.ts";

/** Bits of linux/capability.h. */
const CAPABILITY_BIT: Readonly<Record<Capability, bigint>> = { IPC_LOCK: 14n, SYS_RAWIO: 17n, SYS_RESOURCE: 24n };

/** A descriptor that the process brought along for a file that the call may make. */
export interface SpareDescriptor {
  readonly fd: number;
  readonly inode: string;
}

export class ProcessCaller implements Caller {
  readonly memory: ProcessMemory;
  readonly files: CallerFiles;
  readonly credentials: CallerCredentials;
  spare: SpareDescriptor | undefined;
  spareUsed = false;

  /**
   * `granted` are rights that every caller has here, whatever the kernel gave it. `fileOf` finds the host's file behind a socket's inode, `bind` ties a new one to it. Throws when the process cannot be
   * read.
   */
  constructor(
    objects: SharedObjects,
    pid: number,
    uid: number,
    spaceId: number,
    fileOf: (inode: string) => HostFile | undefined,
    bind: (inode: string, file: HostFile) => void,
    unbind: (inode: string) => void,
    granted: readonly Capability[],
  ) {
    this.memory = new ProcessMemory(objects, pid, spaceId);
    this.credentials = {
      pid,
      uid,
      capable: (capability) =>
        granted.includes(capability) || ((effectiveCapabilities(pid) >> CAPABILITY_BIT[capability]) & 1n) === 1n,
      memlockLimitPages: () => memlockLimitPages(pid),
    };
    this.files = {
      install: (file) => {
        const spare = this.spare;
        if (spare === undefined || spare.fd < 0 || this.spareUsed) return -Errno.EMFILE;
        this.spareUsed = true;
        bind(spare.inode, file);
        return spare.fd;
      },
      lookup: (fd) => {
        const inode = socketInode(pid, fd);
        return inode === undefined ? undefined : fileOf(inode);
      },
      close: (fd) => {
        const spare = this.spare;
        if (spare?.fd !== fd || !this.spareUsed) return -Errno.EBADF;
        this.spareUsed = false;
        unbind(spare.inode);
        return 0;
      },
      backing: (fd) => openBacking(objects, pid, fd),
      // An eventfd cannot be opened anew through /proc.
      eventFd: () => -Errno.EOPNOTSUPP,
    };
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

function socketInode(pid: number, fd: number): string | undefined {
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
