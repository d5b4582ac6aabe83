// Random page tables: code and traps mapped well enough to run, data mapped in every way there is.
import { assert } from "../../src/base/index.ts";
import type { LockstepCpu } from "./cpu.ts";
import * as map from "./memory-map.ts";
import type { World } from "./program.ts";
import type { Random } from "./random.ts";

/** Bits of an entry (privileged spec §10.4.1, Svnapot, Svpbmt). */
const V = 1n;
const R = 2n;
const W = 4n;
const X = 8n;
const U = 16n;
const G = 32n;
const A = 64n;
const D = 128n;
const N = 1n << 63n;
const PAGE = 4096n;

/** Addresses below may be the board's, the windows of PCI among them. */
const BOARD_BITS = 35n;

/** Inside a region of 2 MiB. */
const TRAPS_AT = 0x1_0000n;
const SLOTS_AT = 0x2_0000n;
const SLOT_COUNT = 16;
const NAPOT_AT = 0x3_0000n;
const HOLE_AT = 0x5_0000n;
const SUPERPAGE_AT = 0x20_0000n;

/** A world, and addresses that loads and stores may be tried at. */
export interface RandomWorld {
  readonly world: World;
  readonly supervisorData: DataPlaces;
  readonly userData: DataPlaces;
}

/** Pages by whether there can be memory behind them. */
export interface DataPlaces {
  readonly backed: readonly bigint[];
  readonly unbacked: readonly bigint[];
}

/** Page tables for all worlds of a program. */
export class TableMaker {
  readonly #random: Random;
  readonly #cpu: LockstepCpu;
  readonly #words = new Map<number, bigint>();
  #next = map.TABLES;

  constructor(cpu: LockstepCpu, random: Random) {
    this.#cpu = cpu;
    this.#random = random;
  }

  get words(): readonly (readonly [number, bigint])[] {
    return [...this.#words];
  }

  world(): RandomWorld {
    const random = this.#random;
    const mode = 8 + random.below(this.#cpu.satpModes - 7);
    const levels = mode - 5;
    const root = this.#table();
    const supervisor = this.#region(levels);
    const user = this.#region(levels);
    const world = {
      satp: (BigInt(mode) << 60n) | (BigInt(random.below(4)) << 44n) | (BigInt(root) >> 12n),
      supervisorCode: supervisor,
      userCode: user,
      supervisorTraps: supervisor + TRAPS_AT,
    };
    const put = (va: bigint, physical: bigint, bits: bigint, level = 0): void =>
      this.#map({ root, levels, va, entry: ((physical >> 12n) << 10n) | bits, level });
    for (let offset = 0n; offset < map.CODE_BYTES; offset += PAGE) {
      put(supervisor + offset, BigInt(map.CODE) + offset, this.#codeBits(0n));
      put(user + offset, BigInt(map.CODE) + offset, this.#codeBits(U));
    }
    put(world.supervisorTraps, BigInt(map.SUPERVISOR_TRAPS), V | R | X | A | G);
    return {
      world,
      supervisorData: this.#data(supervisor, 0n, put),
      userData: this.#data(user, U, put),
    };
  }

  /** Where a region may be: canonical, in a gigabyte of its own. As a physical address, nothing of the board is there. */
  #region(levels: number): bigint {
    const bits = 12 + 9 * levels;
    for (;;) {
      const at = BigInt.asUintN(64, BigInt.asIntN(bits, this.#random.bits64()) & ~0x3fff_ffffn);
      if (at >> BOARD_BITS !== 0n) return at + (this.#random.bits64() & 0x1f80_0000n);
    }
  }

  #codeBits(user: bigint): bigint {
    const { chance } = this.#chances;
    return V | X | A | chance(90, R) | chance(50, W | R) | chance(80, D) | user;
  }

  get #chances(): { chance: (percent: number, bits: bigint) => bigint } {
    return { chance: (percent, bits) => (this.#random.chance(percent) ? bits : 0n) };
  }

  /** Bits of a leaf for data: mostly of some use. */
  #dataBits(user: bigint): bigint {
    const { chance } = this.#chances;
    const random = this.#random;
    const rights = random.weighted([
      [10, R | W],
      [3, R],
      [2, R | W | X],
      [2, X],
      [1, R | X],
      [1, W],
      [1, W | X],
    ]);
    const whose = random.chance(90) ? user : user ^ U;
    const odd = chance(2, 1n << BigInt(54 + random.below(7))) | chance(3, N | A | D);
    const type = random.chance(8) ? BigInt(random.below(3)) << 61n : 0n;
    const software = BigInt(random.below(4)) << 8n;
    const accessed = (rights & W) === 0n ? A : chance(85, A);
    return chance(97, V) | rights | whose | accessed | chance(75, D) | chance(20, G) | odd | type | software;
  }

  #data(
    region: bigint,
    user: bigint,
    put: (va: bigint, physical: bigint, bits: bigint, level?: number) => void,
  ): DataPlaces {
    const random = this.#random;
    const pages = map.DATA_BYTES / 4096;
    const slots = Array.from({ length: SLOT_COUNT }, (_, i) => region + SLOTS_AT + BigInt(i) * PAGE);
    for (const slot of slots) {
      const page = random.chance(60) ? random.below(4) : random.below(pages);
      put(slot, BigInt(map.DATA + page * 4096), this.#dataBits(user));
    }
    const hole = region + HOLE_AT;
    put(hole, random.pick([0n, 0x9000_0000n]), this.#dataBits(user));
    const napot = Array.from({ length: 16 }, (_, i) => region + NAPOT_AT + BigInt(i) * PAGE);
    const size = random.chance(90) ? 0x8000n : 0x4000n;
    const accessed = size === 0x8000n ? 0n : A | D;
    const napotBits = (this.#dataBits(user) ^ (random.chance(90) ? N : 0n)) | (random.chance(95) ? V : 0n) | accessed;
    for (const va of napot) put(va, BigInt(map.DATA) + size, napotBits);
    const offset = BigInt(map.DATA - map.RAM_BASE);
    const misaligned = random.chance(5) ? PAGE : 0n;
    put(region + SUPERPAGE_AT, BigInt(map.RAM_BASE) + misaligned, this.#dataBits(user), 1);
    const large = [region + SUPERPAGE_AT + offset, region + SUPERPAGE_AT + offset + PAGE];
    return { backed: [...slots, ...napot.slice(0, 4), ...large], unbacked: [hole] };
  }

  #table(): number {
    const at = this.#next;
    assert(at + 4096 <= map.TABLES + map.TABLES_BYTES, "page tables fit their place");
    this.#next += 4096;
    return at;
  }

  #map({
    root,
    levels,
    va,
    entry,
    level,
  }: {
    root: number;
    levels: number;
    va: bigint;
    entry: bigint;
    level: number;
  }): void {
    let table = root;
    for (let i = levels - 1; i > level; i--) {
      const at = table + index(va, i) * 8;
      let next = this.#words.get(at);
      if (next === undefined) {
        next = ((BigInt(this.#table()) >> 12n) << 10n) | V;
        this.#words.set(at, next);
      }
      table = Number(next >> 10n) * 4096;
    }
    this.#words.set(table + index(va, level) * 8, entry);
  }
}

const index = (va: bigint, level: number): number => Number((va >> BigInt(12 + 9 * level)) & 511n);
