// Images that are put into RAM at every reset, and whether they fit there.
import { MachineError } from "../errors.ts";

/** A run of RAM with given content. */
export interface LoadSegment {
  /** What an operator calls it: `kernel "Image"`. */
  readonly what: string;
  /** Guest-physical. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** What it occupies; past the bytes it is zeroed when `zeroRest` says so, else just kept free. */
  readonly lengthBytes: number;
  readonly zeroRest: boolean;
}

export interface RamRange {
  readonly base: number;
  readonly lengthBytes: number;
}

export function mebibytes(lengthBytes: number): string {
  const whole = lengthBytes % 2 ** 20 === 0;
  return `${whole ? lengthBytes / 2 ** 20 : (lengthBytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Throws `MachineError` when a segment is not inside RAM or two of them meet. */
export function checkFit(segments: readonly LoadSegment[], ram: RamRange): void {
  const end = ram.base + ram.lengthBytes;
  for (const { what, at, lengthBytes } of segments) {
    if (at >= ram.base && at + lengthBytes <= end) continue;
    if (at < ram.base || at >= end) {
      throw new MachineError(
        "doesNotFit",
        `${what} is to be loaded at ${hex(at)}, but RAM is from ${hex(ram.base)} to ${hex(end)}; ` +
          (at < ram.base ? "an image linked for an address in RAM would do" : "more memory (-m) would do"),
      );
    }
    throw new MachineError(
      "doesNotFit",
      `${what} needs ${mebibytes(lengthBytes)} at ${hex(at)}, where RAM has ${mebibytes(end - at)} left; ` +
        `-m ${Math.ceil((at + lengthBytes - ram.base) / 2 ** 20)}M or more would do`,
    );
  }
  const sorted = [...segments].sort((a, b) => a.at - b.at);
  sorted.forEach((lower, i) => {
    const upper = sorted[i + 1];
    if (upper === undefined || lower.at + lower.lengthBytes <= upper.at) return;
    throw new MachineError(
      "doesNotFit",
      `${lower.what} occupies ${hex(lower.at)} to ${hex(lower.at + lower.lengthBytes)} and would be overwritten by ` +
        `${upper.what} at ${hex(upper.at)}; more memory (-m) or smaller images would do`,
    );
  });
}

function hex(n: number): string {
  return `0x${n.toString(16)}`;
}
