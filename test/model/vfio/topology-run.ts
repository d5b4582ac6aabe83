// One random host, one random guest: devices come, go, are reset and write; memory moves; harts write; rounds are taken in
// between. The oracle says after each whether a written page was missed.
import { assert, ManualTimers } from "../../../src/base/index.ts";
import { makeLocalCaller, type EventFd } from "../../../src/iommufd/index.ts";
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
import { IommufdBackend, VfioError, type Assignment } from "../../../src/vfio/index.ts";
import { makeDescribedHost } from "../../../src/vfiohost/index.ts";
import { DESCRIPTOR_BYTES, enable, encodeList, startList, startLoop, type DeviceWrite } from "./engine.ts";
import { Random } from "./random.ts";
import { sabotaged, sabotageNotes, type Sabotage } from "./sabotage.ts";
import { randomTopology } from "./topology.ts";

const RAM_BYTES = 0x10_0000;
const SIDE_BYTES = 0x4_0000;
const SIDE_PLACES = [0x40_0000, 0x48_0000, 0x60_1000, 0x1_0000_0000];
const ARENA_BYTES = 0x1_0000;
const LIST_AT = 0x1000;
const LIST_LENGTH = 100;
const STEPS = 40;

export interface RunFacts {
  /** Writes that devices made. */
  readonly deviceWrites: number;
  readonly counts: OracleCounts;
  /** Pages that devices wrote, round by round. */
  readonly devicePages: number;
  /** Pages that each kind of source reported. */
  readonly reported: ReadonlyMap<string, number>;
}

/** What a run found wrong, with the step. */
export class OracleFinding extends Error {}

