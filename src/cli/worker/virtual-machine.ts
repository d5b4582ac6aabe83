// The caller's handle of a machine in a worker: every call is a message, every answer a promise.
import { Worker } from "node:worker_threads";
import type { MachineExit, RunState } from "../../machine/port.ts";
import type { MachinePlan } from "../plan.ts";
import { ConsoleEnd, type VmConsole } from "./console.ts";
import { errorFromData } from "./error-data.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./protocol.ts";

/** A machine that runs on a thread of its own. */
export interface VirtualMachine extends AsyncDisposable {
  readonly console: VmConsole;
  readonly runState: RunState;
  /** The board's flattened device tree. */
  readonly deviceTree: Uint8Array;
  /** Starts or continues. */
  start(): Promise<void>;
  /** Pauses; resolves when no hart runs. */
  stop(): Promise<void>;
  reset(): Promise<void>;
  /** Resolves when the guest powered off, failed or was closed; rejects when the worker crashed. */
  readonly ended: Promise<MachineExit>;
  /** Ends the machine and its thread; idempotent. */
  close(): Promise<void>;
}

export interface VirtualMachineHooks {
  readonly onRunState?: (state: RunState) => void;
  /** Warnings, and what the guest does wrong when that is asked for. */
  readonly onNotice?: (line: string) => void;
}

/** How long an ended machine may take to close its files before its thread is stopped. */
const CLOSE_LIMIT_MS = 5000;

export async function startVirtualMachine(
  plan: MachinePlan,
  hooks: VirtualMachineHooks,
  /** Tests bring their own worker. */
  entry: URL = workerEntry(),
): Promise<VirtualMachine> {
  const start: WorkerStart = { plan, reportGuestErrors: hooks.onNotice !== undefined };
  const worker = new Worker(entry, { workerData: start });
  const vm = new RemoteMachine(worker, hooks);
  await vm.made;
  return vm;
}

function workerEntry(): URL {
  // The sources run as they are too (Node 24 and later), so the worker's file is what this one is.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`./machine-worker.${extension}`, import.meta.url);
}

class RemoteMachine implements VirtualMachine {
  readonly console: ConsoleEnd;
  readonly ended: Promise<MachineExit>;
  readonly made: Promise<void>;
  runState: RunState = "prelaunch";
  deviceTree: Uint8Array = new Uint8Array();
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #calls = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  readonly #onRunState: VirtualMachineHooks["onRunState"];
  readonly #onNotice: VirtualMachineHooks["onNotice"];
  #lastCall = 0;
  #over: Error | undefined;
  #resolveMade!: () => void;
  #rejectMade!: (error: Error) => void;
  #resolveEnded!: (exit: MachineExit) => void;
  #rejectEnded!: (error: Error) => void;

  constructor(worker: Worker, { onRunState, onNotice }: VirtualMachineHooks) {
    this.#worker = worker;
    this.#onRunState = onRunState;
    this.#onNotice = onNotice;
    this.console = new ConsoleEnd({
      send: (bytes) => this.#post({ kind: "input", bytes }),
      taken: (lengthBytes) => this.#post({ kind: "taken", lengthBytes }),
    });
    this.made = new Promise((resolve, reject) => {
      this.#resolveMade = resolve;
      this.#rejectMade = reject;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve;
      this.#rejectEnded = reject;
    });
    // A caller that never looks at `ended` must not be ended by its rejection; every call of it rejects too.
    this.ended.catch(() => {});
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    worker.on("message", (message: FromWorker) => this.#take(message));
    worker.on("error", (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", (code) => this.#fail(new Error(`The machine's thread ended with code ${code}`)));
  }

  start(): Promise<void> {
    return this.#call("start");
  }

  stop(): Promise<void> {
    return this.#call("stop");
  }

  reset(): Promise<void> {
    return this.#call("reset");
  }

  async close(): Promise<void> {
    if (this.#over === undefined) this.#post({ kind: "quit" });
    const limit = setTimeout(() => void this.#worker.terminate(), CLOSE_LIMIT_MS);
    await this.#exited;
    clearTimeout(limit);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #call(kind: "start" | "stop" | "reset"): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const callId = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(callId, { resolve, reject });
      this.#post({ kind, callId });
    });
  }

  #post(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    if (this.#over === undefined) this.#worker.postMessage(message);
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case "made":
        this.deviceTree = message.deviceTree;
        return this.#resolveMade();
      case "done": {
        const call = this.#calls.get(message.callId);
        this.#calls.delete(message.callId);
        return message.error === undefined ? call?.resolve() : call?.reject(errorFromData(message.error));
      }
      case "output":
        return this.console.receive(message.bytes);
      case "inputTaken":
        return this.console.inputTaken(message.lengthBytes);
      case "runState":
        this.runState = message.state;
        return this.#onRunState?.(message.state);
      case "line":
        return this.#onNotice?.(message.text);
      case "ended":
        this.#resolveEnded(message.exit);
        return this.#finish(new Error("The machine has ended"));
      case "failed":
        return this.#fail(errorFromData(message.error));
    }
  }

  #fail(error: Error): void {
    if (this.#over !== undefined) return;
    this.#rejectMade(error);
    this.#rejectEnded(error);
    this.#finish(error);
  }

  #finish(error: Error): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.console.end("the machine had ended");
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}
