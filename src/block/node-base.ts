// What every node does the same: names, range checks, read-only, and waiting for what is in flight when it closes.
import { BlockError } from "./errors.ts";
import type { BlockNode } from "./port.ts";

export interface NodeOptions {
  readonly nodeName: string;
  readonly readOnly?: boolean;
}

/** Formats fill in the `do…` methods, which get ranges inside the node and not empty. */
export abstract class CheckedNode implements BlockNode {
  readonly nodeName: string;
  readonly readOnly: boolean;
  abstract readonly lengthBytes: number;
  abstract readonly requestAlignmentBytes: number;
  readonly #pending = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  protected constructor({ nodeName, readOnly = false }: NodeOptions) {
    this.nodeName = nodeName;
    this.readOnly = readOnly;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#run("read", offset, into.length, false, () => this.doRead(offset, into));
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    return this.#run("write", offset, from.length, true, () => this.doWrite(offset, from));
  }

  flush(): Promise<void> {
    return this.#run("flush", 0, undefined, false, () => this.doFlush());
  }

  discard(offset: number, lengthBytes: number): Promise<void> {
    return this.#run("discard", offset, lengthBytes, true, () => this.doDiscard(offset, lengthBytes));
  }

  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void> {
    return this.#run("write zeroes", offset, lengthBytes, true, () =>
      this.doWriteZeroes(offset, lengthBytes, mayUnmap),
    );
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#pending);
      await this.doClose();
    })();
    return this.#closing;
  }

  protected abstract doRead(offset: number, into: Uint8Array): Promise<void>;
  protected abstract doWrite(offset: number, from: Uint8Array): Promise<void>;
  protected abstract doFlush(): Promise<void>;
  protected abstract doDiscard(offset: number, lengthBytes: number): Promise<void>;
  protected abstract doWriteZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void>;
  protected abstract doClose(): Promise<void>;

  protected error(code: BlockError["code"], message: string, cause?: unknown): BlockError {
    return new BlockError(code, message, { subject: this.nodeName, ...(cause === undefined ? {} : { cause }) });
  }

  #run(
    what: string,
    offset: number,
    lengthBytes: number | undefined,
    writes: boolean,
    act: () => Promise<void>,
  ): Promise<void> {
    const refusal = this.#refusal(what, offset, lengthBytes, writes);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (lengthBytes === 0) return Promise.resolve();
    const pending = act();
    this.#pending.add(pending);
    const forget = (): void => void this.#pending.delete(pending);
    pending.then(forget, forget);
    return pending;
  }

  #refusal(what: string, offset: number, lengthBytes: number | undefined, writes: boolean): BlockError | undefined {
    const { nodeName } = this;
    if (this.#closing !== undefined) return this.error("closed", `Block node '${nodeName}' is closed: cannot ${what}`);
    if (writes && this.readOnly) {
      return this.error("readOnly", `Block node '${nodeName}' is read-only: cannot ${what}`);
    }
    if (lengthBytes === undefined) return undefined;
    const inside =
      Number.isSafeInteger(offset) && offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.lengthBytes;
    if (inside) return undefined;
    const range = `${lengthBytes} bytes at ${offset}`;
    return this.error("outOfRange", `Cannot ${what} ${range}: block node '${nodeName}' has ${this.lengthBytes} bytes`);
  }
}
