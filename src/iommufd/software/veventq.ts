// Events of a virtual IOMMU on their way to the guest's driver: numbered, and honest about those that were lost.
import type { Caller } from "../port.ts";
import { Errno, IommufdVeventHeader, VeventqFlag } from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";
import type { EventFile, EventQueue } from "./event-file.ts";
import { IommufdObject } from "./objects.ts";
import type { Viommu } from "./viommu.ts";

export const MAX_DEPTH: number = 1 << 19;
const SEQUENCE_MASK = 0x7fff_ffff;

/** Undefined `data`: the marker that events were lost. */
interface Event {
  sequence: number;
  readonly data: Uint8Array | undefined;
}

export class EventQueueOfViommu extends IommufdObject implements EventQueue {
  readonly type = "veventq" as const;
  readonly context: IommufdContext;
  readonly viommu: Viommu;
  readonly eventType: number;
  readonly takesResponses = false;
  file: EventFile | undefined;
  readonly #depth: number;
  readonly #events: Event[] = [];
  #held = 0;
  #sequence = 0;

  constructor(viommu: Viommu, eventType: number, depth: number) {
    super();
    this.context = viommu.context;
    this.viommu = viommu;
    this.eventType = eventType;
    this.#depth = depth;
    viommu.users++;
    viommu.eventQueues.push(this);
  }

  get hasEvents(): boolean {
    return this.#events.length > 0;
  }

  /** Past the depth only the loss is kept: one marker at the tail, with the newest number. */
  push(data: Uint8Array): void {
    if (this.#events.at(-1)?.data === undefined) this.#events.pop();
    if (this.#held === this.#depth) {
      this.#events.push({ sequence: this.#sequence, data: undefined });
    } else {
      this.#events.push({ sequence: this.#sequence, data: data.slice() });
      this.#held++;
    }
    this.#sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    this.file?.onReadiness?.();
  }

  override snapshot(): object {
    const events = this.#events.map(({ sequence, data }) => ({ sequence, data: data?.slice() }));
    return { viommu: this.viommu.id, eventType: this.eventType, depth: this.#depth, sequence: this.#sequence, events };
  }

  override destroy(): void {
    this.viommu.eventQueues.splice(this.viommu.eventQueues.indexOf(this), 1);
    this.viommu.users--;
  }

  readEvents(caller: Caller, bufferVa: bigint, lengthBytes: number): number {
    const headerBytes = IommufdVeventHeader.lengthBytes;
    if (lengthBytes < headerBytes) return -Errno.EINVAL;
    let done = 0;
    for (;;) {
      const event = this.#events[0];
      if (event === undefined) return done;
      const eventBytes = headerBytes + (event.data?.length ?? 0);
      if (headerBytes > lengthBytes - done) return done;
      if (eventBytes > lengthBytes - done) return done === 0 ? -Errno.EINVAL : done;
      const bytes = new Uint8Array(eventBytes);
      const flags = event.data === undefined ? VeventqFlag.LOST_EVENTS : 0;
      IommufdVeventHeader.encode({ flags, sequence: event.sequence }, bytes);
      if (event.data !== undefined) bytes.set(event.data, headerBytes);
      if (!caller.memory.write(bufferVa + BigInt(done), bytes)) return done === 0 ? -Errno.EFAULT : done;
      this.#events.shift();
      if (event.data !== undefined) this.#held--;
      done += eventBytes;
    }
  }

  writeResponses(): number {
    return -Errno.EINVAL;
  }
}
