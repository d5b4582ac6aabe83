// A QMP client as a person would write one: it speaks to QEMU and to us alike.
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type Message = Record<string, unknown>;

/** What is heard of a server that has gone. */
const HUNG_UP: Message = { error: { class: "GenericError", desc: "the monitor has hung up" } };

export class QmpClient {
  readonly greeting: Message;
  readonly events: Message[] = [];
  readonly #socket: Socket;
  readonly #replies: Message[] = [];
  readonly #waiting: ((message: Message) => void)[] = [];
  #hasEnded = false;

  private constructor(socket: Socket, greeting: Message, lines: Lines) {
    this.#socket = socket;
    this.greeting = greeting;
    lines.onLine = (line) => this.#take(JSON.parse(line) as Message);
    lines.push("");
    socket.on("close", () => {
      this.#hasEnded = true;
      for (const hear of this.#waiting.splice(0)) hear(HUNG_UP);
    });
  }

  /** Connects as soon as the server listens, within ten seconds. */
  static async connect(where: string | { readonly host: string; readonly port: number }): Promise<QmpClient> {
    const socket = await connected(where);
    const lines = new Lines();
    socket.setEncoding("utf8");
    socket.on("error", () => undefined);
    socket.on("data", (chunk: string) => lines.push(chunk));
    const greeting = await new Promise<string>((resolve, reject) => {
      lines.onLine = resolve;
      socket.once("close", () => reject(new Error(`${JSON.stringify(where)} hung up before it said anything`)));
    });
    return new QmpClient(socket, JSON.parse(greeting) as Message, lines);
  }

  async negotiate(): Promise<void> {
    await this.execute("qmp_capabilities");
  }

  /** The whole reply. */
  ask(request: string): Promise<Message> {
    if (this.#hasEnded) return Promise.resolve(HUNG_UP);
    this.#socket.write(request);
    const ready = this.#replies.shift();
    return ready === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(ready);
  }

  /** What a command returns; throws its error. */
  async execute(name: string, args?: object): Promise<unknown> {
    const reply = await this.ask(JSON.stringify({ execute: name, ...(args !== undefined && { arguments: args }) }));
    if ("error" in reply) throw new Error((reply["error"] as { desc: string }).desc);
    return reply["return"];
  }

  async event(name: string): Promise<Message> {
    for (let i = 0; i < 1000; i++) {
      const found = this.events.find((event) => event["event"] === name);
      if (found !== undefined) return found;
      await sleep(10);
    }
    throw new Error(`no event ${name}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(message: Message): void {
    if ("event" in message) this.events.push(message);
    else if (this.#waiting.length > 0) this.#waiting.shift()!(message);
    else this.#replies.push(message);
  }
}

/** A stream's lines, given out while somebody takes them. */
class Lines {
  onLine: ((line: string) => void) | undefined;
  #text = "";

  push(chunk: string): void {
    this.#text += chunk;
    while (this.onLine !== undefined && this.#text.includes("\n")) {
      const end = this.#text.indexOf("\n");
      const line = this.#text.slice(0, end).trim();
      this.#text = this.#text.slice(end + 1);
      const take = this.onLine;
      if (this.#isFirst) this.onLine = undefined;
      this.#isFirst = false;
      if (line !== "") take(line);
    }
  }

  #isFirst = true;
}

async function connected(where: string | { readonly host: string; readonly port: number }): Promise<Socket> {
  for (let i = 0; ; i++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = typeof where === "string" ? connect(where) : connect(where.port, where.host);
        socket.once("connect", () => resolve(socket));
        socket.once("error", reject);
      });
    } catch (error) {
      if (i === 200) throw error;
      await sleep(50);
    }
  }
}
