// Streams that somebody made up who knows their structure: a good one, with frames lost, doubled, moved and changed, checksums
// made right again. Whatever arrives is refused with a typed error, or is a machine that runs.
import { deflateRawSync } from "node:zlib";
import { InvariantError, viewOf, VmError } from "../../src/base/index.ts";
import { packing } from "../../src/host/node/index.ts";
import { IncomingMigration } from "../../src/migration/index.ts";
import { FrameWriter, preamble } from "../../src/migration/stream/frame-writer.ts";
import {
  FrameHeader,
  FrameHeaderOfVersion1,
  FrameKind,
  MAGIC,
  PREAMBLE_BYTES,
  STREAM_VERSION,
} from "../../src/migration/stream/spec.ts";
import { decodeState, encodeValues } from "../../src/state/index.ts";
import { Random } from "../model/vfio/random.ts";
import { goldenStreams, readGolden, streamChannel } from "../support/golden-streams.ts";
import { makeMovingGuest, type MovingGuest } from "../support/moving-guest.ts";

interface StreamFrame {
  readonly kind: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Numbers at which lengths and counts go wrong. */
const EDGES = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const WIDE_EDGES = [0n, 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 53n, 0x7ff0n << 48n, 0x7ff8n << 48n];
/** A machine that loaded something runs for so long. */
const RUN_MS = 5;
/** Loads into one machine that failed, before another one takes its place. */
const LOADS_OF_A_MACHINE = 200;

const versionOf = (stream: Uint8Array): number => viewOf(stream).getUint32(MAGIC.length, true);

export function framesOf(stream: Uint8Array): StreamFrame[] {
  const frames: StreamFrame[] = [];
  const layout = versionOf(stream) === 1 ? FrameHeaderOfVersion1 : FrameHeader;
  for (let at = PREAMBLE_BYTES; at < stream.length;) {
    const { kind, flags, payloadBytes } = layout.decode(stream, at);
    at += layout.lengthBytes;
    frames.push({ kind, flags, payload: stream.subarray(at, at + payloadBytes) });
    at += payloadBytes;
  }
  return frames;
}

/** Neighbours with pages are packed, so many together. */
export function* written(
  writer: FrameWriter,
  frames: readonly StreamFrame[],
  mostPacked: number,
): Generator<Uint8Array> {
  let pages: Uint8Array[] = [];
  const packed = (): Uint8Array => {
    const frame = writer.frame(FrameKind.packed, [deflateRawSync(Buffer.concat(pages))]);
    pages = [];
    return frame;
  };
  for (const { kind, flags, payload } of frames) {
    const isPacked = kind === FrameKind.pages && mostPacked > 0;
    if (pages.length > 0 && (!isPacked || pages.length === mostPacked)) yield packed();
    const frame = writer.frame(kind, [payload], flags);
    if (isPacked) pages.push(frame);
    else yield frame;
  }
  if (pages.length > 0) yield packed();
}

export class StreamFuzzer {
  readonly #random: Random;
  readonly #name: string;
  readonly #frames: readonly StreamFrame[];
  #machine: MovingGuest | undefined;
  #loads = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    // What is written is of the present version, so that older pages would be refused whatever else is in them.
    const names = Object.keys(goldenStreams).filter((name) => versionOf(readGolden(name)) === STREAM_VERSION);
    this.#name = this.#random.pick(names);
    this.#frames = framesOf(readGolden(this.#name));
  }

