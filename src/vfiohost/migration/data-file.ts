// The descriptor of a device's data stream. Behaviour: drivers/vfio/pci/mlx5/main.c and samples/vfio-mdev/mtty.c of Linux 7.2.
import {
  Errno,
  ioctlCommand,
  PollEvent,
  VfioNr,
  VfioPrecopyInfo,
  VfioPrecopyInfoFlag,
  type Caller,
  type HostFile,
  type HostMemory,
} from "../../iommufd/index.ts";
import type { HostCounters } from "../counters.ts";
import { DeviceCall } from "../device-call.ts";
import type { Resuming } from "./resuming.ts";
import type { Saving } from "./saving.ts";

/** What the files of a device ask of it. */
export interface DataFileOwner {
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  readonly isPrecopy: boolean;
  /** The caller asked to be told of initial data that begins anew. */
  readonly tellsReinit: boolean;
}

abstract class DataFile {
  onReadiness: (() => void) | undefined;
  protected readonly owner: DataFileOwner;

  constructor(owner: DataFileOwner) {
    this.owner = owner;
    owner.counters.dataFiles++;
  }

  mmap(): number {
    return -Errno.ENODEV;
  }

  release(): void {
    this.owner.counters.dataFiles--;
  }
}

export class SavingFile extends DataFile implements HostFile {
  readonly #saving: Saving;

  constructor(owner: DataFileOwner, saving: Saving) {
    super(owner);
    this.#saving = saving;
    saving.onChanged = () => this.onReadiness?.();
  }

  read(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number {
    if (offset !== undefined) return -Errno.ESPIPE;
    const saving = this.#saving;
    if (saving.isEnded) return -Errno.ENODEV;
    if (lengthBytes === 0) return 0;
    if (this.owner.memory.failAt("data")) return -Errno.EIO;
    if (saving.queuedBytes === 0 && !saving.isComplete) {
      saving.queueChanged(false);
      if (saving.queuedBytes === 0) return -Errno.ENOMSG;
    }
    const bytes = saving.peek(lengthBytes);
    if (!caller.memory.write(bufferVa, bytes)) return -Errno.EFAULT;
    saving.take(bytes.length);
    return bytes.length;
  }

  write(): number {
    return -Errno.EBADF;
  }

  poll(): number {
    const { isEnded, isComplete, queuedBytes, changedBytes } = this.#saving;
    if (isEnded) return PollEvent.IN | PollEvent.HUP;
    return isComplete || queuedBytes > 0 || changedBytes > 0 ? PollEvent.IN : 0;
  }

  ioctl(caller: Caller, command: number, argument: bigint): number {
    if (command !== ioctlCommand(VfioNr.MIG_GET_PRECOPY_INFO)) return -Errno.ENOTTY;
    const call = new DeviceCall(caller, argument, this.owner.memory);
    const request = call.request(VfioPrecopyInfo, VfioPrecopyInfo.lengthBytes);
    if (typeof request === "number") return request;
    if (!this.owner.isPrecopy) return -Errno.EINVAL;
    const saving = this.#saving;
    if (saving.isEnded) return -Errno.ENODEV;
    // Flags go out only to who asked for them; others find their own.
    const { tellsReinit } = this.owner;
    let flags = tellsReinit ? 0 : request.flags;
    if (tellsReinit && saving.queuedBytes === 0 && saving.changedMostly) {
      saving.queueChanged(true);
      flags |= VfioPrecopyInfoFlag.REINIT;
    }
    return call.reply(VfioPrecopyInfo, {
      argsz: request.argsz,
      flags,
      initial_bytes: BigInt(saving.initialBytes),
      dirty_bytes: BigInt(saving.queuedBytes - saving.initialBytes + saving.changedBytes),
    });
  }
}

export class ResumingFile extends DataFile implements HostFile {
  readonly #resuming: Resuming;

  constructor(owner: DataFileOwner, resuming: Resuming) {
    super(owner);
    this.#resuming = resuming;
  }

  read(): number {
    return -Errno.EBADF;
  }

  write(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number {
    if (offset !== undefined) return -Errno.ESPIPE;
    if (this.#resuming.isEnded) return -Errno.ENODEV;
    if (this.owner.memory.failAt("data")) return -Errno.EIO;
    const bytes = new Uint8Array(lengthBytes);
    if (!caller.memory.read(bufferVa, bytes)) return -Errno.EFAULT;
    const rc = this.#resuming.write(bytes);
    return rc < 0 ? rc : lengthBytes;
  }

  poll(): number {
    return PollEvent.IN | PollEvent.OUT;
  }

  ioctl(): number {
    return -Errno.ENOTTY;
  }
}
