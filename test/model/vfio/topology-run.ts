// One random host, one random guest: devices come, go, are reset and write; memory moves; harts write; rounds are taken in
// between. The oracle says after each whether a written page was missed.
import { assert, ManualTimers, VmError } from "../../../src/base/index.ts";
import { MemoryNode } from "../../../src/block/index.ts";
import { makeLocalCaller } from "../../../src/iommufd/index.ts";
import { localAssigningHost } from "../../../src/machine/assigned-host.ts";
import {
  AddressSpace,
  aliasRegion,
  containerRegion,
  DirtyOracle,
  memoryTransaction,
  ramRegion,
  WorldPlan,
  type DirtyEpoch,
  type MemoryRegion,
  type OracleCounts,
} from "../../../src/memory/index.ts";
import { IommufdBackend, VfioError, type AssignedDevice, type Assignment } from "../../../src/vfio/index.ts";
import { makeDescribedHost, type VfioHost } from "../../../src/vfiohost/index.ts";
import { DESCRIPTOR_BYTES, enable, encodeList, startList, startLoop, type DeviceWrite } from "./engine.ts";
import { withRefusals } from "./flaky-host.ts";
import { NVME_AREA_BYTES, NvmeGuest, pagesFor, type NvmeTransfer } from "./nvme-guest.ts";
import { Random } from "./random.ts";
import { sabotage, type Sabotage } from "./sabotage.ts";
import { settle } from "./settle.ts";
import { withSmallLogs } from "./small-logs.ts";
import { MAX_NVME, randomTopology } from "./topology.ts";

const RAM_BYTES = 0x10_0000;
/** Room for one large page wherever it begins. */
const LARGE_RAM_BYTES = 0x40_0000;
const LARGE_PAGE_BYTES = 0x20_0000;
const SIDE_BYTES = 0x4_0000;
const SIDE_PLACES = [0x80_0000, 0x88_0000, 0xa0_1000, 0x1_0000_0000];
const WINDOW_AT = 0xc0_0000;
const ARENA_BYTES = 0x1_0000;
// From the start of RAM: lists of each device, queues of each NVMe controller, then what devices read and write.
const LIST_AT = 0x1000;
const QUEUES_AT = 0x1_0000;
const DATA_AT = QUEUES_AT + MAX_NVME * NVME_AREA_BYTES;
const LIST_LENGTH = 100;
const DISK_BLOCKS = 128;
const STEPS = 40;
const ONE_REFUSED_IN = 12;

export interface RunFacts {
  /** Writes that devices made. */
  readonly deviceWrites: number;
  readonly counts: OracleCounts;
  /** Pages that devices wrote, round by round. */
  readonly devicePages: number;
  /** Pages that each kind of source reported. */
  readonly reported: ReadonlyMap<string, number>;
  readonly largePages: boolean;
  /** Memory came or went. */
  readonly memoryMoved: boolean;
}

export interface RunOptions {
  /** Of the trackers, on purpose. */
  readonly fault?: Sabotage;
  /** The host refuses calls now and then. */
  readonly isFlaky?: boolean;
}

/** What a run found wrong, with the step. */
export class OracleFinding extends Error {}

/** Throws OracleFinding when a page was missed, and what else goes wrong. */
export async function runTopology(seed: number, { fault, isFlaky = false }: RunOptions = {}): Promise<RunFacts> {
  const run = new TopologyRun(seed, fault, isFlaky);
  for (let step = 0; step < STEPS; step++) await run.step();
  return run.end();
}

/**
 * Runs a topology with a fault in its trackers. `harmless`: nothing was lost by it. `noticed`: the oracle told of a page
 * that was lost. Throws when something was lost and the oracle said nothing.
 */
export async function runSabotaged(seed: number, fault: Sabotage): Promise<"harmless" | "noticed"> {
  try {
    await runTopology(seed, { fault });
    return "harmless";
  } catch (error) {
    if (error instanceof OracleFinding) return "noticed";
    throw error;
  }
}

