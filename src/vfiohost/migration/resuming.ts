// The incoming data of a device: taken apart as it is written, checked as a whole before the device takes it over.
import { VmError } from "../../base/index.ts";
import type { PciDevice } from "../../device/pci/index.ts";
import { Errno } from "../../iommufd/index.ts";
import { decodeState, loadState } from "../../state/index.ts";
import { MOST_BYTES, RecordHead, RecordType, streamHeader } from "./records.ts";

export class Resuming {
  readonly #device: PciDevice;
  readonly #kind: string;
  readonly #memory: Uint8Array;
  readonly #head = new Uint8Array(RecordHead.lengthBytes);
  #headBytes = 0;
  /** The contents of the record at hand, and how much of them arrived. */
  #contents: Uint8Array | undefined;
  #contentBytes = 0;
  #sawHeader = false;
  #state: Uint8Array | undefined;
  #isComplete = false;
  isEnded = false;

  constructor(device: PciDevice, kind: string) {
    this.#device = device;
    this.#kind = kind;
    this.#memory = new Uint8Array(device.localMemory?.length ?? 0);
  }

  /** Zero, or -EINVAL for what no such device could have sent. */
  write(bytes: Uint8Array): number {
    for (let done = 0; done < bytes.length;) {
      if (this.#isComplete) return -Errno.EINVAL;
      const rest = bytes.subarray(done);
      const took = this.#contents === undefined ? this.#takeHead(rest) : this.#takeContents(rest);
      if (took < 0) return took;
      done += took;
    }
    return 0;
  }

  /** The device takes it all over. Zero, or -EINVAL; then it is as it was. */
  load(): number {
    if (!this.#isComplete || this.#state === undefined) return -Errno.EINVAL;
    try {
      loadState(this.#device, this.#state);
    } catch (cause) {
      // State that this device cannot have is the sender's mistake; anything else is ours.
      if (cause instanceof VmError) return -Errno.EINVAL;
      throw cause;
    }
    this.#device.localMemory?.set(this.#memory);
    return 0;
  }

  #takeHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, this.#head.length - this.#headBytes);
    this.#head.set(part, this.#headBytes);
    this.#headBytes += part.length;
    if (this.#headBytes < this.#head.length) return part.length;
    const { type, lengthBytes } = RecordHead.decode(this.#head);
    const most = MOST_BYTES[type];
    if (most === undefined || lengthBytes > most || this.#sawHeader === (type === RecordType.header)) {
      return -Errno.EINVAL;
    }
    this.#contents = new Uint8Array(lengthBytes);
    this.#contentBytes = 0;
    return lengthBytes > 0 ? part.length : this.#finishRecord() || part.length;
  }

  #takeContents(bytes: Uint8Array): number {
    const contents = this.#contents!;
    const part = bytes.subarray(0, contents.length - this.#contentBytes);
    contents.set(part, this.#contentBytes);
    this.#contentBytes += part.length;
    if (this.#contentBytes < contents.length) return part.length;
    return this.#finishRecord() || part.length;
  }

  #finishRecord(): number {
    const { type, at } = RecordHead.decode(this.#head);
    const contents = this.#contents!;
    this.#contents = undefined;
    this.#headBytes = 0;
    switch (type) {
      case RecordType.header:
        this.#sawHeader = true;
        return this.#isOurs(contents) ? 0 : -Errno.EINVAL;
      case RecordType.memory:
        if (at + BigInt(contents.length) > BigInt(this.#memory.length)) return -Errno.EINVAL;
        this.#memory.set(contents, Number(at));
        return 0;
      case RecordType.state:
        this.#state = contents;
        return 0;
      default:
        this.#isComplete = true;
        return 0;
    }
  }

  #isOurs(contents: Uint8Array): boolean {
    try {
      const { kind, memoryBytes } = decodeState(streamHeader, contents);
      return kind === this.#kind && memoryBytes === BigInt(this.#memory.length);
    } catch (cause) {
      if (cause instanceof VmError) return false;
      throw cause;
    }
  }
}
