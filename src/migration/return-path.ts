// The other side's answers, taken as they come, so that a refusal is known at once and not when the stream is over.
import { MigrationError } from "./errors.ts";
import type { MigrationChannel } from "./port.ts";
import { FrameReader } from "./stream/frame-reader.ts";
import { frameTitle } from "./stream/frame-title.ts";
import { FrameKind } from "./stream/spec.ts";

/** More answers than a target has, untaken, are no answers. */
const MOST_UNTAKEN = 4;
/** An answer is a header, or a sentence. */
const USUAL_ANSWER_BYTES = 4096;

export class ReturnPath {
  /** Resolves when nothing can come any more. */
  readonly ended: Promise<void>;
  readonly #frames: FrameReader;
  /** Kinds of answers that nobody has taken yet. */
  readonly #kinds: number[] = [];
  #hasAcked = false;
  #roundsTaken = 0;
  #error: MigrationError | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(channel: MigrationChannel) {
    this.#frames = new FrameReader(channel, USUAL_ANSWER_BYTES);
    this.ended = this.#listen();
  }

  /** Resolves when the other side has initial data of all streamed parts. Rejects with MigrationError. */
  async acked(): Promise<void> {
    while (!this.#hasAcked) await this.#more();
  }

  /** Resolves when the other side has taken so many rounds. Rejects with MigrationError. */
  async roundsTaken(count: number): Promise<void> {
    while (this.#roundsTaken < count) await this.#more();
  }

  /** What the other side said when it said no. */
  get refusal(): MigrationError | undefined {
    return this.#error?.code === "refused" ? this.#error : undefined;
  }

  /** Resolves at an answer of this kind. Rejects with MigrationError: another answer, or none. */
  async expect(wanted: number): Promise<void> {
    while (this.#kinds.length === 0) await this.#more();
    const kind = this.#kinds.shift()!;
    if (kind === wanted) return;
    throw new MigrationError(
      "badStream",
      `The other side answered with a ${frameTitle(kind)}; ${frameTitle(wanted)} was due`,
    );
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const { kind, payload } = await this.#frames.read();
        if (kind === FrameKind.failed) {
          throw new MigrationError("refused", `The other side refused: ${new TextDecoder().decode(payload)}`);
        }
        if (kind === FrameKind.switchoverAck) this.#hasAcked = true;
        else if (kind === FrameKind.roundTaken) this.#roundsTaken += 1;
        else if (this.#kinds.push(kind) > MOST_UNTAKEN)
          throw new MigrationError("badStream", "The other side chatters");
        this.#tell();
      }
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      this.#error = error;
      this.#tell();
    }
  }

  #tell(): void {
    for (const told of this.#waiting.splice(0)) told();
  }

  async #more(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
