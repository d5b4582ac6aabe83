// Debug console extension (SBI 2.0, chapter 12): bytes from and to guest memory, without waiting.
import { iova } from "../../../base/index.ts";
import { DmaStatus } from "../../../memory/port.ts";
import { failure, notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import type { SbiPlatform } from "./platform.ts";
import { Eid, SbiError } from "./spec.ts";

/** The most bytes that one call moves; the caller asks again for the rest. */
const MAX_BYTES = 4096n;

export class DbcnExtension implements SbiExtension {
  readonly eid: number = Eid.dbcn;
  readonly #platform: SbiPlatform;

  constructor(platform: SbiPlatform) {
    this.#platform = platform;
  }

  call({ functionId, args: [lengthBytes, low, high] }: SbiCall): SbiAnswer {
    switch (functionId) {
      case 0n:
        return this.#write(lengthBytes, low, high);
      case 1n:
        return this.#read(lengthBytes, low, high);
      case 2n:
        // Function 2 waits until the byte is taken; a transmitter without room loses it instead of stopping the machine.
        return this.#platform.console.put(Number(lengthBytes & 0xffn)) ? success() : failure(SbiError.failed);
      default:
        return notSupported;
    }
  }

  #write(lengthBytes: bigint, low: bigint, high: bigint): SbiAnswer {
    const { console, memory } = this.#platform;
    if (!this.#isMemory(lengthBytes, low, high)) return failure(SbiError.invalidParam);
    const bytes = memory.readWindow(iova(low), Number(shorter(lengthBytes)));
    const held = bytes?.findIndex((byte) => !console.put(byte)) ?? 0;
    return success(BigInt(held < 0 ? bytes!.length : held));
  }

  #read(lengthBytes: bigint, low: bigint, high: bigint): SbiAnswer {
    const { console, memory } = this.#platform;
    if (!this.#isMemory(lengthBytes, low, high)) return failure(SbiError.invalidParam);
    const received: number[] = [];
    while (received.length < Number(shorter(lengthBytes))) {
      const byte = console.get();
      if (byte === undefined) break;
      received.push(byte);
    }
    // Only a ROM can be read as memory and refuse this.
    const status = memory.write(iova(low), Uint8Array.from(received));
    if (status !== DmaStatus.ok) return failure(SbiError.invalidParam);
    return success(BigInt(received.length));
  }

  /** True when the whole range is memory. The upper half of an address is for 32-bit callers; here it is 0. */
  #isMemory(lengthBytes: bigint, low: bigint, high: bigint): boolean {
    if (high !== 0n) return false;
    if (lengthBytes === 0n) return true;
    if (lengthBytes > BigInt(Number.MAX_SAFE_INTEGER)) return false;
    return this.#platform.memory.readWindow(iova(low), Number(lengthBytes)) !== undefined;
  }
}

function shorter(lengthBytes: bigint): bigint {
  return lengthBytes < MAX_BYTES ? lengthBytes : MAX_BYTES;
}
