// A guest whose driver does what it likes with assigned devices: random registers, doorbells, queues and lists, configuration
// space, BARs that move over each other, message tables; devices come and go and the machine is reset in between. What it
// must not do: write or map anything but its own memory, read what is the host's, end the machine, or make an access throw.
import { assert, SeededRng } from "../../../src/base/index.ts";
import { IommuIoasMap } from "../../../src/iommufd/index.ts";
import type { PciBench } from "../../../src/machine/testing/pci-bench.ts";
import type { DirtyEpoch } from "../../../src/memory/index.ts";
import { FaultSeam, type SeamCall } from "../../model/vfio/fault-seam.ts";
import { NOTHING_LEFT } from "../../model/vfio/faults.ts";
import { MachineLife, makeBench } from "../../model/vfio/machine-life.ts";
import { settle } from "../../model/vfio/settle.ts";

const RAM = 0x8000_0000;
const RAM_BYTES = 8 << 20;
/** Windows for registers: of the root bus, below 4 GiB and above. */
const WINDOW = 0x4000_0000;
const HIGH_WINDOW = 0x4_0000_0000;
/** Lies in the machine's memory where nothing of the guest's is. */
const SECRET_AT = 64;
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 0xff);
const WIDTHS = [1, 2, 4, 4, 4] as const;

class HostileGuest {
  readonly #rng: SeededRng;
  readonly #seam: FaultSeam;
  readonly #bench: PciBench;
  readonly #life: MachineLife;
  readonly #troubles: string[] = [];
  #epoch: DirtyEpoch | undefined;
  readonly #findings: string[] = [];

  constructor(seed: number) {
    this.#rng = new SeededRng(BigInt(seed));
    this.#seam = new FaultSeam().open();
    this.#seam.decide = (call) => this.#witness(call);
    this.#bench = makeBench({ aia: this.#pick(["none", "aplic-imsic"]) });
    this.#life = new MachineLife(this.#bench, this.#troubles);
    const { notes } = this.#bench.world;
    const note = notes.noteForeignWrite.bind(notes);
    notes.noteForeignWrite = (offset, lengthBytes) => {
      if (!this.#isGuestMemory(offset, lengthBytes, "written")) this.#findings.push(`a device wrote at ${offset}`);
      note(offset, lengthBytes);
    };
    this.#bench.world.u8.set(SECRET, SECRET_AT);
    this.#life.place();
  }

  async step(): Promise<void> {
    const dice = this.#below(100);
    if (dice < 18) this.#writeConfig();
    else if (dice < 40) this.#touchRegisters();
    else if (dice < 55) await this.#drive();
    else if (dice < 66) this.#scribble();
    else if (dice < 72) this.#tables();
    else if (dice < 78) this.#life.place();
    else if (dice < 80) this.#bench.machine.reset();
    else if (dice < 82) this.#life.swap();
    else if (dice < 86) this.#meter();
    else if (dice < 94) this.#bench.runTimers();
    else await settle();
    const [finding] = this.#findings;
    assert(finding === undefined, "a guest stays in its memory", finding);
  }

  /** It still works for one who keeps the rules, nothing of the host's was seen, and nothing is left. */
  async check(): Promise<void> {
    const { machine, world } = this.#bench;
    this.#epoch?.close();
    assert(machine.runState === "prelaunch", "the machine is as it was", machine.runState);
    machine.reset();
    await settle();
    this.#life.swap();
    this.#life.place();
    const [at, to] = [RAM + 0x10_0000, RAM + 0x20_0000];
    this.#bench.write(at, 0);
    this.#life.fill(at);
    assert(this.#bench.read(at) === 0x5a5a_5a5a, "a reset engine fills memory");
    this.#bench.write(to, 0);
    await this.#life.read(to);
    assert(this.#bench.read(to) === 0x1af4_1b36, "a reset controller identifies itself", this.#bench.read(to));
    for (const { bytes } of world.blocks) assert(indexOf(bytes, SECRET) === -1, "the host's memory stays unseen");
    await machine.close();
    const left = JSON.stringify(this.#seam.audit());
    assert(left === NOTHING_LEFT, "nothing is left", left);
  }

  close(): void {
    this.#seam.close();
  }

  #witness(call: SeamCall): undefined {
    if (call.name !== "IOMMU_IOAS_MAP") return;
    const { user_va: va, length } = IommuIoasMap.decode(call.request!(IommuIoasMap.lengthBytes), 0);
    this.#mapped.push({ offset: Number(va), lengthBytes: Number(length) });
  }

  readonly #mapped: { readonly offset: number; readonly lengthBytes: number }[] = [];

  #isGuestMemory(offset: number, lengthBytes: number, how: "mapped" | "written"): boolean {
    return this.#bench.world.blocks.some((block) => {
      const isInside = block.offset <= offset && offset + lengthBytes <= block.offset + block.lengthBytes;
      return isInside && (how === "mapped" || !block.readOnly);
    });
  }

  #below(n: number): number {
    return this.#rng.below(n);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }

