// Streamed parts on their way out: data while they run, round after round, and the rest when they stand still.
import { VmError } from "../base/index.ts";
import { MigrationError } from "./errors.ts";
import type { StreamedPart } from "./port.ts";
import { FrameKind } from "./stream/spec.ts";

/** What one read asks a part for, as in QEMU. */
const READ_BYTES = 2 ** 20;

/** Sends a frame about the part of that name. */
type Send = (kind: number, name: string, contents?: Uint8Array) => Promise<void>;

export class OutgoingStreams {
  readonly #parts: ReadonlyMap<string, StreamedPart>;
  readonly #send: Send;
  readonly #initialSent = new Set<string>();
  #sentBytes = 0;

  constructor(parts: ReadonlyMap<string, StreamedPart>, send: Send) {
    this.#parts = parts;
    this.#send = send;
  }

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  /** Data of parts, without frames. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Some part has initial data that the other side should have first. */
  get hasPrecopy(): boolean {
    return [...this.#parts.values()].some((part) => part.hasPrecopy);
  }

  begin(): void {
    for (const [name, part] of this.#parts) calling(name, part, () => part.beginSave());
  }

  /** What would be left to send if the machine stopped now. */
  get leftBytes(): number {
    let bytes = 0;
    for (const [name, part] of this.#parts) bytes += calling(name, part, () => part.pending()).leftBytes;
    return bytes;
  }

  /** Sends what parts have at the moment: each as much as it has now, since one that runs never ends. */
  async sendChanged(): Promise<void> {
    for (const [name, part] of this.#parts) {
      if (!part.hasPrecopy) continue;
      let left = calling(name, part, () => part.pending()).leftBytes;
      while (left > 0) {
        const bytes = calling(name, part, () => part.read(READ_BYTES));
        if (bytes === undefined || bytes.length === 0) break;
        left -= bytes.length;
        await this.#sendData(name, bytes);
      }
      await this.#noteInitial(name, part);
    }
  }

  /** With the machine stopped: all of it. */
  async sendRest(): Promise<void> {
    for (const [name, part] of this.#parts) {
      for (;;) {
        const bytes = calling(name, part, () => part.read(READ_BYTES));
        if (bytes === undefined || bytes.length === 0) break;
        await this.#sendData(name, bytes);
      }
      await this.#send(FrameKind.dataEnd, name);
    }
  }

  /** Streams are over. What a part refuses now can be no reason any more; the machine tells of it. */
  end(): void {
    for (const part of this.#parts.values()) {
      try {
        part.endSave();
      } catch (error) {
        if (!(error instanceof VmError)) throw error;
      }
    }
  }

  async #noteInitial(name: string, part: StreamedPart): Promise<void> {
    if (this.#initialSent.has(name) || calling(name, part, () => part.pending()).initialBytes > 0) return;
    this.#initialSent.add(name);
    await this.#send(FrameKind.initialSent, name);
  }

  async #sendData(name: string, bytes: Uint8Array): Promise<void> {
    await this.#send(FrameKind.data, name, bytes);
    this.#sentBytes += bytes.length;
  }
}

/** Throws MigrationError `deviceFailed` for what the part refuses. */
export function calling<T>(name: string, part: StreamedPart, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (!(cause instanceof VmError)) throw cause;
    throw new MigrationError("deviceFailed", `Device "${name}" (${part.label}): ${cause.message}`, {
      subject: part.label,
      cause,
    });
  }
}
