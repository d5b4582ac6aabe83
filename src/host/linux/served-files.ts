// The host's files that clients have open. Each is known by the inode of a socket: the client's end of the connection that
// stands for the descriptor. When that connection ends, the last descriptor is closed.
import type { Socket } from "node:net";
import { Errno, PollEvent, type HostFile, type HostMapping } from "../../iommufd/port.ts";

/** What lies behind a connection: a file, or a mapped region. Neither, before the call that makes it. */
export interface ServedFile {
  readonly connection: Socket;
  file: HostFile | undefined;
  mapping: { readonly region: HostMapping; readonly onGone: () => void } | undefined;
  /** A byte waits on the connection so that poll(2) says readable. */
  signalled: boolean;
}

export class ServedFiles {
  readonly #files = new Map<string, ServedFile>();
  readonly #waiting = new Map<string, () => void>();

  /** Files and regions; connections without one do not count. */
  get size(): number {
    let count = 0;
    for (const { file, mapping } of this.#files.values()) if (file !== undefined || mapping !== undefined) count++;
    return count;
  }

  find(inode: string): ServedFile | undefined {
    return this.#files.get(inode);
  }

  /** A connection says that it is this inode's; false when another one is already. */
  connect(inode: string, connection: Socket): boolean {
    if (this.#files.has(inode)) return false;
    this.#files.set(inode, { connection, file: undefined, mapping: undefined, signalled: false });
    this.#waiting.get(inode)?.();
    return true;
  }

  /** Runs `then` when the connection has introduced itself, or after `mostMs` without it. */
  whenConnected(inode: string, mostMs: number, then: () => void): void {
    const done = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(inode);
      then();
    };
    const timer = setTimeout(done, mostMs);
    this.#waiting.set(inode, done);
  }

  /** Ties a file to a connection: zero, or -EMFILE when it is not there or taken. */
  bindFile(inode: string, file: HostFile): number {
    const served = this.#vacant(inode);
    if (served === undefined) return -Errno.EMFILE;
    served.file = file;
    file.onReadiness = () => {
      if (served.signalled || (file.poll() & PollEvent.IN) === 0) return;
      served.signalled = true;
      served.connection.write(new Uint8Array(1));
    };
    file.onReadiness();
    return 0;
  }

  /** Ties a mapped region to a connection, as `bindFile`; `onGone` runs when the client has let it go. */
  bindMapping(inode: string, region: HostMapping, onGone: () => void): number {
    const served = this.#vacant(inode);
    if (served === undefined) return -Errno.EMFILE;
    served.mapping = { region, onGone };
    return 0;
  }

  #vacant(inode: string): ServedFile | undefined {
    const served = this.#files.get(inode);
    return served?.file === undefined && served?.mapping === undefined ? served : undefined;
  }

  /** Whether the byte that made the connection readable is no longer true; then the client takes it off. */
  drained(served: ServedFile): boolean {
    if (!served.signalled || served.file === undefined || (served.file.poll() & PollEvent.IN) !== 0) return false;
    served.signalled = false;
    return true;
  }

  release(inode: string): void {
    const served = this.#files.get(inode);
    if (served === undefined) return;
    this.#files.delete(inode);
    this.#letGo(served);
  }

  /** Undoes `bindFile`; the connection stays. */
  unbind(inode: string): void {
    const served = this.#files.get(inode);
    if (served !== undefined) this.#letGo(served);
  }

  releaseAll(): void {
    for (const inode of [...this.#files.keys()]) this.release(inode);
  }

  #letGo(served: ServedFile): void {
    const { file, mapping } = served;
    served.file = undefined;
    served.mapping = undefined;
    if (file !== undefined) {
      file.onReadiness = undefined;
      file.release();
    }
    mapping?.region.release();
    mapping?.onGone();
  }
}
