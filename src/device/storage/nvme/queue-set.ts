// The controller's queues: made, found and deleted by the admin commands of §5.3 to §5.6.
import { CompletionQueue, SubmissionQueue } from "./queues.ts";
import type { Request } from "./request.ts";
import { Sc, StatusFlag } from "./spec.ts";

export interface QueueLimits {
  readonly queuePairs: number;
  readonly queueEntries: number;
  readonly interruptVectors: number;
}

/** What queues are made under: as software has configured the controller. */
export interface QueueSettings {
  readonly pageBytes: number;
  /** Entries have the sizes that the command set wants. */
  readonly entriesFit: boolean;
  readonly usesMsix: boolean;
}

/** Of dword 11 when a queue is made. */
const CreateFlag = { contiguous: 1, interrupts: 2, upperShift: 16 } as const;

function refused(code: number): number {
  return code | StatusFlag.doNotRetry;
}

export class QueueSet {
  readonly submission: Map<number, SubmissionQueue> = new Map();
  readonly completion: Map<number, CompletionQueue> = new Map();
  readonly #limits: QueueLimits;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  clear(): void {
    this.submission.clear();
    this.completion.clear();
  }

  /** There are queues besides the admin pair. */
  get hasIoQueues(): boolean {
    return this.submission.size > 1 || this.completion.size > 1;
  }

  /** Admin queues, which have number 0. */
  addAdmin(submission: { base: bigint; entries: number }, completion: { base: bigint; entries: number }): void {
    this.addCompletion({ ...completion, id: 0, vector: 0, interrupts: true });
    this.addSubmission({ ...submission, id: 0 }, 0);
  }

  addCompletion(options: ConstructorParameters<typeof CompletionQueue>[0]): CompletionQueue {
    const queue = new CompletionQueue(options);
    this.completion.set(queue.id, queue);
    return queue;
  }

  addSubmission(options: { id: number; base: bigint; entries: number }, completionId: number): SubmissionQueue {
    const completion = this.completion.get(completionId)!;
    const queue = new SubmissionQueue({ ...options, completion });
    completion.users++;
    this.submission.set(queue.id, queue);
    return queue;
  }

  removeSubmission(queue: SubmissionQueue): void {
    if (this.submission.delete(queue.id)) queue.completion.users--;
  }

  /** A status. */
  createCompletion(request: Request, settings: QueueSettings): number {
    const { id, entries, flags, upper } = creation(request);
    const status = this.#checkPlace(this.completion, request, settings);
    if (status !== Sc.success) return status;
    // Without MSI-X there is one interrupt.
    if (upper >= (settings.usesMsix ? this.#limits.interruptVectors : 1)) return refused(Sc.invalidInterruptVector);
    const interrupts = (flags & CreateFlag.interrupts) !== 0;
    this.addCompletion({ id, base: request.prp1, entries, vector: upper, interrupts });
    return Sc.success;
  }

  /** A status. */
  createSubmission(request: Request, settings: QueueSettings): number {
    const { id, entries, upper } = creation(request);
    if (upper === 0 || !this.completion.has(upper)) return refused(Sc.invalidCompletionQueue);
    const status = this.#checkPlace(this.submission, request, settings);
    if (status !== Sc.success) return status;
    this.addSubmission({ id, base: request.prp1, entries }, upper);
    return Sc.success;
  }

  /** A status. */
  deleteCompletion(request: Request): number {
    const id = request.dword(10) & 0xffff;
    const queue = this.completion.get(id);
    if (id === 0 || queue === undefined) return refused(Sc.invalidQueueId);
    if (queue.users > 0) return refused(Sc.invalidQueueDeletion);
    this.completion.delete(id);
    return Sc.success;
  }

  /** The queue that a command wants to delete. */
  submissionToDelete(request: Request): SubmissionQueue | undefined {
    const id = request.dword(10) & 0xffff;
    return id === 0 ? undefined : this.submission.get(id);
  }

  #checkPlace(queues: ReadonlyMap<number, unknown>, request: Request, settings: QueueSettings): number {
    const { id, entries, flags } = creation(request);
    const { queuePairs, queueEntries } = this.#limits;
    if (id === 0 || id > queuePairs || queues.has(id)) return refused(Sc.invalidQueueId);
    if (entries < 2 || entries > queueEntries) return refused(Sc.invalidQueueSize);
    if ((request.prp1 & BigInt(settings.pageBytes - 1)) !== 0n) return refused(Sc.invalidPrpOffset);
    const contiguous = (flags & CreateFlag.contiguous) !== 0;
    return contiguous && request.prp1 !== 0n && settings.entriesFit ? Sc.success : refused(Sc.invalidField);
  }
}

function creation(request: Request) {
  const dword10 = request.dword(10);
  const dword11 = request.dword(11);
  return {
    id: dword10 & 0xffff,
    entries: (dword10 >>> 16) + 1,
    flags: dword11 & 0xffff,
    /** Interrupt vector, or number of the completion queue. */
    upper: dword11 >>> CreateFlag.upperShift,
  };
}