  /** Numbers that mean something to somebody. */
  #word(): number {
    return this.#pick([
      ...[0, 1, 2, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff],
      ...[this.#below(256), this.#below(0x1_0000), this.#below(2 ** 32)],
      ...[RAM + 0x1000 * this.#below(RAM_BYTES / 0x1000), RAM + RAM_BYTES - 4 * this.#below(8)],
      ...[WINDOW + 0x1000 * this.#below(0x200), SECRET_AT, 0x2400_0000, 0x2800_0000],
    ]);
  }

  #address(): number {
    return this.#pick([
      this.#life.engineRegisters + this.#below(0x2000),
      this.#life.nvmeRegisters + this.#below(0x4000),
      WINDOW + this.#below(0x20_0000),
      HIGH_WINDOW + this.#below(0x1_0000),
      0x300_0000 + this.#below(0x1_0000),
    ]);
  }

  #writeConfig(): void {
    const bench = this.#bench;
    const fn = this.#pick([bench.ecam(0, 2), bench.ecam(0, 4), bench.ecam(1, 0), bench.ecam(0, this.#below(6))]);
    const at = this.#pick([
      4,
      6,
      0x10,
      0x14,
      0x18,
      0x1c,
      0x20,
      0x24,
      0x30,
      0x3c,
      0x3d,
      this.#below(0x100),
      this.#below(0x1000),
    ]);
    const width = this.#pick(WIDTHS);
    const value = at === 4 ? this.#pick([0, 2, 4, 6, 7, this.#word()]) : this.#word();
    bench.write(fn + (at & -width), width === 4 ? value : value & (2 ** (8 * width) - 1), width);
    bench.read(fn + (this.#below(0x1000) & -width), width);
  }

  #touchRegisters(): void {
    for (let i = this.#below(12); i >= 0; i--) {
      const width = this.#pick(WIDTHS);
      const at = this.#address();
      if (this.#below(3) === 0) this.#bench.read(at, width);
      else this.#bench.write(at, width === 4 ? this.#word() : this.#word() & (2 ** (8 * width) - 1), width);
    }
  }

  /** Queues and lists where the drivers have them, with random content, and the doorbells. */
  async #drive(): Promise<void> {
    const bench = this.#bench;
    if (this.#below(2) === 0) this.#life.place();
    if (this.#below(4) === 0) await this.#life.read(this.#word());
    if (this.#below(4) === 0) this.#life.fill(this.#word());
    for (let word = 0; word < 64; word++) bench.write(RAM + 0x6_0000 + 4 * word, this.#word());
    for (let entry = 0; entry < 4; entry++) {
      const opcode = this.#pick([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 0x80, this.#below(256)]);
      bench.write(RAM + 0x6_0000 + 64 * entry, opcode | (this.#below(0x1_0000) << 16));
    }
    for (let queue = 0; queue < 4; queue++) bench.write(this.#life.nvmeRegisters + 0x1000 + 4 * queue, this.#below(16));
    const engine = this.#life.engineRegisters;
    for (const at of [0x3c, 0x40, 0x44, 0x28, 0x2c, 0x30]) bench.write(engine + at, this.#word());
    bench.write(engine + 0x48, this.#pick([1, 2, 4, 8, 16, 32]));
  }

  #scribble(): void {
    for (let i = 0; i < 32; i++) {
      const at = RAM + 4 * this.#below(RAM_BYTES / 4 - 2);
      this.#bench.write(at, this.#word());
      this.#bench.write(at + 4, this.#pick([0, 0, this.#word()]));
    }
  }

  /** Message tables and their control, wherever the device has them. */
  #tables(): void {
    const bench = this.#bench;
    for (const fn of [bench.ecam(0, 2), bench.ecam(1, 0)]) {
      let at = bench.read(fn + 0x34, 1);
      for (let i = 0; i < 16 && at !== 0 && at !== 0xff; i++) {
        if (this.#below(2) === 0) bench.write(fn + at + 2, this.#word() & 0xffff, 2);
        at = bench.read(fn + at + 1, 1);
      }
    }
    for (const base of [this.#life.engineRegisters + 0x1_0000, this.#life.nvmeRegisters + 0x2000]) {
      for (let i = 0; i < 16; i++) bench.write(base + 4 * this.#below(0x400), this.#word());
    }
  }

  #meter(): void {
    if (this.#epoch === undefined) this.#epoch = this.#bench.world.notes.openEpoch("meter");
    else if (this.#below(3) > 0) this.#epoch.read();
    else {
      this.#epoch.close();
      this.#epoch = undefined;
    }
    for (const { offset, lengthBytes } of this.#mapped.splice(0)) {
      if (!this.#isGuestMemory(offset, lengthBytes, "mapped")) this.#findings.push(`${offset} was mapped for a device`);
    }
  }
}

/** A guest that makes so many steps; what went wrong, if anything did. */
export async function fuzzAssigned(seed: number, steps: number): Promise<string | undefined> {
  const guest = new HostileGuest(seed);
  let done = 0;
  try {
    for (; done < steps; done++) await guest.step();
    await guest.check();
    return undefined;
  } catch (error) {
    return `seed ${seed}, step ${done} of ${steps}: ${error instanceof Error ? error.stack : String(error)}`;
  } finally {
    guest.close();
  }
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(wanted);
}