  /** One stream: what became of it. Rejects with what is neither a machine that runs nor a typed error. */
  async step(): Promise<"loaded" | "refused"> {
    if (this.#machine === undefined || this.#loads++ % LOADS_OF_A_MACHINE === 0) await this.#renew();
    const { machine, host } = this.#machine!;
    const channel = streamChannel(this.#stream());
    try {
      await new IncomingMigration({ machine: machine.movable, channel, starts: () => true, packing }).run();
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      return "refused";
    }
    const end = host.clock.nowNs() + RUN_MS * 1e6;
    while (host.clock.nowNs() < end && machine.runState === "running") await host.yield.turn();
    if (machine.runState === "internal-error") throw new Error((await machine.ended).message);
    await this.end();
    return "loaded";
  }

  async end(): Promise<void> {
    await this.#machine?.close();
    this.#machine = undefined;
    this.#loads = 0;
  }

  async #renew(): Promise<void> {
    await this.#machine?.close();
    this.#machine = makeMovingGuest({ ...goldenStreams[this.#name]!, incoming: true });
  }

  #stream(): Uint8Array {
    const random = this.#random;
    // Numbers its frames from the beginning: what is wrong with them must not be their numbers alone.
    const writer = new FrameWriter();
    let frames = [...this.#frames];
    for (let i = random.between(1, 3); i > 0; i--) frames = this.#changed(frames);
    const most = random.chance(1, 3) ? random.between(1, 8) : 0;
    const bytes = Buffer.concat([preamble(), ...written(writer, frames, most)]);
    // Now and then what checksums are for.
    if (random.chance(1, 20)) bytes[random.between(0, bytes.length - 1)]! ^= random.between(1, 255);
    return random.chance(1, 20) ? bytes.subarray(0, random.between(0, bytes.length)) : bytes;
  }

  #changed(frames: StreamFrame[]): StreamFrame[] {
    const random = this.#random;
    // Pages are most frames, and the least interesting ones.
    const others = frames.map((_, i) => i).filter((i) => frames[i]!.kind !== FrameKind.pages);
    const at = random.chance(1, 6) || others.length === 0 ? random.between(0, frames.length - 1) : random.pick(others);
    const chosen = frames[at]!;
    const without = frames.filter((_, i) => i !== at);
    const to = random.between(0, without.length);
    const replaced = (changed: Partial<StreamFrame>): StreamFrame[] =>
      frames.map((each, i) => (i === at ? { ...each, ...changed } : each));
    const inserted = (into: StreamFrame[]): StreamFrame[] => [...into.slice(0, to), chosen, ...into.slice(to)];
    switch (random.between(0, 19)) {
      case 0:
        return without;
      case 1:
        return inserted(frames);
      case 2:
        return inserted(without);
      case 3:
        return replaced({ kind: random.between(0, 21) });
      case 4:
        return replaced({ flags: random.between(0, 255) });
      case 5:
        return replaced({ payload: chosen.payload.subarray(0, random.between(0, chosen.payload.length)) });
      case 6:
      case 7:
        return replaced({ payload: this.#payload(chosen.payload) });
      default:
        return replaced({ payload: this.#values(chosen) ?? this.#payload(chosen.payload) });
    }
  }

  /** A part with other values, as its description has them. */
  #values({ kind, payload }: StreamFrame): Uint8Array | undefined {
    if (kind !== FrameKind.part) return undefined;
    const nameBytes = viewOf(payload).getUint16(0, true);
    const name = new TextDecoder().decode(payload.subarray(2, 2 + nameBytes));
    const part = this.#machine!.machine.movable.parts.get(name);
    if (part === undefined) return undefined;
    try {
      const values = decodeState(part.stateDescription, payload.subarray(2 + nameBytes)) as Record<string, unknown>;
      for (let i = this.#random.between(1, 3); i > 0; i--) this.#changeLeaf(values);
      const section = encodeValues(part.stateDescription, values as never);
      return Buffer.concat([payload.subarray(0, 2 + nameBytes), section]);
    } catch (error) {
      // Changed before, so that it is no section any more; or a value that its kind cannot have.
      if (error instanceof VmError || error instanceof InvariantError) return undefined;
      throw error;
    }
  }

  #changeLeaf(within: Record<string, unknown>): void {
    const random = this.#random;
    const keys = Object.keys(within);
    if (keys.length === 0) return;
    const key = random.pick(keys);
    const value = within[key];
    if (value instanceof Uint8Array) {
      const bytes = random.chance(1, 4) ? value.slice(0, random.between(0, value.length)) : value.slice();
      if (bytes.length > 0) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
      within[key] = bytes;
    } else if (typeof value === "object" && value !== null) this.#changeLeaf(value as Record<string, unknown>);
    else if (typeof value === "boolean") within[key] = !value;
    else if (typeof value === "bigint")
      within[key] = random.chance(1, 2) ? random.pick(WIDE_EDGES) : value ^ (1n << BigInt(random.between(0, 63)));
    else if (typeof value === "number")
      within[key] = random.chance(1, 2)
        ? random.pick([...EDGES, NaN, Infinity, -1, 2 ** 53, 0.5])
        : value + random.between(-2, 2);
  }

  #payload(from: Uint8Array): Uint8Array {
    const random = this.#random;
    if (from.length === 0) return Uint8Array.of(random.between(0, 255));
    const bytes = from.slice();
    const view = viewOf(bytes);
    for (let i = random.between(1, 4); i > 0; i--) {
      const at = random.between(0, bytes.length - 1);
      const width = Math.min(random.pick([1, 2, 4, 8]), bytes.length - at);
      if (random.chance(1, 3)) bytes[at]! ^= 1 << random.between(0, 7);
      else if (width === 8) view.setBigUint64(at, random.pick(WIDE_EDGES), true);
      else if (width >= 4) view.setUint32(at, random.pick(EDGES), true);
      else if (width >= 2) view.setUint16(at, random.pick(EDGES) & 0xffff, true);
      else bytes[at] = random.pick(EDGES) & 0xff;
    }
    if (!random.chance(1, 8)) return bytes;
    const piece = bytes.slice(0, random.between(0, bytes.length));
    return Buffer.concat([bytes, piece]);
  }
}
