// Page requests of devices on their way to the caller, and the answers on their way back.
import type { Caller } from "../port.ts";
import {
  Errno,
  IommuHwptPageResponse,
  IommuHwptPgfault,
  PageResponseCode,
  PgfaultFlag,
  type IommufdRequest,
} from "../uapi/index.ts";
import type { BoundDevice } from "./bound-device.ts";
import type { Call } from "./call.ts";
import type { IommufdContext } from "./context.ts";
import { EventFile, type EventQueue } from "./event-file.ts";
import { IommufdObject } from "./objects.ts";
import { NO_PASID, type PhysicalDevice } from "./unit.ts";

/** One page request; a group of them ends with the one that has LAST_PAGE. */
export interface PageRequest {
  /** Bits of `PgfaultFlag`. */
  readonly flags: number;
  readonly pasid: number;
  readonly groupId: number;
  /** Bits of `PgfaultPerm`. */
  readonly permissions: number;
  readonly address: bigint;
}

interface FaultGroup {
  readonly bound: BoundDevice;
  readonly pasid: number;
  readonly requests: readonly PageRequest[];
  readonly answer: (code: number) => void;
}

export class FaultQueue extends IommufdObject implements EventQueue {
  readonly type = "fault" as const;
  readonly context: IommufdContext;
  readonly takesResponses = true;
  file: EventFile | undefined;
  readonly #deliver: FaultGroup[] = [];
  /** By cookie; the lowest free one, from 1, is given next. */
  readonly #awaiting = new Map<number, FaultGroup>();

  constructor(context: IommufdContext) {
    super();
    this.context = context;
  }

  get hasEvents(): boolean {
    return this.#deliver.length > 0;
  }

  push(group: FaultGroup): void {
    this.#deliver.push(group);
    this.file?.onReadiness?.();
  }

  /** Answers what a device has outstanding with INVALID: it is being detached or moved. */
  dropOf(bound: BoundDevice, pasid: number): void {
    const mine = (g: FaultGroup): boolean => g.bound === bound && g.pasid === pasid;
    for (const group of this.#deliver.filter(mine)) {
      this.#deliver.splice(this.#deliver.indexOf(group), 1);
      group.answer(PageResponseCode.INVALID);
    }
    for (const [cookie, group] of [...this.#awaiting]) {
      if (!mine(group)) continue;
      this.#awaiting.delete(cookie);
      group.answer(PageResponseCode.INVALID);
    }
    this.file?.onReadiness?.();
  }

  override snapshot(): object {
    const facts = ({ bound, pasid, requests }: FaultGroup): object => ({ device: bound.id, pasid, requests });
    return {
      deliver: this.#deliver.map(facts),
      awaiting: [...this.#awaiting].map(([cookie, group]) => [cookie, facts(group)]),
    };
  }

  override destroy(): void {
    for (const group of this.#deliver.splice(0)) group.answer(PageResponseCode.INVALID);
    for (const group of this.#awaiting.values()) group.answer(PageResponseCode.INVALID);
    this.#awaiting.clear();
  }

  /** Whole groups only; never blocks. */
  readEvents(caller: Caller, bufferVa: bigint, lengthBytes: number): number {
    const recordBytes = IommuHwptPgfault.lengthBytes;
    if (lengthBytes % recordBytes !== 0) return -Errno.ESPIPE;
    let done = 0;
    for (;;) {
      const group = this.#deliver[0];
      if (group === undefined) return done;
      if (group.requests.length * recordBytes > lengthBytes - done) return done === 0 ? -Errno.EINVAL : done;
      let cookie = 1;
      while (this.#awaiting.has(cookie)) cookie++;
      const bytes = new Uint8Array(group.requests.length * recordBytes);
      group.requests.forEach((r, i) => {
        IommuHwptPgfault.encode(
          {
            flags: r.flags,
            dev_id: group.bound.id,
            pasid: r.pasid,
            grpid: r.groupId,
            perm: r.permissions,
            addr: r.address,
            cookie,
          },
          bytes,
          i * recordBytes,
        );
      });
      if (!caller.memory.write(bufferVa + BigInt(done), bytes)) return done === 0 ? -Errno.EFAULT : done;
      this.#deliver.shift();
      this.#awaiting.set(cookie, group);
      done += bytes.length;
    }
  }

  writeResponses(caller: Caller, bufferVa: bigint, lengthBytes: number): number {
    const recordBytes = IommuHwptPageResponse.lengthBytes;
    if (lengthBytes % recordBytes !== 0) return -Errno.ESPIPE;
    const bytes = new Uint8Array(recordBytes);
    let done = 0;
    let rc = 0;
    while (done < lengthBytes) {
      if (!caller.memory.read(bufferVa + BigInt(done), bytes)) {
        rc = -Errno.EFAULT;
        break;
      }
      const { cookie, code } = IommuHwptPageResponse.decode(bytes);
      const known = code === PageResponseCode.SUCCESS || code === PageResponseCode.INVALID;
      const group = known ? this.#awaiting.get(cookie) : undefined;
      if (group === undefined) {
        rc = -Errno.EINVAL;
        break;
      }
      this.#awaiting.delete(cookie);
      group.answer(code);
      done += recordBytes;
    }
    return done === 0 ? rc : done;
  }
}

export function faultQueueAlloc(call: Call<IommufdRequest<"faultQueueAlloc">>): number {
  const { context, caller, request } = call;
  const queue = new FaultQueue(context);
  let rc = context.objects.reserve(queue);
  if (rc < 0) return rc;
  const file = new EventFile(queue);
  const undo = (): void => {
    file.release();
    context.abort(queue);
  };
  const fd = call.installFile(file);
  if (fd < 0) {
    undo();
    return fd;
  }
  request.out_fault_id = queue.id;
  request.out_fault_fd = fd;
  rc = call.respond();
  if (rc < 0) {
    caller.files.close(fd);
    context.abort(queue);
    return rc;
  }
  queue.file = file;
  context.objects.publish(queue);
  return 0;
}

/** Requests that wait for the last of their group, per device. */
const unfinished = new WeakMap<PhysicalDevice, Map<string, PageRequest[]>>();

/**
 * A device asks for a page. `answer` is called once per group, with a `PageResponseCode`: from the queue's reader, or at
 * once with INVALID when nobody takes page requests.
 */
export function reportPageRequest(
  bound: BoundDevice,
  request: PageRequest,
  answer: (code: number) => void = () => {},
): void {
  let waiting = unfinished.get(bound.device);
  if (waiting === undefined) unfinished.set(bound.device, (waiting = new Map()));
  const key = `${request.pasid}:${request.groupId}`;
  const requests = [...(waiting.get(key) ?? []), request];
  if ((request.flags & PgfaultFlag.LAST_PAGE) === 0) {
    waiting.set(key, requests);
    return;
  }
  waiting.delete(key);
  const pasid = (request.flags & PgfaultFlag.PASID_VALID) !== 0 ? request.pasid : NO_PASID;
  const attachments = bound.group.attachments;
  // Where the PASID table belongs to the guest, its requests come under the plain attachment.
  const plain = attachments.get(NO_PASID);
  const attachment = attachments.get(pasid) ?? (plain?.hwpt.type === "hwpt-nested" ? plain : undefined);
  const queue = attachment?.hwpt.faultQueue;
  if (queue === undefined) answer(PageResponseCode.INVALID);
  else queue.push({ bound, pasid: attachments.has(pasid) ? pasid : NO_PASID, requests, answer });
}
