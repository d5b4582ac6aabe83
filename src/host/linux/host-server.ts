// Serves a host to other processes over a Unix socket. One connection per process carries calls, one connection per
// descriptor stands for the file behind it.
import { chmodSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { Errno, type Capability, type HostFile, type HostPort } from "../../iommufd/port.ts";
import { HostServerError } from "./errors.ts";
import { ProcessCaller, socketInode } from "./process-caller.ts";
import { SharedObjects } from "./process-memory.ts";
import { Channel } from "./channel.ts";
import { Hello, HELLO_MAGIC, HelloKind, Operation, Reply, ReplyFlag, type Request } from "./protocol.ts";
import { ServedFiles } from "./served-files.ts";

type HelloValues = ReturnType<(typeof Hello)["decode"]>;
type RequestValues = ReturnType<(typeof Request)["decode"]>;
type ReplyValues = Partial<ReturnType<(typeof Reply)["decode"]>>;

const MAX_PATH_BYTES = 4096;
const MAP_SHARED_BIT = 8;
/** As much as the kernel moves in one read or write. */
const MAX_TRANSFER_BYTES = 0x7fff_f000n;
/** A connection that has not said by then what it is, is cut. */
const HELLO_MS = 10_000;
/** How long a call waits for the connection that it brings along, whose words were sent before it. */
const CONNECT_MS = 1000;

export interface HostServer {
  readonly socketPath: string;
  /** Files open now, connections that are there; for tests and status lines. */
  readonly openFiles: number;
  readonly connections: number;
  close(): Promise<void>;
}

export interface HostServerOptions {
  readonly host: HostPort;
  /** In a folder that only this user can enter. */
  readonly socketPath: string;
  readonly onWarning?: (message: string) => void;
  /** Capabilities that every caller has towards this host; the others are those of its process. */
  readonly granted?: readonly Capability[];
  /** How long a connection may take to say what it is. Default: 10 s. */
  readonly helloMs?: number;
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
  readonly #helloMs: number;
  readonly #objects = new SharedObjects();
  readonly #files = new ServedFiles();
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
    this.#helloMs = options.helloMs ?? HELLO_MS;
    this.#server = createServer((socket) => this.#greet(socket));
  }

  get openFiles(): number {
    return this.#files.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  async listen(): Promise<void> {
    const subject = this.socketPath;
    const folder = dirname(subject);
    const { mode, uid } = statSync(folder);
    if ((mode & 0o077) !== 0 || uid !== process.getuid?.()) {
      const found = `"${folder}" can be entered by others`;
      throw new HostServerError("openFolder", `${found}; a folder of your own with mode 0700 would do`, { subject });
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => {
        const message = `The socket "${subject}" cannot be listened on: ${cause.message}`;
        reject(new HostServerError("cannotListen", message, { subject, cause }));
      });
      this.#server.listen(subject, resolve);
    });
    // Failing to take one connection is no reason to drop the others.
    this.#server.on("error", (cause) => this.#warn(`A connection cannot be taken: ${cause.message}`));
    chmodSync(subject, 0o600);
  }

  close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    this.#files.releaseAll();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Waits for the words by which a connection says what it is. */
  #greet(socket: Socket): void {
    this.#connections.add(socket);
    let waiting: Buffer = Buffer.alloc(0);
    const tooLate = setTimeout(() => socket.destroy(), this.#helloMs);
    tooLate.unref();
    const onData = (chunk: Buffer): void => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      if (waiting.length < Hello.lengthBytes) return;
      clearTimeout(tooLate);
      socket.off("data", onData);
      const hello = Hello.decode(waiting);
      const rest = waiting.subarray(Hello.lengthBytes);
      if (hello.magic !== HELLO_MAGIC) socket.destroy();
      else if (hello.kind === HelloKind.CHANNEL) this.#openChannel(socket, hello, rest);
      else if (hello.kind === HelloKind.FILE) this.#openFile(socket, hello);
      else socket.destroy();
    };
    socket.on("data", onData);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(tooLate);
      this.#connections.delete(socket);
    });
  }

  /** The connection of a descriptor: its process must be one that has proven itself, and must really hold it. */
  #openFile(socket: Socket, hello: HelloValues): void {
    const inode = String(hello.inode);
    const caller = this.#callers.get(hello.pid);
    const isProven = caller?.nonce[0] === hello.nonceLow && caller.nonce[1] === hello.nonceHigh;
    if (!isProven || socketInode(hello.pid, hello.fd) !== inode || !this.#files.connect(inode, socket)) {
      socket.destroy();
      return;
    }
    // Nothing is ever said on it; what comes is thrown away.
    socket.on("data", () => {});
    let live = true;
    const ended = (): void => {
      if (live) this.#files.release(inode);
      live = false;
    };
    socket.on("end", ended);
    socket.on("close", ended);
  }

  #openChannel(socket: Socket, hello: HelloValues, rest: Buffer): void {
    const caller = this.#admit(hello);
    if (caller === undefined) {
      socket.end(Reply.encode({ result: BigInt(-Errno.EACCES) }), () => socket.destroy());
      return;
    }
    this.#callers.set(hello.pid, caller);
    const channel = new Channel(
      socket,
      (request) => this.#prepare(request),
      (request) => this.#answer(caller, request),
    );
    socket.on("close", () => {
      caller.memory.close();
      if (this.#callers.get(hello.pid) === caller) this.#callers.delete(hello.pid);
    });
    socket.write(Reply.encode({ result: 0n }));
    channel.take(rest);
  }

  /** A process of this user that really is the one it says it is; undefined otherwise. */
  #admit(hello: HelloValues): ProcessCaller | undefined {
    try {
      const { uid } = statSync(`/proc/${hello.pid}`);
      if (uid !== process.getuid?.()) {
        this.#warn(`Process ${hello.pid} belongs to user ${uid} and is refused`);
        return undefined;
      }
      const caller = new ProcessCaller({
        objects: this.#objects,
        pid: hello.pid,
        uid,
        spaceId: this.#nextSpace++,
        granted: this.#granted,
        nonce: [hello.nonceLow, hello.nonceHigh],
        find: (inode) => this.#files.find(inode)?.file,
        bind: (inode, file) => this.#files.bindFile(inode, file),
        unbind: (inode) => this.#files.unbind(inode),
      });
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

  /** What has to happen before a request can be answered; undefined when nothing has to. */
  #prepare(request: RequestValues): ((then: () => void) => void) | undefined {
    // Ends of file that came before this request are handled within one more turn of the event loop.
    if (request.op === Operation.SYNC) return (then) => setImmediate(() => setImmediate(then));
    const inode = newInode(request);
    if (inode === undefined || this.#files.find(inode) !== undefined) return undefined;
    return (then) => this.#files.whenConnected(inode, CONNECT_MS, then);
  }

  #answer(caller: ProcessCaller, request: RequestValues): ReplyValues {
    if (request.op === Operation.SYNC) return { result: 0n };
    caller.memory.newCall();
    return this.#perform(caller, request);
  }

  #perform(caller: ProcessCaller, request: RequestValues): ReplyValues {
    if (request.op === Operation.OPEN) return this.#open(caller, request);
    if (request.op === Operation.STATUS) return this.#status(Number(BigInt.asUintN(32, request.a)));
    const served = this.#files.find(String(request.inode));
    const file = served?.file;
    if (served === undefined || file === undefined) return { flags: ReplyFlag.NOT_OURS };
    switch (request.op) {
      case Operation.IOCTL: {
        caller.bringAlong(Number(BigInt.asIntN(32, request.c)), String(request.d));
        // The kernel's command is 32 bits wide, whatever the library was given.
        const result = file.ioctl(caller, Number(BigInt.asUintN(32, request.a)), request.b);
        return { result: BigInt(result), flags: caller.spareUsed ? ReplyFlag.SPARE_USED : 0 };
      }
      case Operation.READ: {
        const count = transferBytes(request.b);
        const result = count < 0 ? count : file.read(caller, request.a, count);
        return { result: BigInt(result), flags: this.#files.drained(served) ? ReplyFlag.DRAIN : 0 };
      }
      case Operation.WRITE: {
        const count = transferBytes(request.b);
        return { result: BigInt(count < 0 ? count : file.write(caller, request.a, count)) };
      }
      case Operation.MMAP:
        return { result: BigInt(this.#mmap(caller, request, file)) };
      default:
        return { result: BigInt(-Errno.EINVAL) };
    }
  }

  #open(caller: ProcessCaller, request: RequestValues): ReplyValues {
    const bytes = new Uint8Array(Number(request.b < MAX_PATH_BYTES ? request.b : MAX_PATH_BYTES));
    if (!caller.memory.read(request.a, bytes)) return { result: BigInt(-Errno.EFAULT) };
    const file = this.#host.openFile(caller, Buffer.from(bytes).toString());
    if (typeof file === "number") return { result: BigInt(file) };
    const rc = this.#files.bindFile(String(request.inode), file);
    if (rc < 0) file.release();
    return { result: BigInt(rc) };
  }

  /** The client gets the region as a file beside the socket, which it maps and removes: its number, or a negative errno. */
  #mmap(caller: ProcessCaller, request: RequestValues, file: HostFile): number {
    const bits = Number(BigInt.asUintN(32, request.c));
    const mapping = file.mmap(caller, {
      offset: request.a,
      lengthBytes: Number(request.b),
      protection: bits & 7,
      shared: (bits & MAP_SHARED_BIT) !== 0,
    });
    if (typeof mapping === "number") return mapping;
    const id = this.#nextMap++;
    const path = `${this.socketPath}.map-${id}`;
    try {
      writeFileSync(path, mapping.bytes, { mode: 0o600, flag: "wx" });
    } catch (cause) {
      this.#warn(`A region cannot be handed over: ${(cause as Error).message}`);
      mapping.release();
      return -Errno.ENOMEM;
    }
    const rc = this.#files.bindMapping(String(request.d), mapping, () => rmSync(path, { force: true }));
    if (rc === 0) return id;
    rmSync(path, { force: true });
    mapping.release();
    return rc;
  }

  #status(pid: number): ReplyValues {
    const caller = this.#callers.get(pid);
    if (caller === undefined) return { result: 0n };
    const { pinnedPages, lockedPages } = this.#host.lockedMemory(caller.memory.space);
    return { result: 0n, x: BigInt(pinnedPages), y: BigInt(lockedPages) };
  }
}

/** The inode of the connection that a request brings along for what it makes. */
function newInode(request: RequestValues): string | undefined {
  if (request.op === Operation.OPEN) return String(request.inode);
  if (request.op === Operation.MMAP) return String(request.d);
  return request.op === Operation.IOCTL && BigInt.asIntN(32, request.c) >= 0n ? String(request.d) : undefined;
}

/** How much a read or write moves at most; -EINVAL for a length that is negative in C. */
function transferBytes(lengthBytes: bigint): number {
  if (BigInt.asIntN(64, lengthBytes) < 0n) return -Errno.EINVAL;
  return Number(lengthBytes < MAX_TRANSFER_BYTES ? lengthBytes : MAX_TRANSFER_BYTES);
}

/** Removes a socket that no server listens on any more; one that is listened on stays. */
export function removeStaleSocket(path: string): Promise<void> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve();
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") rmSync(path, { force: true });
      resolve();
    });
  });
}
