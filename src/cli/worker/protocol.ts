// Messages between the caller's thread and a machine's worker: plain data only.
import type { MachineExit, RunState } from "../../machine/port.ts";
import type { MachinePlan } from "../plan.ts";

/** What a worker is started with. */
export interface WorkerStart {
  readonly plan: MachinePlan;
  readonly reportGuestErrors: boolean;
}

export type ToWorker =
  | { readonly kind: "start" | "stop" | "reset"; readonly callId: number }
  | { readonly kind: "quit" }
  | { readonly kind: "input"; readonly bytes: Uint8Array }
  /** The caller has taken this many bytes of console output. */
  | { readonly kind: "taken"; readonly lengthBytes: number };

export type FromWorker =
  | { readonly kind: "made"; readonly deviceTree: Uint8Array }
  | { readonly kind: "done"; readonly callId: number; readonly error?: ErrorData }
  | { readonly kind: "output"; readonly bytes: Uint8Array }
  /** The guest has taken this many bytes of console input. */
  | { readonly kind: "inputTaken"; readonly lengthBytes: number }
  | { readonly kind: "runState"; readonly state: RunState }
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "ended"; readonly exit: MachineExit }
  | { readonly kind: "failed"; readonly error: ErrorData };

/** An error as data: class instances do not survive a message. */
export interface ErrorData {
  readonly room?: string;
  readonly code?: string;
  readonly subject?: string;
  readonly message: string;
  readonly stack?: string;
}
