// Where two traces of a boot part (`traced-boot.ts` writes them): points of three numbers of 64 bits.
import { openSync, readSync, closeSync } from "node:fs";

/** Who (a hart's index, or MEMORY), after how many instructions, and the digest. */
export const POINT_WORDS = 3;
export const MEMORY = -1;
const CHUNK_POINTS = 65536;

export interface Parting {
  /** Points before it that agree. */
  readonly agreed: number;
  /** In words: where they part, undefined when they do not. */
  readonly at: string | undefined;
}

/** Compares the traces in two files. */
export function firstParting(first: string, second: string): Parting {
  const files = [first, second].map((path) => openSync(path, "r"));
  try {
    let agreed = 0;
    for (;;) {
      const [a, b] = files.map(readPoints) as [Float64Array, Float64Array];
      const at = a.findIndex((value, i) => value !== b[i]);
      if (at < 0 && a.length === b.length) {
        agreed += a.length / POINT_WORDS;
        if (a.length === 0) return { agreed, at: undefined };
        continue;
      }
      const point = Math.floor((at < 0 ? Math.min(a.length, b.length) : at) / POINT_WORDS);
      return { agreed: agreed + point, at: `${describe(a, point)} and ${describe(b, point)}` };
    }
  } finally {
    files.forEach(closeSync);
  }
}

function readPoints(file: number): Float64Array {
  const points = new Float64Array(CHUNK_POINTS * POINT_WORDS);
  const bytes = new Uint8Array(points.buffer);
  let length = 0;
  while (length < bytes.length) {
    const count = readSync(file, bytes, length, bytes.length - length, null);
    if (count === 0) break;
    length += count;
  }
  return points.subarray(0, Math.floor(length / 8));
}

function describe(points: Float64Array, point: number): string {
  const [who, executed, digest] = points.subarray(point * POINT_WORDS, (point + 1) * POINT_WORDS);
  if (who === undefined) return "the end";
  const subject = who === MEMORY ? "memory" : `hart ${who}`;
  return `${subject} after ${executed} instructions (${digest!.toString(16)})`;
}
