// Programs that run one after another on one machine, and what they leave behind.
import { assert } from "../../src/base/index.ts";
import * as map from "./memory-map.ts";
import { Result, Status } from "./state-page.ts";

/** As much of a batch as fits. */
export const MAX_BATCH = 500;
const FIRST_IMAGE = 4096;

export interface Outcome {
  readonly status: "done" | "fatal" | "watchdog" | "unfinished";
  /** One for each block that came to its end; of a program that is done, one for memory comes last. */
  readonly digests: readonly bigint[];
  /** Where and why a program was given up: mcause, mepc, mtval. */
  readonly stopped: readonly [bigint, bigint, bigint];
  /** Instructions in blocks, and all of the program with the keeper's. */
  readonly instructions: number;
  readonly retired: number;
}

/** How many of the images, in order, fit into a batch. */
export function fitting(images: readonly Uint8Array[]): number {
  let bytes = FIRST_IMAGE;
  const count = images.findIndex((image, i) => (bytes += image.length) > map.BATCH_BYTES || i >= MAX_BATCH);
  return count < 0 ? images.length : count;
}

/** Puts a batch into RAM. The keeper clears what its programs use. */
export function placeBatch(ram: Uint8Array, keeper: Uint8Array, images: readonly Uint8Array[]): void {
  assert(fitting(images) === images.length, "a batch fits its place", images.length);
  const results = map.RESULTS - map.RAM_BASE;
  ram.fill(0, results, results + images.length * map.RESULT_BYTES);
  ram.set(keeper, map.KEEPER - map.RAM_BASE);
  const view = new DataView(ram.buffer, ram.byteOffset);
  const header = map.BATCH - map.RAM_BASE;
  view.setBigUint64(header, BigInt(images.length), true);
  view.setBigUint64(header + 8, 0n, true);
  let offset = header + FIRST_IMAGE;
  images.forEach((image, i) => {
    view.setBigUint64(header + 64 + i * 8, BigInt(map.RAM_BASE + offset), true);
    ram.set(image, offset);
    offset += (image.length + 7) & ~7;
  });
}

export function readOutcome(ram: Uint8Array, index: number): Outcome {
  const slot = map.RESULTS - map.RAM_BASE + index * map.RESULT_BYTES;
  const view = new DataView(ram.buffer, ram.byteOffset + slot, map.RESULT_BYTES);
  const word = (offset: number): bigint => view.getBigUint64(offset, true);
  const number = Number(word(Result.status));
  const status = ({ [Status.done]: "done", [Status.fatal]: "fatal", [Status.watchdog]: "watchdog" } as const)[number];
  const blocks = status === undefined ? countDigests(view) : Number(word(Result.blocks));
  const count = blocks + (status === "done" ? 1 : 0);
  return {
    status: status ?? "unfinished",
    digests: Array.from({ length: count }, (_, i) => word(Result.digests + i * 8)),
    stopped: [word(Result.cause), word(Result.pc), word(Result.value)],
    instructions: Number(word(Result.instructions)),
    retired: Number(word(Result.retired)),
  };
}

/** Of a program that never came to an end: a digest of zero is as good as impossible. */
function countDigests(view: DataView): number {
  let count = 0;
  while (Result.digests + count * 8 < map.RESULT_BYTES && view.getBigUint64(Result.digests + count * 8, true) !== 0n) {
    count++;
  }
  return count;
}

/** How many programs of a batch have begun. */
export function programsBegun(ram: Uint8Array): number {
  return Number(new DataView(ram.buffer, ram.byteOffset).getBigUint64(map.BATCH - map.RAM_BASE + 8, true));
}
