// Message-signalled interrupts of the first kind: up to 32 consecutive messages, masks and pending bits in the capability.
import { assert, isPowerOfTwo } from "../../base/index.ts";
import type { MsiPort } from "../port.ts";
import type { ConfigRegister, ConfigSpace } from "./config-space.ts";
import { MAX_MSI_VECTORS, Msi, MsiControl } from "./spec.ts";

export class MsiCapability {
  readonly vectorCount: number;
  /** Byte offset of the capability. */
  readonly at: number;
  readonly #control: ConfigRegister;
  readonly #addressLow: ConfigRegister;
  readonly #addressHigh: ConfigRegister;
  readonly #data: ConfigRegister;
  readonly #mask: ConfigRegister;
  readonly #pending: ConfigRegister;
  readonly #port: MsiPort;

  constructor(config: ConfigSpace, at: number, vectorCount: number, port: MsiPort, onControl: () => void) {
    assert(isPowerOfTwo(vectorCount) && vectorCount <= MAX_MSI_VECTORS, "MSI has 1 to 32 vectors", vectorCount);
    this.vectorCount = vectorCount;
    this.at = at;
    this.#port = port;
    const capable = Math.log2(vectorCount) << MsiControl.capableShift;
    const vectors = vectorCount === 32 ? 0xffff_ffff : 2 ** vectorCount - 1;
    const registers = config.define("msi", at, {
      control: {
        at: Msi.control,
        widthBytes: 2,
        reset: capable | MsiControl.is64 | MsiControl.perVectorMask,
        writable: MsiControl.enable | (7 << MsiControl.enabledShift),
      },
      addressLow: { at: Msi.addressLow, widthBytes: 4, writable: 0xffff_fffc },
      addressHigh: { at: Msi.addressHigh, widthBytes: 4, writable: 0xffff_ffff },
      data: { at: Msi.data, widthBytes: 2, writable: 0xffff },
      mask: { at: Msi.mask, widthBytes: 4, writable: vectors },
      pending: { at: Msi.pending, widthBytes: 4, isLive: true },
    });
    this.#control = registers.control;
    this.#addressLow = registers.addressLow;
    this.#addressHigh = registers.addressHigh;
    this.#data = registers.data;
    this.#mask = registers.mask;
    this.#pending = registers.pending;
    registers.control.onWrite = () => {
      onControl();
      this.#sendPending();
    };
    registers.mask.onWrite = () => this.#sendPending();
  }

  get enabled(): boolean {
    return (this.#control.value & MsiControl.enable) !== 0;
  }

  /** How many vectors software has allowed. */
  get enabledCount(): number {
    return Math.min(this.vectorCount, 2 ** ((this.#control.value >> MsiControl.enabledShift) & 7));
  }

  /** Signals a vector; one that software did not allow arrives as the last that it did. */
  notify(vector: number): void {
    const allowed = Math.min(vector, this.enabledCount - 1);
    if (!this.enabled || isSet(this.#mask.value, allowed)) {
      this.#pending.value = (this.#pending.value | (1 << allowed)) >>> 0;
      return;
    }
    const address = (BigInt(this.#addressHigh.value) << 32n) | BigInt(this.#addressLow.value);
    // PCI 3.0 §6.8.3.4: the vector replaces the low bits of the data.
    this.#port.send(address, (this.#data.value & ~(this.enabledCount - 1)) | allowed);
  }

  #sendPending(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.vectorCount; vector++) {
      if (!isSet(this.#pending.value, vector) || isSet(this.#mask.value, vector)) continue;
      this.#pending.value = (this.#pending.value & ~(1 << vector)) >>> 0;
      this.notify(vector);
    }
  }
}

function isSet(bits: number, n: number): boolean {
  return ((bits >>> n) & 1) === 1;
}
