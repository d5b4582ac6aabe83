// A controller's progress as saved state, and back: everything is checked before anything is taken over.
import type { NvmeConfig } from "./config.ts";
import { NvmeError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import { ADMIN_QUEUE_MAX, BLOCK_SHIFTS, SUBMISSION_BYTES } from "./spec.ts";
import type { ProgressState } from "./state.ts";

export function saveProgress(executor: Executor): ProgressState {
  const { queues, events, features, logs, namespaces } = executor;
  return {
    completionQueues: [...queues.completion.values()].map(
      ({ id, base, entries, vector, interrupts, head, tail, phase }) => ({
        ...{ id, base, entries, vector, interrupts },
        ...{ head, tail, phase },
      }),
    ),
    submissionQueues: [...queues.submission.values()].map(({ id, base, entries, completion, head, tail }) => ({
      ...{ id, base, entries, completionQueue: completion.id, head, tail },
    })),
    unfinished: executor.unfinished.map(({ queue, bytes }) => ({ queue: queue!.id, command: bytes.slice() })),
    eventRequests: events.requests.map(({ bytes }) => bytes.slice()),
    events: events.events.map((event) => ({ ...event })),
    reportedEvents: events.reported,
    features: features.save(),
    formats: [...namespaces.values()].map(({ id, blockShift }) => ({ namespace: id, blockShift })),
    errors: logs.errors.map((error) => ({ ...error })),
    errorCount: logs.errorCount,
    bytesRead: logs.bytesRead,
    bytesWritten: logs.bytesWritten,
    readCommands: logs.readCommands,
    writeCommands: logs.writeCommands,
    mediaErrors: logs.mediaErrors,
  };
}

/** What the status register says of the saved controller. */
interface ReadyState {
  readonly isReady: boolean;
  readonly isFatal: boolean;
}

/** Throws NvmeError `badState` with nothing changed. */
export function loadProgress(executor: Executor, state: ProgressState, { isReady, isFatal }: ReadyState): void {
  const problem = findProblem(executor, state, isReady);
  if (problem !== undefined) {
    const message = `The saved state is none of a controller like "${executor.name}": ${problem}`;
    throw new NvmeError("badState", message, { subject: executor.name });
  }
  const { queues, events, features, logs, namespaces } = executor;
  executor.reset();
  for (const { head, tail, phase, ...options } of state.completionQueues) {
    Object.assign(queues.addCompletion(options), { head, tail, phase });
  }
  for (const { head, tail, completionQueue, ...options } of state.submissionQueues) {
    Object.assign(queues.addSubmission(options, completionQueue), { head, tail });
  }
  features.load(state.features);
  for (const { namespace, blockShift } of state.formats) namespaces.get(namespace)!.blockShift = blockShift;
  logs.setErrors(state.errors);
  logs.errorCount = state.errorCount;
  logs.bytesRead = state.bytesRead;
  logs.bytesWritten = state.bytesWritten;
  logs.readCommands = state.readCommands;
  logs.writeCommands = state.writeCommands;
  logs.mediaErrors = state.mediaErrors;
  const admin = queues.submission.get(0);
  const waiting = state.eventRequests.map((command) => executor.adopt(command, admin!));
  events.load(waiting, state.events, state.reportedEvents);
  executor.setReady(isReady && !isFatal);
  executor.replay(state.unfinished.map(({ queue, command }) => executor.adopt(command, queues.submission.get(queue)!)));
}

function findProblem({ config, namespaces }: Executor, state: ProgressState, isReady: boolean): string | undefined {
  const completion = new Map(state.completionQueues.map((queue) => [queue.id, queue]));
  const submission = new Map(state.submissionQueues.map((queue) => [queue.id, queue]));
  const isDouble =
    completion.size !== state.completionQueues.length || submission.size !== state.submissionQueues.length;
  if (isDouble) return "two queues have one number";
  if (isReady !== (completion.has(0) && submission.has(0))) return "it has admin queues or not, and should not";
  for (const queue of [...completion.values(), ...submission.values()]) {
    const problem = queueProblem(queue, config);
    if (problem !== undefined) return `queue ${queue.id} ${problem}`;
  }
  for (const { id, vector, phase } of completion.values()) {
    if (vector >= config.interruptVectors || phase > 1) return `completion queue ${id} has vector ${vector}`;
  }
  for (const { id, completionQueue } of submission.values()) {
    if (!completion.has(completionQueue))
      return `queue ${id} completes to queue ${completionQueue}, which is not there`;
  }
  if (state.eventRequests.length > config.asyncEventLimit + 1) return "too many requests wait for events";
  const commands = [...state.eventRequests.map((command) => ({ queue: 0, command })), ...state.unfinished];
  for (const { queue, command } of commands) {
    if (!submission.has(queue) || command.length !== SUBMISSION_BYTES) return `a command of queue ${queue} is none`;
  }
  for (const { namespace, blockShift } of state.formats) {
    const index = BLOCK_SHIFTS.indexOf(blockShift);
    if (namespaces.get(namespace)?.canFormat(index) !== true) return `namespace ${namespace} is not there or not so`;
  }
  return undefined;
}

function queueProblem(
  { id, entries, head, tail }: { id: number; entries: number; head: number; tail: number },
  config: NvmeConfig,
): string | undefined {
  if (id > config.queuePairs) return "is one too many";
  if (entries < 2 || entries > Math.max(config.queueEntries, ADMIN_QUEUE_MAX)) return `has ${entries} entries`;
  return head < entries && tail < entries ? undefined : "is past its own end";
}
