// The registers of one BAR: sized by writing ones, and what address software has given.
import type { ConfigRegister, ConfigSpace } from "./config-space.ts";
import { Header } from "./spec.ts";

export interface BarRegisterOptions {
  /** 0 to 5. */
  readonly index: number;
  readonly kind: "memory" | "io";
  readonly is64: boolean;
  /** A power of two. */
  readonly lengthBytes: number;
  /** The low bits, which cannot be written. */
  readonly flags: number;
  readonly onWrite: () => void;
}

export class BarRegisters {
  readonly #low: ConfigRegister;
  readonly #high: ConfigRegister | undefined;
  readonly #flagMask: number;
  readonly #top: bigint;

  constructor(config: ConfigSpace, { index, kind, is64, lengthBytes, flags, onWrite }: BarRegisterOptions) {
    const at = Header.bar0 + 4 * index;
    const mask = BigInt.asUintN(64, -BigInt(lengthBytes));
    this.#flagMask = kind === "io" ? 3 : 15;
    this.#top = BigInt.asUintN(is64 ? 64 : 32, mask);
    const { low } = config.define(`bar${index}`, at, {
      low: { at: 0, widthBytes: 4, reset: flags, writable: Number(mask & 0xffff_ffffn) },
    });
    low.onWrite = onWrite;
    this.#low = low;
    if (!is64) return;
    const { high } = config.define(`bar${index}`, at, {
      high: { at: 4, widthBytes: 4, writable: Number(mask >> 32n) },
    });
    high.onWrite = onWrite;
    this.#high = high;
  }

  /** Undefined while software has not given one: zero and all ones are what sizing leaves behind. */
  get address(): bigint | undefined {
    const address = (BigInt(this.#high?.value ?? 0) << 32n) | BigInt((this.#low.value & ~this.#flagMask) >>> 0);
    return address === 0n || address === this.#top ? undefined : address;
  }
}
