// Run states and which may follow which (QEMU, system/runstate.c: runstate_transitions_def), for the states that this
// machine can be in.
import { assert } from "../base/index.ts";
import type { RunState } from "./port.ts";

const transitions: Readonly<Record<RunState, readonly RunState[]>> = {
  prelaunch: ["running", "paused", "finish-migrate", "inmigrate"],
  running: ["paused", "shutdown", "internal-error", "guest-panicked", "finish-migrate"],
  paused: ["running", "prelaunch", "finish-migrate", "postmigrate"],
  inmigrate: ["running", "paused", "prelaunch", "postmigrate", "internal-error"],
  "finish-migrate": ["running", "paused", "prelaunch", "postmigrate", "internal-error"],
  postmigrate: ["running", "finish-migrate", "prelaunch"],
  shutdown: ["paused", "prelaunch", "finish-migrate", "postmigrate"],
  "internal-error": ["paused", "prelaunch", "finish-migrate", "postmigrate"],
  "guest-panicked": ["running", "prelaunch", "finish-migrate"],
};

export function mayFollow(from: RunState, to: RunState): boolean {
  return transitions[from].includes(to);
}

/** True when only a reset leads on (QEMU: runstate_needs_reset). */
export function needsReset(state: RunState): boolean {
  return state === "shutdown" || state === "internal-error";
}

/** Holds the state and tells of its changes. */
export class RunStates {
  #state: RunState = "prelaunch";
  readonly #onChange: (state: RunState) => void;

  constructor(onChange: (state: RunState) => void) {
    this.#onChange = onChange;
  }

  get current(): RunState {
    return this.#state;
  }

  to(next: RunState): void {
    if (next === this.#state) return;
    assert(mayFollow(this.#state, next), "a run state follows one that allows it", this.#state, next);
    this.#state = next;
    this.#onChange(next);
  }
}
