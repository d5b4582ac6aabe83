// The raw format: a disk byte for byte as a file, or as a range of one.
import { alignUp } from "../base/index.ts";
import { BlockError } from "./errors.ts";
import { CheckedNode, type NodeOptions } from "./node-base.ts";
import type { FilePort } from "./port.ts";

/** Disks count in sectors: a file whose end is inside one is shown with zeroes up to the sector's end, as QEMU does. */
const SECTOR_BYTES = 512;
/** Zeroes are written in pieces of this length where the platform has nothing better. */
const ZERO_PIECE_BYTES = 256 * 1024;

export interface RawNodeOptions extends NodeOptions {
  readonly file: FilePort;
  /** Where in the file the disk begins; default 0. */
  readonly offsetBytes?: number;
  /** Length of the disk; default: up to the file's end. */
  readonly lengthBytes?: number;
}

let zeroes: Uint8Array | undefined;

export class RawNode extends CheckedNode {
  readonly lengthBytes: number;
  readonly requestAlignmentBytes: number;
  readonly #file: FilePort;
  readonly #start: number;
  /** Something was written that no flush has seen: a machine that hands the disk over need not wait for nothing. */
  #hasUnflushed = false;
  /** Bytes of the disk that are in the file; the rest of its last sector reads as zeroes until it is written. */
  #storedBytes: number;

  /** The node owns the file from now on and closes it. Throws BlockError `badSize` or `readOnly`. */
  constructor(options: RawNodeOptions) {
    const { file, nodeName } = options;
    super({ nodeName, readOnly: options.readOnly ?? file.readOnly });
    if (file.readOnly && !this.readOnly) {
      throw this.error("readOnly", `'${file.name}' was opened for reading only; read-only=on would do`);
    }
    this.#file = file;
    this.#start = options.offsetBytes ?? 0;
    const available = file.lengthBytes - this.#start;
    const wanted = options.lengthBytes;
    if (available < 0 || (wanted !== undefined && wanted > available)) {
      const range = wanted === undefined ? `offset ${this.#start}` : `${wanted} bytes at offset ${this.#start}`;
      throw this.error("badSize", `'${file.name}' has ${file.lengthBytes} bytes; ${range} is not inside`);
    }
    if (this.#start % SECTOR_BYTES !== 0 || (wanted ?? 0) % SECTOR_BYTES !== 0) {
      throw this.error("badSize", `Offset and size of a raw disk are multiples of ${SECTOR_BYTES}`);
    }
    this.#storedBytes = wanted ?? available;
    this.lengthBytes = alignUp(this.#storedBytes, SECTOR_BYTES);
    this.requestAlignmentBytes = file.alignmentBytes;
  }

  async inactivate(): Promise<void> {
    if (this.#hasUnflushed) await this.flush();
    this.#file.unlock?.();
  }

  async activate(): Promise<void> {
    await this.#file.lock?.();
  }

  protected override async doRead(offset: number, into: Uint8Array): Promise<void> {
    const stored = Math.min(Math.max(this.#storedBytes - offset, 0), into.length);
    into.fill(0, stored);
    if (stored > 0) await this.#host("read", this.#file.read(this.#start + offset, into.subarray(0, stored)));
  }

  protected override async doWrite(offset: number, from: Uint8Array): Promise<void> {
    this.#hasUnflushed = true;
    await this.#host("write", this.#file.write(this.#start + offset, from));
    this.#grewTo(offset + from.length);
  }

  protected override async doFlush(): Promise<void> {
    this.#hasUnflushed = false;
    try {
      await this.#host("flush", this.#file.flush());
    } catch (error) {
      this.#hasUnflushed = true;
      throw error;
    }
  }

  protected override async doDiscard(offset: number, lengthBytes: number): Promise<void> {
    this.#hasUnflushed = true;
    await this.#host("discard", this.#file.discard?.(this.#start + offset, lengthBytes));
  }

  protected override async doWriteZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void> {
    this.#hasUnflushed = true;
    if (this.#file.writeZeroes !== undefined) {
      await this.#host("write zeroes to", this.#file.writeZeroes(this.#start + offset, lengthBytes, mayUnmap));
    } else {
      zeroes ??= new Uint8Array(ZERO_PIECE_BYTES);
      for (let done = 0; done < lengthBytes; done += ZERO_PIECE_BYTES) {
        const piece = zeroes.subarray(0, Math.min(ZERO_PIECE_BYTES, lengthBytes - done));
        await this.#host("write zeroes to", this.#file.write(this.#start + offset + done, piece));
      }
    }
    this.#grewTo(offset + lengthBytes);
  }

  protected override doClose(): Promise<void> {
    return this.#host("close", this.#file.close());
  }

  #grewTo(end: number): void {
    this.#storedBytes = Math.max(this.#storedBytes, end);
  }

  async #host(what: string, outcome: Promise<void> | undefined): Promise<void> {
    try {
      await outcome;
    } catch (error) {
      if (error instanceof BlockError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw this.error("ioError", `Could not ${what} '${this.#file.name}': ${reason}`, error);
    }
  }
}
