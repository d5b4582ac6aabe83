// What of a secondary bus is seen on the primary one: the windows of a type 1 header (PCI-to-PCI Bridge 1.2, §3.2.5).
import { aliasRegion, memoryTransaction, type MemoryRegion } from "../../../memory/index.ts";
import type { PciBus } from "../bus.ts";
import type { ConfigRegister } from "../config-space.ts";
import type { PciFunction } from "../function.ts";
import { BridgeHeader as B, Command, WINDOW_64 } from "../spec.ts";

/** An alias that is placed, and where. */
interface Shown {
  readonly container: MemoryRegion;
  readonly alias: MemoryRegion;
}

/** A run of addresses, both ends included; empty when the base lies past the limit. */
interface Window {
  readonly kind: "memory" | "io";
  readonly base: bigint;
  readonly limit: bigint;
}

export class BridgeWindows {
  readonly #pci: PciFunction;
  readonly #primary: PciBus;
  readonly #secondary: PciBus;
  readonly #registers;
  #shown: Shown[] = [];

  constructor(pci: PciFunction, primary: PciBus, secondary: PciBus) {
    this.#pci = pci;
    this.#primary = primary;
    this.#secondary = secondary;
    this.#registers = pci.config.define("window", 0, {
      ioBase: { at: B.ioBase, widthBytes: 1, writable: 0xf0 },
      ioLimit: { at: B.ioLimit, widthBytes: 1, writable: 0xf0 },
      memoryBase: { at: B.memoryBase, widthBytes: 2, writable: 0xfff0 },
      memoryLimit: { at: B.memoryLimit, widthBytes: 2, writable: 0xfff0 },
      prefetchableBase: { at: B.prefetchableBase, widthBytes: 2, reset: WINDOW_64, writable: 0xfff0 },
      prefetchableLimit: { at: B.prefetchableLimit, widthBytes: 2, reset: WINDOW_64, writable: 0xfff0 },
      prefetchableBaseUpper: { at: B.prefetchableBaseUpper, widthBytes: 4, writable: 0xffff_ffff },
      prefetchableLimitUpper: { at: B.prefetchableLimitUpper, widthBytes: 4, writable: 0xffff_ffff },
      ioBaseUpper: { at: B.ioBaseUpper, widthBytes: 2 },
      ioLimitUpper: { at: B.ioLimitUpper, widthBytes: 2 },
    } as const);
    for (const register of Object.values<ConfigRegister>(this.#registers)) register.onWrite = () => this.update();
  }

  /** Shows what the registers say now. */
  update(): void {
    memoryTransaction(() => {
      this.hide();
      for (const window of this.#windows()) this.#show(window);
    });
  }

  hide(): void {
    memoryTransaction(() => {
      for (const { container, alias } of this.#shown.splice(0)) {
        container.remove(alias);
        alias.detachAlias();
      }
    });
  }

  #show({ kind, base, limit }: Window): void {
    const container = kind === "io" ? this.#primary.io : this.#primary.memory;
    const target = kind === "io" ? this.#secondary.io : this.#secondary.memory;
    const last = BigInt(container.lengthBytes) - 1n;
    const end = limit < last ? limit : last;
    if (base > end) return;
    const offsetBytes = Number(base);
    const alias = aliasRegion(`${this.#secondary.name}.window`, target, {
      offsetBytes,
      lengthBytes: Number(end - base) + 1,
    });
    container.add(alias, offsetBytes);
    this.#shown.push({ container, alias });
  }

  #windows(): Window[] {
    const r = this.#registers;
    const { command } = this.#pci;
    const high = (base: ConfigRegister, upper: ConfigRegister): bigint =>
      (BigInt(upper.value) << 32n) | (BigInt(base.value & 0xfff0) << 16n);
    const memory: Window[] = [
      {
        kind: "memory",
        base: BigInt(r.memoryBase.value) << 16n,
        limit: (BigInt(r.memoryLimit.value) << 16n) | 0xf_ffffn,
      },
      {
        kind: "memory",
        base: high(r.prefetchableBase, r.prefetchableBaseUpper),
        limit: high(r.prefetchableLimit, r.prefetchableLimitUpper) | 0xf_ffffn,
      },
    ];
    const io: Window = {
      kind: "io",
      base: BigInt(r.ioBase.value << 8),
      limit: BigInt((r.ioLimit.value << 8) | 0xfff),
    };
    return [...((command & Command.memory) !== 0 ? memory : []), ...((command & Command.io) !== 0 ? [io] : [])];
  }
}
