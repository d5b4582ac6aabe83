// What commands are carried out with: the controller as admin and I/O commands see it.
import type { TracePort } from "../../../base/index.ts";
import type { DmaPort } from "../../port.ts";
import type { AsyncEvents } from "./async-events.ts";
import type { NvmeConfig } from "./config.ts";
import type { Features } from "./features.ts";
import type { LogPages } from "./log-pages.ts";
import type { NvmeNamespace } from "./namespace.ts";
import type { QueueSet, QueueSettings } from "./queue-set.ts";
import type { SubmissionQueue } from "./queues.ts";
import type { Request } from "./request.ts";

/** Besides statuses: the request waits for an event; it was overtaken by a reset or by standing still. */
export const Outcome = { waits: -1, interrupted: -2 } as const;

export interface ControllerPort {
  readonly name: string;
  readonly config: NvmeConfig;
  readonly dma: DmaPort;
  readonly trace: TracePort;
  readonly namespaces: ReadonlyMap<number, NvmeNamespace>;
  readonly queues: QueueSet;
  readonly queueSettings: QueueSettings;
  readonly features: Features;
  readonly logs: LogPages;
  readonly events: AsyncEvents;
  /** A request may go on: no reset has overtaken it, and the device is not to stand still. */
  mayGoOn(request: Request): boolean;
  /** Takes `bytes` of this turn's work; resolves when there is a next one, if need be. */
  turn(bytes: number): Promise<void> | undefined;
  /** Resolves when a submission queue has no commands under way. */
  whenEmpty(queue: SubmissionQueue): Promise<void> | undefined;
  /** Completes a request that waited for an event, and whose completion queue has room. */
  finishWaiting(request: Request, status: number): void;
  /** A block node has failed. */
  hostFailed(operation: string, error: unknown): void;
}
