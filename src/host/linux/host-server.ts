// Serves a host to other processes over a Unix socket. One connection per process carries calls, one connection per
// descriptor stands for the file behind it: when it ends, the last descriptor is closed.
import { chmodSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import {
  Errno,
  PollEvent,
  type Capability,
  type HostFile,
  type HostMapping,
  type HostPort,
} from "../../iommufd/port.ts";
import { HostServerError } from "./errors.ts";
import { ProcessCaller } from "./process-caller.ts";
import { SharedObjects } from "./process-memory.ts";
import { Hello, HELLO_MAGIC, HelloKind, Operation, Reply, ReplyFlag, Request } from "./protocol.ts";

type RequestValues = ReturnType<(typeof Request)["decode"]>;
type ReplyValues = Partial<ReturnType<(typeof Reply)["decode"]>>;

const MAX_PATH_BYTES = 4096;
const MAP_SHARED_BIT = 8;

/** A file of the host and the connection that stands for its descriptors. */
interface ServedFile {
  readonly file: HostFile | undefined;
  readonly mapping: HostMapping | undefined;
  connection: Socket | undefined;
  /** A byte waits on the connection so that poll(2) says readable. */
  signalled: boolean;
}

export interface HostServer {
  readonly socketPath: string;
  /** Clients connected now, files open now; for tests and status lines. */
  readonly openFiles: number;
  close(): Promise<void>;
}

export interface HostServerOptions {
  readonly host: HostPort;
  /** In a folder that only this user can enter. */
  readonly socketPath: string;
  readonly onWarning?: (message: string) => void;
  /** Capabilities that every caller has towards this host; the others are those of its process. */
  readonly granted?: readonly Capability[];
}

/** Listens; rejects with HostServerError when the path cannot be used. */
export async function serveHost(options: HostServerOptions): Promise<HostServer> {
  const serving = new Serving(options);
  await serving.listen();
  return serving;
}

class Serving implements HostServer {
  readonly socketPath: string;
  readonly #host: HostPort;
  readonly #warn: (message: string) => void;
  readonly #granted: readonly Capability[];
  readonly #objects = new SharedObjects();
  /** By the inode of the client's end. */
  readonly #files = new Map<string, ServedFile>();
  readonly #callers = new Map<number, ProcessCaller>();
  readonly #connections = new Set<Socket>();
  readonly #server: Server;
  #nextSpace = 1;
  #nextMap = 1;

  constructor(options: HostServerOptions) {
    this.#host = options.host;
    this.socketPath = options.socketPath;
    this.#granted = options.granted ?? [];
    this.#warn = options.onWarning ?? ((): void => {});
    this.#server = createServer((socket) => this.#greet(socket));
  }

  get openFiles(): number {
    return this.#files.size;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (cause) =>
        reject(
          new HostServerError(
            "cannotListen",
            `The socket "${this.socketPath}" cannot be listened on: ${cause.message}`,
            {
              subject: this.socketPath,
              cause,
            },
          ),
        ),
      );
      this.#server.listen(this.socketPath, () => {
        chmodSync(this.socketPath, 0o600);
        resolve();
      });
    });
  }

  close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    for (const inode of [...this.#files.keys()]) this.#release(inode);
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Waits for the words by which a connection says what it is. */
  #greet(socket: Socket): void {
    this.#connections.add(socket);
    let waiting: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      if (waiting.length < Hello.lengthBytes) return;
      socket.off("data", onData);
      const hello = Hello.decode(waiting);
      const rest = waiting.subarray(Hello.lengthBytes);
      if (hello.magic !== HELLO_MAGIC) socket.destroy();
      else if (hello.kind === HelloKind.CHANNEL) this.#openChannel(socket, hello, rest);
      else this.#openFile(socket, String(hello.inode));
    };
    socket.on("data", onData);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
  }

  #openFile(socket: Socket, inode: string): void {
    const served = this.#files.get(inode);
    if (served !== undefined) served.connection = socket;
    else this.#files.set(inode, { file: undefined, mapping: undefined, connection: socket, signalled: false });
    socket.on("data", () => {});
    const ended = (): void => {
      if (this.#files.get(inode)?.connection === socket) this.#release(inode);
    };
    socket.on("end", ended);
    socket.on("close", ended);
  }

  #bind(inode: string, file: HostFile | undefined, mapping?: HostMapping): void {
    const connection = this.#files.get(inode)?.connection;
    const served: ServedFile = { file, mapping, connection, signalled: false };
    this.#files.set(inode, served);
    if (file === undefined) return;
    file.onReadiness = () => {
      if (served.signalled || (file.poll() & PollEvent.IN) === 0) return;
      served.signalled = true;
      served.connection?.write(new Uint8Array(1));
    };
  }

  #release(inode: string): void {
    const served = this.#files.get(inode);
    if (served === undefined) return;
    this.#files.delete(inode);
    served.file?.release();
    served.mapping?.release();
  }

  #openChannel(socket: Socket, hello: ReturnType<(typeof Hello)["decode"]>, rest: Buffer): void {
    const caller = this.#admit(hello);
    if (caller === undefined) {
      socket.end(Reply.encode({ result: BigInt(-Errno.EACCES) }));
      return;
    }
    this.#callers.set(hello.pid, caller);
    socket.on("close", () => {
      caller.memory.close();
      if (this.#callers.get(hello.pid) === caller) this.#callers.delete(hello.pid);
    });
    let waiting = rest;
    const serve = (): void => {
      while (waiting.length >= Request.lengthBytes) {
        const request = Request.decode(waiting);
        waiting = waiting.subarray(Request.lengthBytes);
        this.#answer(socket, caller, request);
      }
    };
    socket.on("data", (chunk: Buffer) => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      serve();
    });
    socket.write(Reply.encode({ result: 0n }));
    serve();
  }

  /** A process of this user that really is the one it says it is; undefined otherwise. */
  #admit(hello: ReturnType<(typeof Hello)["decode"]>): ProcessCaller | undefined {
    try {
      const { uid } = statSync(`/proc/${hello.pid}`);
      if (uid !== process.getuid?.()) {
        this.#warn(`Process ${hello.pid} belongs to user ${uid} and is refused`);
        return undefined;
      }
      const bind = (inode: string, file: HostFile): void => this.#bind(inode, file);
      const unbind = (inode: string): void => this.#release(inode);
      const find = (inode: string): HostFile | undefined => this.#files.get(inode)?.file;
      const caller = new ProcessCaller(
        this.#objects,
        hello.pid,
        uid,
        this.#nextSpace++,
        find,
        bind,
        unbind,
        this.#granted,
      );
      const nonce = Buffer.alloc(16);
      const proven =
        caller.memory.read(hello.nonceVa, nonce) &&
        nonce.readBigUInt64LE(0) === hello.nonceLow &&
        nonce.readBigUInt64LE(8) === hello.nonceHigh;
      if (proven) return caller;
      caller.memory.close();
      this.#warn(`A client says it is process ${hello.pid} and could not prove it`);
    } catch (cause) {
      this.#warn(`Process ${hello.pid} cannot be read (${(cause as Error).message}); it is refused`);
    }
    return undefined;
  }

  #answer(socket: Socket, caller: ProcessCaller, request: RequestValues): void {
    if (request.op === Operation.SYNC) {
      // Ends of file that came before this request are handled within one more turn of the event loop.
      setImmediate(() => setImmediate(() => socket.write(Reply.encode({ result: 0n }))));
      return;
    }
    caller.memory.newCall();
    socket.write(Reply.encode(this.#perform(caller, request)));
  }

  #perform(caller: ProcessCaller, request: RequestValues): ReplyValues {
    if (request.op === Operation.OPEN) return this.#open(caller, request);
    if (request.op === Operation.STATUS) return this.#status(Number(request.a));
    const served = this.#files.get(String(request.inode));
    const file = served?.file;
    if (served === undefined || file === undefined) return { flags: ReplyFlag.NOT_OURS };
    switch (request.op) {
      case Operation.IOCTL: {
        const spareFd = Number(BigInt.asIntN(32, request.c));
        caller.spare = spareFd < 0 ? undefined : { fd: spareFd, inode: String(request.d) };
        caller.spareUsed = false;
        const result = file.ioctl(caller, Number(request.a), request.b);
        return { result: BigInt(result), flags: caller.spareUsed ? ReplyFlag.SPARE_USED : 0 };
      }
      case Operation.READ: {
        const result = file.read(caller, request.a, Number(request.b));
        const drain = served.signalled && (file.poll() & PollEvent.IN) === 0;
        if (drain) served.signalled = false;
        return { result: BigInt(result), flags: drain ? ReplyFlag.DRAIN : 0 };
      }
      case Operation.WRITE:
        return { result: BigInt(file.write(caller, request.a, Number(request.b))) };
      case Operation.MMAP:
        return this.#mmap(caller, request, file);
      default:
        return { result: BigInt(-Errno.EINVAL) };
    }
  }

  #open(caller: ProcessCaller, request: RequestValues): ReplyValues {
    const bytes = new Uint8Array(Math.min(Number(request.b), MAX_PATH_BYTES));
    if (!caller.memory.read(request.a, bytes)) return { result: BigInt(-Errno.EFAULT) };
    const file = this.#host.openFile(caller, Buffer.from(bytes).toString());
    if (typeof file === "number") return { result: BigInt(file) };
    this.#bind(String(request.inode), file);
    return { result: 0n };
  }

  /** The client gets the region as a file beside the socket, which it maps and removes. */
  #mmap(caller: ProcessCaller, request: RequestValues, file: HostFile): ReplyValues {
    const bits = Number(request.c);
    const mapping = file.mmap(caller, {
      offset: request.a,
      lengthBytes: Number(request.b),
      protection: bits & 7,
      shared: (bits & MAP_SHARED_BIT) !== 0,
    });
    if (typeof mapping === "number") return { result: BigInt(mapping) };
    const id = this.#nextMap++;
    writeFileSync(`${this.socketPath}.map-${id}`, mapping.bytes, { mode: 0o600 });
    this.#bind(String(request.d), undefined, mapping);
    return { result: BigInt(id) };
  }

  #status(pid: number): ReplyValues {
    const caller = this.#callers.get(pid);
    if (caller === undefined) return { result: 0n };
    const { pinnedPages, lockedPages } = this.#host.lockedMemory(caller.memory.space);
    return { result: 0n, x: BigInt(pinnedPages), y: BigInt(lockedPages) };
  }
}

/** Removes a socket that no server listens on any more. */
export function removeStaleSocket(path: string): void {
  try {
    if (statSync(path).isSocket()) unlinkSync(path);
  } catch {
    return;
  }
}

/** The kernel's yama setting, which may forbid one process to read another; 0 or undefined when it does not. */
export function ptraceScope(): number | undefined {
  try {
    return Number(readFileSync("/proc/sys/kernel/yama/ptrace_scope", "latin1").trim());
  } catch {
    return undefined;
  }
}
