// A Unix or TCP stream socket, as server or client. One peer at a time; further ones wait their turn.
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { CharFront } from "../../chardev/port.ts";
import type { CharErrorSink, HostCharBackend } from "./char-port.ts";
import { errnoText, HostError } from "./errors.ts";
import { StreamInput } from "./stream-input.ts";
import { StreamOutput } from "./stream-output.ts";

export type SocketAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export interface SocketCharOptions {
  readonly label: string;
  readonly address: SocketAddress;
  readonly server: boolean;
  /** A server resolves only when the first peer is there. */
  readonly wait: boolean;
  /** TCP: send small pieces at once. */
  readonly noDelay: boolean;
  readonly onError: CharErrorSink;
  /** A waiting server says where it listens. */
  readonly onWaiting?: (address: string) => void;
  readonly signal?: AbortSignal;
}

const WAITING_PEERS = 8;

/** `unix:/tmp/s` or `tcp:localhost:4444`. */
export function addressText(address: SocketAddress): string {
  return address.kind === "unix" ? `unix:${address.path}` : `tcp:${address.host}:${address.port}`;
}

/** While nobody is connected, what the guest writes is thrown away, as QEMU does. Rejects with HostError. */
export async function openSocketChar(options: SocketCharOptions): Promise<HostCharBackend> {
  const back = new SocketChar(options.label, options.onError);
  try {
    if (options.server) await back.listen(options);
    else await back.connect(options);
  } catch (error) {
    back.close();
    throw error;
  }
  return back;
}

interface Peer {
  readonly socket: Socket;
  readonly input: StreamInput;
  readonly output: StreamOutput;
}

class SocketChar implements HostCharBackend {
  readonly label: string;
  readonly #onError: CharErrorSink;
  readonly #queue: Socket[] = [];
  #server: Server | undefined;
  #peer: Peer | undefined;
  #front: CharFront | undefined;
  #connected: (() => void) | undefined;
  #closed = false;

  constructor(label: string, onError: CharErrorSink) {
    this.label = label;
    this.#onError = onError;
  }

  write(bytes: Uint8Array): number {
    return this.#peer === undefined ? bytes.length : this.#peer.output.write(bytes);
  }

  attach(front: CharFront | undefined): void {
    this.#front = front;
    if (this.#peer === undefined) return;
    if (front !== undefined) front.event?.("opened");
    this.#peer.input.attach(front);
  }

  frontReady(): void {
    this.#peer?.input.deliver();
  }

  async drained(): Promise<void> {
    await this.#peer?.output.drained();
  }

  close(): void {
    this.#closed = true;
    this.#front = undefined;
    this.#server?.close();
    for (const socket of this.#queue.splice(0)) socket.destroy();
    const peer = this.#peer;
    this.#peer = undefined;
    if (peer === undefined) return;
    peer.input.detach();
    peer.output.detach();
    peer.socket.destroySoon();
  }

  async connect({ address, noDelay, signal }: SocketCharOptions): Promise<void> {
    const to = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
    const socket = connect(to);
    try {
      await once(socket, "connect", signal);
    } catch (cause) {
      socket.destroy();
      const message = `Failed to connect to '${addressText(address)}': ${errnoText(cause)}`;
      throw new HostError("cannotConnect", message, { subject: addressText(address), cause });
    }
    this.#adopt(socket, noDelay);
  }

  async listen({ address, wait, noDelay, signal, onWaiting }: SocketCharOptions): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => {});
      if (this.#peer === undefined) return this.#adopt(socket, noDelay);
      if (this.#queue.length >= WAITING_PEERS) return void socket.destroy();
      this.#queue.push(socket);
      socket.once("close", () => {
        const at = this.#queue.indexOf(socket);
        if (at >= 0) this.#queue.splice(at, 1);
      });
    });
    this.#server = server;
    const fail = (cause: unknown): never => {
      const message = `Failed to listen on '${addressText(address)}': ${errnoText(cause)}`;
      throw new HostError("cannotListen", message, { subject: addressText(address), cause });
    };
    try {
      if (address.kind === "unix") {
        removeStaleSocket(address.path);
        server.listen({ path: address.path });
      } else server.listen({ host: address.host, port: address.port });
      await once(server, "listening", signal);
    } catch (cause) {
      fail(cause);
    }
    server.on("error", (error) => this.#onError(`${addressText(address)}: ${errnoText(error)}`));
    if (!wait) return;
    onWaiting?.(addressText(address));
    await new Promise<void>((resolve, reject) => {
      if (this.#peer !== undefined) return resolve();
      this.#connected = resolve;
      signal?.addEventListener("abort", () => reject(abortedError(address)), { once: true });
      if (signal?.aborted === true) reject(abortedError(address));
    });
  }

  #adopt(socket: Socket, noDelay: boolean): void {
    if (noDelay) socket.setNoDelay(true);
    const gone = (): void => {
      if (this.#peer?.socket !== socket) return;
      this.#peer = undefined;
      peer.output.detach();
      socket.destroy();
      this.#front?.event?.("closed");
      const next = this.#queue.shift();
      if (next !== undefined) this.#adopt(next, noDelay);
      // Nobody reads: a front that waits for room must go on.
      else if (!this.#closed) this.#front?.writable?.();
    };
    const peer: Peer = {
      socket,
      input: new StreamInput(socket, gone),
      output: new StreamOutput(socket, { onRoom: () => this.#front?.writable?.(), onError: () => {} }),
    };
    this.#peer = peer;
    socket.once("close", () => {
      // With a full front the input is still held: it is delivered first, and its end reports the peer as gone.
      if (this.#front === undefined) gone();
    });
    if (this.#front !== undefined) {
      this.#front.event?.("opened");
      peer.input.attach(this.#front);
    }
    this.#connected?.();
    this.#connected = undefined;
  }
}

function abortedError(address: SocketAddress): HostError {
  return new HostError("aborted", `Gave up waiting for a connection on '${addressText(address)}'`);
}

/** A socket file that an earlier process left would make bind fail; anything else in its place is not ours to remove. */
function removeStaleSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
}

function once(emitter: Socket | Server, event: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    emitter.once("error", reject);
    emitter.once(event, () => {
      emitter.off("error", reject);
      resolve();
    });
    signal?.addEventListener("abort", () => reject(new Error("interrupted")), { once: true });
    if (signal?.aborted === true) reject(new Error("interrupted"));
  });
}
