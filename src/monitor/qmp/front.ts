// A QMP server on a character device: a session per peer.
import type { CharBackend, CharEvent, CharFront } from "../../chardev/port.ts";
import { BoundedOutput } from "../output.ts";
import { JsonStreamer } from "../json/streamer.ts";
import { jsonText, type JsonValue } from "../json/value.ts";
import { QmpSession, type QmpSessionOptions } from "./session.ts";

/** Bytes taken at once; more wait at the back end. */
const CHUNK_BYTES = 65536;

export type QmpFrontOptions = Omit<QmpSessionOptions, "send"> & {
  /** Messages over several lines (`-qmp-pretty`). */
  readonly pretty?: boolean;
};

export class QmpFront implements CharFront {
  readonly #options: QmpFrontOptions;
  readonly #back: CharBackend;
  #session: QmpSession | undefined;
  #streamer: JsonStreamer | undefined;
  readonly #output: BoundedOutput;

  constructor(back: CharBackend, options: QmpFrontOptions) {
    this.#options = options;
    this.#back = back;
    this.#output = new BoundedOutput(back);
    back.attach(this);
  }

  room(): number {
    const isReading = this.#session !== undefined && this.#session.room > 0;
    return isReading && !this.#output.isFull ? CHUNK_BYTES : 0;
  }

  receive(bytes: Uint8Array): void {
    this.#streamer?.push(bytes);
  }

  writable(): void {
    this.#output.flush();
  }

  event(event: CharEvent): void {
    if (event === "opened") this.#open();
    else if (event === "closed") this.#end();
  }

  close(): void {
    this.#end();
    this.#back.attach(undefined);
  }

  #open(): void {
    this.#end();
    const session = new QmpSession({ ...this.#options, send: (message) => this.#send(message) });
    this.#session = session;
    this.#streamer = new JsonStreamer((parsed) => {
      void session.take(parsed).then(() => this.#back.frontReady());
    });
  }

  #end(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#streamer = undefined;
    this.#output.clear();
  }

  #send(message: JsonValue): void {
    const text = this.#options.pretty === true ? prettyText(message) : jsonText(message);
    this.#output.send(new TextEncoder().encode(`${text}\r\n`));
  }
}

function prettyText(value: JsonValue, indent = ""): string {
  const inner = `${indent}    `;
  if (Array.isArray(value) && value.length > 0) {
    const items = value.map((item: JsonValue) => inner + prettyText(item, inner));
    return `[\n${items.join(",\n")}\n${indent}]`;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const members = Object.entries(value).filter(([, member]) => (member as unknown) !== undefined);
    if (members.length === 0) return "{}";
    const lines = members.map(([name, member]) => `${inner}${jsonText(name)}: ${prettyText(member, inner)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  return jsonText(value);
}
