// Channels for migration by QEMU's URIs: sockets, files, inherited descriptors.
import { close, createWriteStream, read, type WriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { connect, createServer, Socket } from "node:net";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import type { ByteSink, MigrationChannel } from "../../migration/port.ts";
import { errnoText, HostError } from "./errors.ts";
import { adoptAccepted, FileInput, readingSocket, SocketInput, type MigrationInput } from "./migration-input.ts";

/** What a stream holds before `write` waits. */
const BUFFER_BYTES = 2 * 2 ** 20;

const KEEP_ALIVE_MS = 10_000;

interface Target {
  readonly kind: "tcp" | "unix" | "file" | "fd";
  readonly path: string;
  readonly host: string;
  readonly port: number;
}

const REFUSED: Readonly<Record<string, string>> = {
  exec: "commands are not run; a file or a socket would do",
  rdma: "Node has no RDMA; a socket would do",
  vsock: "Node has no vsock; a socket would do",
};

/** Throws HostError for what is no channel. */
function parseUri(uri: string): Target {
  const wrong = (message: string): HostError => new HostError("cannotConnect", message, { subject: uri });
  const at = uri.indexOf(":");
  const [kind, rest] = at < 0 ? [uri, ""] : [uri.slice(0, at), uri.slice(at + 1)];
  const target = { path: rest, host: "", port: 0 };
  switch (kind) {
    case "unix":
    case "file":
    case "fd":
      if (rest === "") throw wrong(`'${uri}' names nothing; ${kind}:${kind === "fd" ? "NUMBER" : "PATH"} would do`);
      return { ...target, kind };
    case "tcp": {
      const match = /^(?:\[(.*)\]|([^:]*)):([0-9]+)$/.exec(rest);
      if (match === null) throw wrong(`'${uri}' is not tcp:HOST:PORT`);
      return { ...target, kind, host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
    }
    default: {
      const reason = Object.hasOwn(REFUSED, kind) ? `: ${REFUSED[kind]}` : "";
      throw wrong(`unknown migration protocol: ${uri}${reason === "" ? "; tcp, unix, file and fd would do" : reason}`);
    }
  }
}

/** Connects, or makes the file. Rejects with HostError. */
export async function connectMigration(uri: string): Promise<MigrationChannel> {
  const target = parseUri(uri);
  try {
    if (target.kind === "file") return new StreamChannel(uri, await fileOut(target.path));
    if (target.kind === "fd") return socketOrFile(uri, Number(target.path), "out");
    const input = new SocketInput();
    const socket = connect({ ...addressOf(target), onread: input.onread });
    await settled(socket, "connect");
    return socketChannel(uri, socket, input.of(socket));
  } catch (cause) {
    throw failed("connect to", uri, cause);
  }
}

/** Waits for the one peer, or opens the file; `onListening` is told where. Rejects with HostError. */
export async function acceptMigration(uri: string, onListening?: (uri: string) => void): Promise<MigrationChannel> {
  const target = parseUri(uri);
  try {
    if (target.kind === "file") return new StreamChannel(uri, undefined, await fileIn(target.path));
    if (target.kind === "fd") return socketOrFile(uri, Number(target.path), "in");
    const server = createServer({ pauseOnConnect: true });
    server.listen(addressOf(target));
    await settled(server, "listening");
    onListening?.(uri);
    const socket = await new Promise<Socket>((resolve) => server.once("connection", resolve));
    server.close();
    const { socket: adopted, input } = adoptAccepted(socket);
    return socketChannel(uri, adopted, input);
  } catch (cause) {
    throw failed("listen on", uri, cause);
  }
}

/** A path and a port in one object would be taken for a path. */
function addressOf({ kind, path, host, port }: Target): { path: string } | { host: string; port: number } {
  return kind === "unix" ? { path } : { host, port };
}

function failed(what: string, uri: string, cause: unknown): HostError {
  return cause instanceof HostError
    ? cause
    : new HostError("cannotConnect", `Failed to ${what} '${uri}': ${errnoText(cause)}`, { subject: uri, cause });
}

function settled(emitter: NodeJS.EventEmitter, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    emitter.once(event, () => resolve());
    emitter.once("error", reject);
  });
}

function socketChannel(uri: string, socket: Socket, input: MigrationInput): MigrationChannel {
  socket.setNoDelay(true);
  // A peer whose host has gone says nothing: without this its end would be waited for forever.
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return new StreamChannel(uri, socket, input);
}

async function fileOut(path: string): Promise<WriteStream> {
  const handle = await open(path, "w", 0o600);
  return createWriteStream(path, { fd: handle, highWaterMark: BUFFER_BYTES });
}

async function fileIn(path: string): Promise<MigrationInput> {
  const handle = await open(path, "r");
  return new FileInput(
    (into) => handle.read(into, 0, into.length, null),
    () => handle.close(),
  );
}

/** An inherited descriptor: a socket where it is one, else a file or a pipe. */
function socketOrFile(uri: string, fd: number, way: "in" | "out"): MigrationChannel {
  try {
    const { socket, input } = readingSocket({ fd });
    return new StreamChannel(uri, socket, input);
  } catch {
    if (way === "out") return new StreamChannel(uri, createWriteStream("", { fd, highWaterMark: BUFFER_BYTES }));
    const readFd = promisify(read);
    return new StreamChannel(
      uri,
      undefined,
      new FileInput(
        (into) => readFd(fd, into, 0, into.length, null),
        () => promisify(close)(fd),
      ),
    );
  }
}

class StreamChannel implements MigrationChannel {
  readonly name: string;
  readonly isDuplex: boolean;
  readonly #out: Writable | undefined;
  readonly #in: MigrationInput | undefined;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(name: string, out: Writable | undefined, input?: MigrationInput) {
    this.name = name;
    this.#out = out;
    this.#in = input;
    this.isDuplex = out !== undefined && input !== undefined;
    const fail = (error: Error): void => {
      this.#error ??= error;
      this.#wake?.();
    };
    out?.on("error", fail);
    out?.on("close", () => fail(new Error("the other side has closed it")));
  }

  get unwrittenBytes(): number {
    return this.#out?.writableLength ?? 0;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    this.#out!.write(bytes, () => this.#wake?.());
    if (this.unwrittenBytes >= BUFFER_BYTES) await this.flush(BUFFER_BYTES - 1);
  }

  async read(sink: ByteSink): Promise<boolean> {
    if (this.#isClosed) return false;
    return this.#in!.read(sink);
  }

  async flush(unwrittenBytes = 0): Promise<void> {
    while (this.unwrittenBytes > unwrittenBytes) {
      this.#check();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#out?.end();
    this.#in?.end();
    // A socket's other half: what was written still leaves.
    if (this.#out instanceof Socket) this.#out.destroySoon();
    this.#wake?.();
  }

  #check(): void {
    if (this.#isClosed) throw new Error("it was closed here");
    if (this.#error !== undefined) throw this.#error;
  }
}
