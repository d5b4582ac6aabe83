// For tests: a driver that does what it likes. Random registers, doorbells, commands, lists; DMA that reaches the controller
// itself; a device that stands still, moves to another controller, goes on.
import { assert, SeededRng, type Iova } from "../../../base/index.ts";
import { decodeState, encodeState } from "../../../state/index.ts";
import { DmaStatus, type DmaPort } from "../../port.ts";
import { TestBus } from "../../pci/test-function.ts";
import { readNvmeConfig } from "./config.ts";
import { NvmeController } from "./device.ts";
import { DOORBELL_OFFSET, Register } from "./spec.ts";
import { NvmeDriver, settle, TestDisk } from "./test-driver.ts";

const MEMORY_BYTES = 0x4_0000;
/** Where the controller's own registers are on the bus. */
const REGISTERS_AT = 0x10_0000n;

export class HostileDriver {
  driver: NvmeDriver;
  readonly #properties;
  readonly #rng: SeededRng;
  readonly #bytes = new Uint8Array(8);

  constructor(seed: bigint) {
    this.#rng = new SeededRng(seed);
    const memory = new TestBus(MEMORY_BYTES);
    const bus = Object.assign(memory, { dma: this.#loop(memory.dma) });
    this.#properties = { mdts: this.pick([0, 3, 7]), max_ioqpairs: 4 };
    this.driver = new NvmeDriver(this.#properties, new TestDisk(0x2_0000), bus);
  }

  below(n: number): number {
    this.#rng.fill(this.#bytes);
    return new DataView(this.#bytes.buffer).getUint32(0, true) % n;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  async step(): Promise<void> {
    const { driver } = this;
    switch (this.below(40)) {
      case 12:
        return this.#move();

      case 0:
        return driver.writeRegister(this.pick(Object.values(Register)), this.#word());
      case 1:
        return driver.writeRegister(Register.configuration, this.pick([0, 0x0046_0001, 0x0046_4001, 0x0046_0181]));
      case 2:
        return driver.enable();
      case 3:
        return driver.open(2 + this.below(60)).catch(() => undefined);
      case 4:
        return driver.writeRegister(
          DOORBELL_OFFSET + 4 * this.below(12),
          this.pick([0, 1, this.below(16), this.#word()]),
        );
      case 5:
        return this.#scribble();
      case 6:
        driver.disk.isHolding = this.below(3) === 0;
        if (!driver.disk.isHolding) await driver.disk.release(this.below(2) === 0);
        return undefined;
      case 7:
        driver.bus.host.advanceNs(1000);
        return settle();
      case 8:
        driver.nvme.setActivity(this.pick(["running", "running", "quiet", "stopped"]));
        return undefined;
      default:
        return this.#command();
    }
  }

  /** The controller's state goes over to another one, which takes its place. */
  async #move(): Promise<void> {
    const { driver } = this;
    const { bus, disk, nvme } = driver;
    nvme.setActivity("stopped");
    const state = encodeState(nvme);
    const pciState = nvme.pci.saveState();
    nvme.close();
    await disk.release();
    const config = readNvmeConfig({ serial: "test", ...this.#properties });
    const { intx, msi, dma, trace, host } = bus;
    const next = new NvmeController({ name: "nvme0", config, timers: host.timers, ports: { intx, msi, dma, trace } });
    next.addNamespace({ node: disk, blockShift: config.blockShift });
    next.setActivity("stopped");
    next.pci.loadState(pciState);
    next.loadState(decodeState(next.stateDescription, state));
    assert(equal(encodeState(next), state), "what was loaded is what was saved");
    driver.nvme = next;
    next.setActivity("running");
  }

  /** It still works for one who keeps the rules. Throws when it does not. */
  async check(): Promise<void> {
    const { driver } = this;
    driver.nvme.setActivity("running");
    await driver.disk.release();
    await driver.nvme.drain();
    driver.bus.host.advanceNs(1000);
    const state = encodeState(driver.nvme);
    assert(equal(encodeState(driver.nvme), state), "a controller that is idle stays as it is");
    driver.nvme.reset();
    driver.nvme.pci.config.write(4, 2, 6);
    await driver.open();
    driver.disk.bytes.fill(0x5a, 0, 512);
    driver.bus.memory.fill(0, 0x8000, 0x9000);
    const { status } = await driver.io({ opcode: 2, prp1: 0x8000n });
    assert(status === 0 && driver.bus.memory[0x81ff] === 0x5a, "a reset controller reads", status);
  }

  /** Memory that leads back to the controller's own registers, as on a board. */
  #loop(dma: DmaPort): DmaPort {
    const own = (at: Iova, length: number): number | undefined =>
      at >= REGISTERS_AT && at + BigInt(length) <= REGISTERS_AT + 0x2000n ? Number(at - REGISTERS_AT) : undefined;
    return {
      ...dma,
      read: (at, into) => {
        const offset = own(at, into.length);
        if (offset === undefined) return dma.read(at, into);
        for (let i = 0; i + 4 <= into.length; i += 4) this.driver.readRegister(offset + i);
        return DmaStatus.ok;
      },
      write: (at, bytes) => {
        const offset = own(at, bytes.length);
        if (offset === undefined) return dma.write(at, bytes);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        for (let i = 0; i + 4 <= bytes.length; i += 4) this.driver.writeRegister(offset + i, view.getUint32(i, true));
        return DmaStatus.ok;
      },
    };
  }

  #word(): number {
    return this.pick([0, 1, 0xffff_ffff, this.below(0x1_0000), this.below(2 ** 32 - 1), 0x1000 * this.below(64)]);
  }

  #address(): bigint {
    const any = (BigInt(this.#word()) << 32n) | BigInt(this.#word());
    return this.pick([
      ...[BigInt(0x1000 * this.below(64)), BigInt(4 * this.below(MEMORY_BYTES / 4)), BigInt(MEMORY_BYTES - 16)],
      ...[REGISTERS_AT + BigInt(4 * this.below(0x800)), any, 2n ** 64n - 8n],
    ]);
  }

  #scribble(): void {
    const view = new DataView(this.driver.bus.memory.buffer);
    for (let i = 0; i < 40; i++) view.setBigUint64(8 * this.below(MEMORY_BYTES / 8), this.#address(), true);
  }

  #command(): void {
    const queue = this.below(3) === 0 ? 0 : 1;
    const fields = {
      opcode: this.pick([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 0x80, this.below(256)]),
      flags: this.pick([0, 0, 0, 0x40, 0x80, this.below(256)]),
      id: this.below(0x1_0000),
      namespaceId: this.pick([0, 1, 1, 1, 2, 0xffff_ffff]),
      prp1: this.#address(),
      prp2: this.pick([this.#address(), 0x1000_0000_0000_0010n * BigInt(this.below(4))]),
      dword10: this.pick([this.below(300), this.#word()]),
      dword11: this.pick([0, 4, this.#word()]),
      dword12: this.pick([this.below(16), this.#word()]),
    };
    try {
      this.driver.submit(queue, fields);
      this.driver.takeAll(queue);
    } catch {
      // The driver has no such queue.
    }
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
