// Random bytes from the operating system's generator.
import { randomFillSync } from "node:crypto";
import type { RngPort } from "../../base/index.ts";
import { HostError } from "./errors.ts";

export const nodeRng: RngPort = {
  fill(bytes) {
    // Guest RAM is shared memory, which OpenSSL's binding does not take: fill a private copy.
    const privateBytes = new Uint8Array(bytes.length);
    try {
      randomFillSync(privateBytes);
    } catch (cause) {
      throw new HostError("noEntropy", "The operating system gave no random bytes", { cause });
    }
    bytes.set(privateBytes);
  },
};
