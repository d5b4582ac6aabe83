// Configuration space as the host shows it.
import { IommufdError, type VfioDeviceClient, type VfioRegion } from "../../iommufd/index.ts";
import { pciSpec } from "../../device/pci/index.ts";

export class HostConfig {
  readonly lengthBytes: number;
  readonly #client: VfioDeviceClient;
  readonly #region: VfioRegion;
  readonly #onFailure: (what: string) => void;
  readonly #bytes: Uint8Array = new Uint8Array(4);
  #isKnown = false;

  constructor(client: VfioDeviceClient, region: VfioRegion, onFailure: (what: string) => void) {
    this.#client = client;
    this.#region = region;
    this.#onFailure = onFailure;
    this.lengthBytes = Number(region.lengthBytes);
  }

  /** The function is made: from now on a guest reads ones where the host refuses. Before, that is thrown. */
  known(): void {
    this.#isKnown = true;
  }

  /** Ones where the host refuses. Throws IommufdError before `known`. */
  read(at: number, widthBytes: number): number {
    const into = this.#bytes.subarray(0, widthBytes);
    if (!this.#attempt(() => this.#client.read(this.#region, BigInt(at), into))) into.fill(0xff);
    let value = 0;
    for (let i = widthBytes - 1; i >= 0; i--) value = value * 256 + into[i]!;
    return value;
  }

  write(at: number, widthBytes: number, value: number): void {
    const from = this.#bytes.subarray(0, widthBytes);
    for (let i = 0; i < widthBytes; i++) from[i] = (value >>> (8 * i)) & 0xff;
    this.#attempt(() => this.#client.write(this.#region, BigInt(at), from));
  }

  /** Byte offset of a capability, if the device has it. */
  find(id: number): number | undefined {
    const seen = new Set<number>();
    let at = this.read(pciSpec.Header.capabilities, 1) & ~3;
    while (at >= pciSpec.FIRST_CAPABILITY && !seen.has(at)) {
      seen.add(at);
      if (this.read(at, 1) === id) return at;
      at = this.read(at + 1, 1) & ~3;
    }
    return undefined;
  }

  #attempt(access: () => void): boolean {
    try {
      access();
      return true;
    } catch (error) {
      if (!(error instanceof IommufdError) || !this.#isKnown) throw error;
      this.#onFailure(`configuration space: ${error.message}`);
      return false;
    }
  }
}
