// The descriptor of a fault or event queue.
import { PollEvent, type Caller, type HostFile } from "../port.ts";
import { Errno } from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";
import type { IommufdObject } from "./objects.ts";

/** What the queue behind the descriptor does. */
export interface EventQueue extends IommufdObject {
  readonly context: IommufdContext;
  readonly hasEvents: boolean;
  /** Whether responses are written to it. */
  readonly takesResponses: boolean;
  readEvents(caller: Caller, bufferVa: bigint, lengthBytes: number): number;
  writeResponses(caller: Caller, bufferVa: bigint, lengthBytes: number): number;
}

export class EventFile implements HostFile {
  onReadiness: (() => void) | undefined;
  readonly #queue: EventQueue;

  /** Holds the queue and its context until the last descriptor is closed. */
  constructor(queue: EventQueue) {
    this.#queue = queue;
    queue.users++;
    queue.context.get();
  }

  ioctl(): number {
    return -Errno.ENOTTY;
  }

  /** A stream: only its own position, 0, will do. */
  read(caller: Caller, bufferVa: bigint, lengthBytes: number, offset = 0n): number {
    if (offset !== 0n) return -Errno.ESPIPE;
    const got = this.#queue.readEvents(caller, bufferVa, lengthBytes);
    this.onReadiness?.();
    return got;
  }

  write(caller: Caller, bufferVa: bigint, lengthBytes: number, offset = 0n): number {
    if (!this.#queue.takesResponses) return -Errno.EINVAL;
    return offset === 0n ? this.#queue.writeResponses(caller, bufferVa, lengthBytes) : -Errno.ESPIPE;
  }

  poll(): number {
    return (this.#queue.hasEvents ? PollEvent.IN : 0) | (this.#queue.takesResponses ? PollEvent.OUT : 0);
  }

  mmap(): number {
    return -Errno.ENODEV;
  }

  release(): void {
    this.#queue.users--;
    this.#queue.context.put();
  }
}
