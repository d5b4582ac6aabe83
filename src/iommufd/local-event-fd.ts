// An eventfd of a caller in this process: eventfd(2) without waiting. The host holds it as long as it signals it.
import { viewOf } from "../base/index.ts";
import { PollEvent, type Caller, type EventFd, type HostFile } from "./port.ts";
import { Errno } from "./uapi/index.ts";

const COUNT_BYTES = 8;
const MAX_COUNT = 0xffff_ffff_ffff_fffen;

export class LocalEventFd implements HostFile {
  onReadiness: (() => void) | undefined;
  readonly #listeners = new Set<() => void>();
  #count = 0n;

  get count(): bigint {
    return this.#count;
  }

  /** Adds to the count; at the top it stays there. */
  add(value: bigint): void {
    this.#count = this.#count + value > MAX_COUNT ? MAX_COUNT : this.#count + value;
    if (this.#count > 0n) this.#tell();
  }

  /** Takes the count. */
  take(): bigint {
    const count = this.#count;
    this.#count = 0n;
    return count;
  }

  /** What the host keeps of it. */
  hold(): EventFd {
    return {
      signal: () => this.add(1n),
      listen: (onSignalled) => {
        this.#listeners.add(onSignalled);
        if (this.#count > 0n) this.#tell();
        return () => this.#listeners.delete(onSignalled);
      },
      // The count lives as long as somebody refers to it.
      release: () => {},
    };
  }

  ioctl(): number {
    return -Errno.ENOTTY;
  }

  read(caller: Caller, bufferVa: bigint, lengthBytes: number): number {
    if (lengthBytes < COUNT_BYTES) return -Errno.EINVAL;
    if (this.#count === 0n) return -Errno.EAGAIN;
    const bytes = new Uint8Array(COUNT_BYTES);
    viewOf(bytes).setBigUint64(0, this.#count, true);
    if (!caller.memory.write(bufferVa, bytes)) return -Errno.EFAULT;
    this.#count = 0n;
    return COUNT_BYTES;
  }

  write(caller: Caller, bufferVa: bigint, lengthBytes: number): number {
    if (lengthBytes < COUNT_BYTES) return -Errno.EINVAL;
    const bytes = new Uint8Array(COUNT_BYTES);
    if (!caller.memory.read(bufferVa, bytes)) return -Errno.EFAULT;
    const value = viewOf(bytes).getBigUint64(0, true);
    if (value > MAX_COUNT) return -Errno.EINVAL;
    if (this.#count + value > MAX_COUNT) return -Errno.EAGAIN;
    this.add(value);
    return COUNT_BYTES;
  }

  poll(): number {
    return (this.#count > 0n ? PollEvent.IN : 0) | (this.#count < MAX_COUNT ? PollEvent.OUT : 0);
  }

  mmap(): number {
    return -Errno.ENODEV;
  }

  release(): void {}

  #tell(): void {
    for (const listener of [...this.#listeners]) {
      this.#count = 0n;
      listener();
    }
    this.onReadiness?.();
  }
}
