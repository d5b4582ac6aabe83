// A machine's monitor from outside, by QMP on a Unix socket.
import { connect, type Socket } from "node:net";
import { CliError } from "../errors.ts";

export type QmpObject = Readonly<Record<string, unknown>>;

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class QmpClient {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #waiters: Waiter[] = [];
  #events: { readonly event: string; readonly data: QmpObject }[] = [];
  #text = "";

  /** Resolves when commands can be given. Rejects with CliError when the monitor goes first. */
  static async open(socket: Socket, path: string): Promise<QmpClient> {
    const client = new QmpClient(socket, path);
    await client.execute("qmp_capabilities");
    return client;
  }

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const { reject } of this.#waiters.splice(0)) reject(this.#error("the machine has gone"));
    });
  }

  /** What the command returns. Rejects with CliError that has its error text. */
  execute(name: string, args?: object): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(this.#error("the machine has gone"));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: name, ...(args !== undefined && { arguments: args }) })}\n`);
    });
  }

  /** Data of the events of this name since they were last taken, in their order. */
  takeEvents(name: string): readonly QmpObject[] {
    const taken = this.#events.filter(({ event }) => event === name);
    this.#events = this.#events.filter(({ event }) => event !== name);
    return taken.map(({ data }) => data);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    const lines = this.#text.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      const message = JSON.parse(line) as QmpObject;
      if ("event" in message) this.#events.push(message as { readonly event: string; readonly data: QmpObject });
      else if ("return" in message) this.#waiters.shift()?.resolve(message["return"]);
      else if ("error" in message) {
        this.#waiters.shift()?.reject(this.#error((message["error"] as { readonly desc: string }).desc));
      }
    }
  }

  #error(message: string): CliError {
    return new CliError("machineFailed", message, { subject: this.#path });
  }
}

/** A host may be busy with other things. */
const COME_UP_MS = 300_000;
const TRY_MS = 50;

/** Connects as soon as somebody listens, for as long as `isAlive` says that somebody may. */
export async function connectWhenThere(path: string, isAlive: () => boolean): Promise<Socket> {
  const giveUpAt = performance.now() + COME_UP_MS;
  for (;;) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(path);
        socket.once("connect", () => resolve(socket));
        socket.once("error", reject);
      });
    } catch (cause) {
      if (performance.now() > giveUpAt || !isAlive()) {
        throw new CliError("machineFailed", "The machine did not come up", { subject: path, cause });
      }
      await new Promise((resolve) => setTimeout(resolve, TRY_MS));
    }
  }
}