/** Throws OracleFinding when a page was missed, and what else goes wrong. */
export function runTopology(seed: number, sabotage?: Sabotage): RunFacts {
  const run = new TopologyRun(seed, sabotage);
  for (let step = 0; step < STEPS; step++) run.step();
  return run.end();
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

  constructor(seed: number, sabotage: Sabotage | undefined) {
    this.#seed = seed;
    this.#random = new Random(seed);
    const { host: plan, policy } = randomTopology(this.#random);
    const worldPlan = new WorldPlan();
    this.#ram = worldPlan.ram("ram", RAM_BYTES);
    const side = worldPlan.ram("side", SIDE_BYTES);
    const arenaAt = worldPlan.reserve("arena", ARENA_BYTES, 4096);
    const world = worldPlan.create();
    this.#world = world;
    sabotageNotes(world.notes, sabotage);
    this.#hart = world.notes.source("hart");
    this.#root.add(ramRegion(this.#ram), 0);
    this.#side = ramRegion(side);
    this.#space = new AddressSpace("memory", this.#root, world);
    const { host, vfio } = makeDescribedHost(plan, { timers: this.#timers, trace: { guestError: () => undefined } });
    const caller = makeLocalCaller({
      bytes: world.u8,
      onDeviceWrite: (offset, lengthBytes) => {
        this.#deviceWrites += 1;
        this.#oracle.noteWrite("device", offset, lengthBytes);
        for (let page = offset >>> 12; page <= (offset + lengthBytes - 1) >>> 12; page++) this.#pagesOfRound.add(page);
      },
    });
    const arena = world.u8.subarray(arenaAt, arenaAt + ARENA_BYTES);
    this.#backend = new IommufdBackend({
      id: "f0",
      host: {
        session: sabotaged(host.attach(caller), arena, sabotage),
        arena: { va: BigInt(arenaAt), bytes: arena },
        events: {
          open: () => {
            const fd = caller.files.openEventFd();
            const event = caller.files.eventFd(fd) as EventFd;
            return { fd, signal: () => event.signal(), close: () => void caller.files.close(fd) };
          },
        },
        devices: vfio.devices.map(({ name, path, kind }) => ({ name, path, isMediated: kind.bus === "mdev" })),
      },
      space: this.#space,
      policy,
      warn: () => undefined,
    });
    this.#audit = () => ({ ...host.audit(), ...vfio.audit() });
    this.#epoch = world.notes.openEpoch("oracle");
    this.#oracle = new DirtyOracle(world);
  }

  step(): void {
    const dice = this.#random.between(0, 99);
    if (dice < 15 || this.#assigned.length === 0) this.#plug();
    else if (dice < 20) this.#unplug();
    else if (dice < 60) this.#deviceWork();
    else if (dice < 68) this.#moveMemory();
    else if (dice < 74) this.#hartWork();
    else if (dice < 78) this.#resetDevice();
    else if (dice < 82) this.#otherEpoch();
    else this.#round();
    // Some work goes on while other things happen.
    if (this.#random.chance(3, 4)) this.#timers.advanceByNs(this.#random.between(0, 200_000));
  }

  end(): RunFacts {
    this.#timers.advanceByNs(10_000_000);
    this.#round();
    for (const assignment of this.#assigned) assignment.release();
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
      enable(assignment.device);
      this.#assigned.push(assignment);
    } catch (error) {
      // A sibling of its group may be where it cannot go.
      if (!(error instanceof VfioError)) throw error;
    }
  }

  #unplug(): void {
    const at = this.#random.between(0, this.#assigned.length - 1);
    this.#assigned.splice(at, 1)[0]!.release();
  }

  #deviceWork(): void {
    const { device } = this.#random.pick(this.#assigned);
    if (device.isMediated) {
      const target = this.#target(4096);
      startLoop(device, LIST_AT, target.at, this.#random.between(1, 3000));
      return;
    }
    const count = this.#random.between(1, LIST_LENGTH);
    const writes = Array.from({ length: count }, () => this.#target(this.#random.chance(1, 10) ? 20_000 : 300));
    // Lists of several devices lie apart, so that each is what its driver wrote.
    const listAt = LIST_AT + this.#backend.host.devices.findIndex(({ name }) => name === device.name) * 0x1000;
    this.#hartWrite(listAt, encodeList(writes));
    assert(count * DESCRIPTOR_BYTES <= 0x1000, "lists lie apart", count);
    startList(device, listAt, count);
  }

  /** Mostly memory, sometimes past it. */
  #target(most: number): DeviceWrite {
    const isSide = this.#sideAt !== undefined && this.#random.chance(1, 3);
    const base = isSide ? this.#sideAt! : 0x1_0000;
    const room = isSide ? SIDE_BYTES : RAM_BYTES - 0x1_0000;
    const at = this.#random.chance(1, 500) ? RAM_BYTES - 64 : base + this.#random.between(0, room - most);
    return { at, lengthBytes: this.#random.between(1, most), pattern: this.#random.between(0, 0xffff_ffff) };
  }

  /** The side block appears, moves or goes; now and then part of RAM is seen elsewhere too. */
  #moveMemory(): void {
    memoryTransaction(() => {
      if (this.#random.chance(1, 4)) {
        if (this.#alias !== undefined) this.#root.remove(this.#alias);
        this.#alias?.detachAlias();
        this.#alias = undefined;
        if (this.#random.chance(1, 2)) {
          const [block] = this.#root.children.filter(({ region }) => region.name === "ram");
          const offsetBytes = this.#random.between(0, 7) * 0x1_0000;
          this.#alias = aliasRegion("window", block!.region, { offsetBytes, lengthBytes: 0x2_0000 });
          this.#root.add(this.#alias, 0x20_0000);
        }
        return;
      }
      if (this.#sideAt !== undefined) this.#root.remove(this.#side);
      this.#sideAt = this.#random.chance(1, 4) ? undefined : this.#random.pick(SIDE_PLACES);
      if (this.#sideAt !== undefined) this.#root.add(this.#side, this.#sideAt);
    });
  }

  #hartWork(): void {
    const at = this.#random.between(0x1_0000, RAM_BYTES - 64);
    this.#hartWrite(at, Uint8Array.of(this.#random.between(0, 255)));
  }

  #hartWrite(at: number, bytes: Uint8Array): void {
    this.#space.write(at, bytes, this.#hart);
  }

  #resetDevice(): void {
    const { device } = this.#random.pick(this.#assigned);
    device.client.reset();
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
    this.#pagesOfRound.clear();
    const [missed] = this.#oracle.check(round);
    if (missed === undefined) return;
    const where = `page ${missed.offsetInBlock / 4096} of ${missed.block}`;
    throw new OracleFinding(`seed ${this.#seed}: ${where} was written by ${missed.writers.join(", ")} and missed`);
  }
}
