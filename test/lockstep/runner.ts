// What runs batches of programs: each way of executing them has one.
import type { Outcome } from "./batch.ts";

export interface BatchRun {
  readonly outcomes: readonly Outcome[];
  /** Guest memory after the last program, at least as far as programs use it. */
  readonly ram: Uint8Array;
  /** False when the batch was broken off, because a program does not come to its end. */
  readonly isEnded: boolean;
}

export interface Runner {
  readonly name: string;
  /** `Outcome.retired` is what the architecture counts. */
  readonly countsInstructions: boolean;
  run(images: readonly Uint8Array[]): Promise<BatchRun>;
  close(): Promise<void>;
}