class TopologyRun {
  readonly #random: Random;
  readonly #seed: number;
  readonly #timers = new ManualTimers();
  readonly #world;
  readonly #ram;
  readonly #side: MemoryRegion;
  #sideAt: number | undefined;
  #alias: MemoryRegion | undefined;
  readonly #root = containerRegion("system", 2 ** 40);
  readonly #space: AddressSpace;
  readonly #backend: IommufdBackend;
  readonly #vfio: VfioHost;
  readonly #largePages: boolean;
  #memoryMoved = false;
  #isFlaky = false;
  /** Where RAM begins. */
  readonly #base: number;
  readonly #nvmes = new Map<string, NvmeGuest>();
  readonly #withheld: { take(): Set<number> } | undefined;
  readonly #audit: () => object;
  readonly #assigned: Assignment[] = [];
  readonly #hart;
  #epoch: DirtyEpoch;
  #other: DirtyEpoch | undefined;
  #oracle: DirtyOracle;
  #deviceWrites = 0;
  #devicePages = 0;
  readonly #pagesOfRound = new Set<number>();
  readonly #reported = new Map<string, number>();

  constructor(seed: number, fault: Sabotage | undefined, isFlaky: boolean) {
    this.#seed = seed;
    this.#random = new Random(seed);
    const { host: plan, policy, largePages } = randomTopology(this.#random, fault?.source);
    this.#largePages = largePages;
    const worldPlan = new WorldPlan();
    this.#ram = worldPlan.ram("ram", largePages ? LARGE_RAM_BYTES : RAM_BYTES);
    const side = worldPlan.ram("side", SIDE_BYTES);
    const arenaAt = worldPlan.reserve("arena", ARENA_BYTES, 4096);
    const world = worldPlan.create();
    this.#world = world;
    this.#withheld = fault === undefined ? undefined : sabotage(world.notes, fault);
    this.#hart = world.notes.source("hart");
    this.#base = largePages ? this.#ram.offset % LARGE_PAGE_BYTES : 0;
    this.#root.add(ramRegion(this.#ram), this.#base);
    this.#side = ramRegion(side);
    this.#space = new AddressSpace("memory", this.#root, world);
    const disk = new Uint8Array(DISK_BLOCKS * 512).map(() => this.#random.between(0, 255));
    const { host, vfio } = makeDescribedHost(plan, {
      timers: this.#timers,
      trace: { guestError: () => undefined },
      disks: (nodeName) => new MemoryNode({ nodeName, content: disk.slice() }),
    });
    this.#vfio = vfio;
    const caller = makeLocalCaller({
      bytes: world.u8,
      onDeviceWrite: (offset, lengthBytes) => {
        this.#deviceWrites += 1;
        this.#oracle.noteWrite("device", offset, lengthBytes);
        for (let page = offset >>> 12; page <= (offset + lengthBytes - 1) >>> 12; page++) this.#pagesOfRound.add(page);
      },
    });
    const arena = world.u8.subarray(arenaAt, arenaAt + ARENA_BYTES);
    const whole = host.attach(caller);
    const session = this.#random.chance(1, 3) ? withSmallLogs(whole, arena) : whole;
    this.#isFlaky = isFlaky;
    this.#backend = new IommufdBackend({
      id: "f0",
      host: localAssigningHost({
        session: isFlaky ? withRefusals(session, new Random(seed + 1), ONE_REFUSED_IN, () => this.#isFlaky) : session,
        arena: { va: BigInt(arenaAt), bytes: arena },
        files: caller.files,
        vfio,
      }),
      space: this.#space,
      policy,
      warn: () => undefined,
    });
    this.#audit = () => ({ ...host.audit(), ...vfio.audit() });
    this.#epoch = world.notes.openEpoch("oracle");
    this.#oracle = new DirtyOracle(world);
  }

  async step(): Promise<void> {
    try {
      await this.#act();
    } catch (error) {
      // A driver or an operator whose call was refused goes on with something else.
      if (!this.#isFlaky || !(error instanceof VmError)) throw error;
    }
    // Some work goes on while other things happen.
    if (this.#random.chance(3, 4)) this.#timers.advanceByNs(this.#random.between(0, 200_000));
    if (this.#random.chance(1, 2)) await settle();
  }

  async #act(): Promise<void> {
    const dice = this.#random.between(0, 99);
    if (dice < 15 || this.#assigned.length === 0) this.#plug();
    else if (dice < 20) this.#unplug();
    else if (dice < 60) await this.#deviceWork();
    else if (dice < 68) this.#moveMemory();
    else if (dice < 74) this.#hartWork();
    else if (dice < 78) this.#resetDevice();
    else if (dice < 82) this.#otherEpoch();
    else this.#round();
  }

  async end(): Promise<RunFacts> {
    // Devices go while the host is as it was; the last round is read when it works again.
    if (this.#isFlaky) for (const assignment of this.#assigned.splice(0, 2)) assignment.release();
    this.#isFlaky = false;
    this.#timers.advanceByNs(10_000_000);
    await settle();
    this.#round();
    for (const assignment of this.#assigned) assignment.release();
    await this.#vfio.drain();
    this.#round();
    this.#other?.close();
    this.#epoch.close();
    const left = JSON.stringify(this.#audit());
    assert(!/[1-9]|false/.test(left), "nothing is left of the devices", left);
    return {
      deviceWrites: this.#deviceWrites,
      devicePages: this.#devicePages,
      counts: this.#oracle.counts,
      reported: this.#reported,
      largePages: this.#largePages,
      memoryMoved: this.#memoryMoved,
    };
  }

  #plug(): void {
    const free = this.#backend.host.devices.filter(({ name }) => this.#assigned.every((a) => a.device.name !== name));
    if (free.length === 0) return;
    const { name } = this.#random.pick(free);
    try {
      const assignment = this.#backend.assign({
        name,
        mode: this.#random.chance(1, 8) ? "ioas" : "hwpt",
        mayLog: this.#random.chance(7, 8),
        migration: "auto",
      });
      this.#assigned.push(assignment);
      enable(assignment.device);
    } catch (error) {
      // A sibling of its group may be where it cannot go.
      if (!(error instanceof VfioError)) throw error;
    }
  }

  #unplug(): void {
    const at = this.#random.between(0, this.#assigned.length - 1);
    const [assignment] = this.#assigned.splice(at, 1);
    this.#nvmes.get(assignment!.device.name)?.lost();
    assignment!.release();
  }

  async #deviceWork(): Promise<void> {
    const { device } = this.#random.pick(this.#assigned);
    const number = this.#backend.host.devices.findIndex(({ name }) => name === device.name);
    if (device.isMediated) {
      const target = this.#target(4096);
      return startLoop(device, this.#base + LIST_AT, target.at, this.#random.between(1, 3000));
    }
    if (this.#vfio.devices[number]!.kind.name === "nvme") return this.#nvme(device).submit(this.#transfers());
    const count = this.#random.between(1, LIST_LENGTH);
    const writes = Array.from({ length: count }, () => this.#target(this.#random.chance(1, 10) ? 20_000 : 300));
    // Lists of several devices lie apart, so that each is what its driver wrote.
    const listAt = this.#base + LIST_AT + number * 0x1000;
    assert(count * DESCRIPTOR_BYTES <= 0x1000, "lists lie apart", count);
    this.#hartWrite(listAt, encodeList(writes));
    startList(device, listAt, count);
  }

  #nvme(device: AssignedDevice): NvmeGuest {
    let guest = this.#nvmes.get(device.name);
    if (guest !== undefined) return guest;
    const at = this.#base + QUEUES_AT + this.#nvmes.size * NVME_AREA_BYTES;
    assert(this.#nvmes.size < MAX_NVME, "there is room for its queues", device.name);
    guest = new NvmeGuest(
      () => this.#deviceOf(device.name),
      at,
      (to, bytes) => this.#hartWrite(to, bytes),
    );
    this.#nvmes.set(device.name, guest);
    return guest;
  }

  #deviceOf(name: string): AssignedDevice {
    return this.#assigned.find(({ device }) => device.name === name)!.device;
  }

  #transfers(): NvmeTransfer[] {
    return Array.from({ length: this.#random.between(1, 12) }, () => {
      const blockCount = this.#random.between(1, 24);
      const page = (): number => this.#target(4096).at & ~4095;
      const first = page() + 512 * this.#random.between(0, 7);
      return {
        block: this.#random.between(0, DISK_BLOCKS - blockCount),
        blockCount,
        pages: pagesFor(first, blockCount, page),
        write: this.#random.chance(1, 5),
      };
    });
  }

  /** Mostly memory, sometimes past it. */
  #target(most: number): DeviceWrite {
    const { lengthBytes: ramBytes } = this.#ram;
    const isSide = this.#sideAt !== undefined && this.#random.chance(1, 3);
    const base = isSide ? this.#sideAt! : this.#base + DATA_AT;
    const room = isSide ? SIDE_BYTES : ramBytes - DATA_AT;
    const isPast = this.#random.chance(1, 500);
    const at = isPast ? this.#base + ramBytes - 64 : base + this.#random.between(0, room - most);
    return { at, lengthBytes: this.#random.between(1, most), pattern: this.#random.between(0, 0xffff_ffff) };
  }

  /** The side block appears, moves or goes; now and then part of RAM is seen elsewhere too. */
  #moveMemory(): void {
    this.#memoryMoved = true;
    memoryTransaction(() => {
      if (this.#random.chance(1, 4)) {
        if (this.#alias !== undefined) this.#root.remove(this.#alias);
        this.#alias?.detachAlias();
        this.#alias = undefined;
        if (this.#random.chance(1, 2)) {
          const [block] = this.#root.children.filter(({ region }) => region.name === "ram");
          const offsetBytes = this.#random.between(0, 7) * 0x1_0000;
          this.#alias = aliasRegion("window", block!.region, { offsetBytes, lengthBytes: 0x2_0000 });
          this.#root.add(this.#alias, WINDOW_AT);
        }
        return;
      }
      if (this.#sideAt !== undefined) this.#root.remove(this.#side);
      this.#sideAt = this.#random.chance(1, 4) ? undefined : this.#random.pick(SIDE_PLACES);
      if (this.#sideAt !== undefined) this.#root.add(this.#side, this.#sideAt);
    });
  }

  #hartWork(): void {
    const at = this.#base + this.#random.between(DATA_AT, this.#ram.lengthBytes - 64);
    this.#hartWrite(at, Uint8Array.of(this.#random.between(0, 255)));
  }

  #hartWrite(at: number, bytes: Uint8Array): void {
    this.#space.write(at, bytes, this.#hart);
  }

  #resetDevice(): void {
    const { device } = this.#random.pick(this.#assigned);
    device.client.reset();
    this.#nvmes.get(device.name)?.lost();
    enable(device);
  }

  /** Another consumer, whose rounds must not take anything from ours. */
  #otherEpoch(): void {
    if (this.#other === undefined) this.#other = this.#world.notes.openEpoch("other");
    else if (this.#random.chance(1, 2)) this.#other.read();
    else {
      this.#other.close();
      this.#other = undefined;
    }
  }

  #round(): void {
    const round = this.#epoch.read();
    for (const [source, pages] of round.bySource) {
      const kind = /log$|untracked$|page table/.exec(source)?.[0] ?? "hart";
      this.#reported.set(kind, (this.#reported.get(kind) ?? 0) + pages);
    }
    this.#devicePages += this.#pagesOfRound.size;
    const withheld = this.#withheld?.take() ?? new Set();
    const lost = [...withheld].filter((page) => this.#pagesOfRound.has(page) && !round.pages.has(page));
    this.#pagesOfRound.clear();
    const [missed] = this.#oracle.check(round);
    assert(lost.length === 0 || missed !== undefined, "the oracle notices what is lost", this.#seed, lost[0]);
    if (missed === undefined) return;
    const where = `page ${missed.offsetInBlock / 4096} of ${missed.block}`;
    throw new OracleFinding(`seed ${this.#seed}: ${where} was written by ${missed.writers.join(", ")} and missed`);
  }
}
