// Random calls on device files, as a seed gives them: every answer is a value or an errno, nothing throws, nothing takes
// long, and when all is closed nothing is held.
import { ManualTimers, SeededRng } from "../../../src/base/index.ts";
import {
  DescribedUnit,
  FAIL_POINTS,
  ioctlCommand,
  makeGroup,
  makeLocalCaller,
  SoftwareHost,
  unitProfiles,
  VfioDeviceFeature,
  VfioDeviceFeatureFlag,
  vfioDeviceIoctls,
  VfioIrqSet,
  type AnyLayout,
  type HostMapping,
  type LocalCaller,
  type LocalEventFd,
  type HostSession,
} from "../../../src/iommufd/index.ts";
import { makeVfioHost, type VfioHost } from "../../../src/vfiohost/index.ts";

const MEMORY_BYTES = 0x10_0000;
const REQUEST_AT = 0x8_0000;
const LEAST_ERRNO = -4095;
const SLOW_CALL_MS = 2000;
const DESCRIPTORS = 24;
const ALL = ["stop-copy", "p2p", "pre-copy"] as const;

const IOCTLS = Object.values(vfioDeviceIoctls).filter((row) => row.name !== "VFIO_DEVICE_FEATURE");
const PAGE = 4096;

export interface SeedResult {
  readonly answers: ReadonlySet<number>;
}

/** Makes `calls` random calls; throws an Error that says which of them went wrong. */
export function runSeed(seed: number, calls: number): SeedResult {
  const run = new Run(seed);
  let at = 0;
  try {
    for (; at < calls; at++) run.step();
    run.end();
  } catch (cause) {
    const where = at < calls ? `call ${at}` : "the end";
    throw new Error(`seed ${seed}, ${where}: ${(cause as Error).message}`, { cause });
  }
  return { answers: run.answers };
}

class Run {
  readonly answers = new Set<number>();
  readonly #rng: SeededRng;
  readonly #bytes = new Uint8Array(MEMORY_BYTES);
  readonly #timers = new ManualTimers();
  readonly #host = new SoftwareHost();
  readonly #vfio: VfioHost;
  readonly #caller: LocalCaller;
  readonly #session: HostSession;
  readonly #mappings: HostMapping[] = [];
  /** What a data stream gave, to be written to another. */
  #stream = new Uint8Array(0);

  constructor(seed: number) {
    this.#rng = new SeededRng(BigInt(seed));
    this.#vfio = makeVfioHost({ host: this.#host, timers: this.#timers, trace: { guestError: () => {} } });
    const [one, other] = ["vtd-ssads", "smmuv3"].map((p, i) => new DescribedUnit(`u${i}`, unitProfiles[p]!));
    const group = makeGroup(1);
    const able = { migration: ALL, dmaLog: true };
    const small = { properties: { memory: "16k" } };
    this.#vfio.add({ kind: "dma-engine", name: "0000:01:00.0", ...able, ...small }, { unit: one!, group });
    this.#vfio.add({ kind: "dma-engine", name: "0000:01:00.1", ...able, ...small }, { unit: one!, group });
    this.#vfio.add({ kind: "dma-engine", name: "0000:00:02.0", ...small }, { unit: other!, group: makeGroup(2) });
    this.#vfio.add({ kind: "mdev-serial", name: "m0", ...able });
    this.#vfio.add({ kind: "mdev-serial", name: "m1", migration: ["stop-copy"], properties: { dma: "copy" } });
    this.#caller = makeLocalCaller({ bytes: this.#bytes });
    this.#session = this.#host.attach(this.#caller);
    this.#session.open("/dev/iommu");
    for (const { path } of this.#vfio.devices) this.#session.open(path);
    for (let i = 0; i < 4; i++) this.#caller.files.openEventFd();
    // Most devices are in use before anything else happens.
    for (let fd = 4; fd < 9; fd++) if (!this.#once(8)) this.#request(fd, "bind", { argsz: 24, iommufd: 3 });
  }

  step(): void {
    const began = performance.now();
    const answer = this.#call();
    if (!Number.isInteger(answer) || answer < LEAST_ERRNO) throw new Error(`the answer ${answer} is none`);
    this.answers.add(answer);
    for (let turns = 0; turns < 3; turns++) this.#timers.runDue();
    const took = performance.now() - began;
    if (took > SLOW_CALL_MS) throw new Error(`it took ${took.toFixed(0)} ms`);
  }

  end(): void {
    for (const mapping of this.#mappings) mapping.release();
    this.#caller.files.closeAll();
    for (let turns = 0; turns < 100; turns++) this.#timers.runDue();
    const left = { ...this.#vfio.audit(), ...this.#host.audit() };
    const { accountsClear, ...counts } = left;
    if (!accountsClear || Object.values(counts).some((n) => n !== 0)) throw new Error(`left: ${JSON.stringify(left)}`);
  }

  #below(n: number): number {
    return this.#rng.below(n);
  }

  #once(n: number): boolean {
    return this.#below(n) === 0;
  }

  #of<T>(...choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!;
  }

  #fd(): number {
    return this.#once(4) ? this.#below(DESCRIPTORS) : 4 + this.#below(5);
  }

  #word(): number {
    return this.#of(
      0,
      1,
      2,
      3,
      4,
      7,
      8,
      PAGE,
      0xffff_ffff,
      this.#below(32),
      1 << this.#below(31),
      this.#below(2 ** 32),
    );
  }

  #quad(): bigint {
    return this.#of(
      BigInt(this.#word()),
      BigInt(this.#below(64)) * BigInt(PAGE),
      1n << BigInt(this.#below(64)),
      0xffff_ffff_ffff_ffffn,
      BigInt(this.#below(MEMORY_BYTES)),
    );
  }

  #call(): number {
    const files = this.#caller.files;
    switch (this.#below(20)) {
      case 0:
        return this.#iommufd();
      case 1:
      case 2:
      case 3:
        return this.#plain();
      case 4:
      case 5:
      case 6:
        return this.#feature();
      case 7:
      case 8:
        return this.#interrupts();
      case 9:
      case 10:
      case 11:
      case 12:
        return this.#region();
      case 13:
      case 14:
        return this.#data();
      case 15:
        return this.#map();
      case 16:
        this.#timers.advanceByNs(0);
        (files.lookup(9 + this.#below(4)) as Partial<LocalEventFd> | undefined)?.add?.(1n);
        return 0;
      case 17:
        if (this.#once(8)) this.#host.failNext(this.#of(...FAIL_POINTS), 1 + this.#below(4));
        return this.#timersForward();
      case 18:
        return this.#once(6) ? this.#session.close(this.#fd()) : this.#session.poll(this.#fd());
      default: {
        if (this.#once(10)) return files.duplicate(this.#fd());
        if (this.#once(4)) return this.#session.open(this.#of("/dev/iommu", ...this.#host.paths));
        return this.#request(this.#fd(), "bind", { argsz: 24, iommufd: 3 });
      }
    }
  }

  /** Time goes on, but never so that a device that works without end holds it. */
  #timersForward(): number {
    for (let turns = 0; turns < 20; turns++) {
      this.#timers.clock.setNs(this.#timers.clock.nowNs() + 30_000);
      this.#timers.runDue();
    }
    return 0;
  }

  #request(fd: number, ioctl: keyof typeof vfioDeviceIoctls, values: object): number {
    const { nr, layout } = vfioDeviceIoctls[ioctl];
    (layout as AnyLayout | undefined)?.encode(values, this.#bytes, REQUEST_AT);
    return this.#session.ioctl(fd, ioctlCommand(nr), BigInt(REQUEST_AT));
  }

  /** Objects of /dev/iommu that devices can be attached to, and what is mapped there. */
  #iommufd(): number {
    const words = new DataView(this.#bytes.buffer, REQUEST_AT, 64);
    for (let i = 0; i < 16; i++) words.setUint32(4 * i, 0, true);
    const [nr, size] = this.#of([0x81, 12], [0x85, 40], [0x85, 40], [0x86, 24], [0x89, 48], [0x80, 8]) as [
      number,
      number,
    ];
    words.setUint32(0, size, true);
    if (nr === 0x85) {
      words.setUint32(4, 7, true);
      words.setUint32(8, 1 + this.#below(12), true);
      words.setBigUint64(16, BigInt(this.#below(64) * PAGE), true);
      words.setBigUint64(24, BigInt((1 + this.#below(64)) * PAGE), true);
      words.setBigUint64(32, BigInt(this.#below(64) * PAGE), true);
    } else if (nr === 0x86) {
      words.setUint32(4, 1 + this.#below(12), true);
      words.setBigUint64(16, 0xffff_ffff_ffff_ffffn, true);
    } else if (nr !== 0x81) {
      words.setUint32(4, this.#of(0, 2, 8), true);
      words.setUint32(8, 1 + this.#below(12), true);
      words.setUint32(12, 1 + this.#below(12), true);
    }
    return this.#session.ioctl(3, ioctlCommand(nr), BigInt(REQUEST_AT));
  }

  /** A call that is no feature: plausible lengths, any words. */
  #plain(): number {
    const row = this.#of(...IOCTLS);
    const lengthBytes = row.layout?.lengthBytes ?? 4;
    const view = new DataView(this.#bytes.buffer, REQUEST_AT, 256);
    view.setUint32(0, this.#once(4) ? this.#word() : this.#of(lengthBytes, 256), true);
    for (let at = 4; at < lengthBytes; at += 4) view.setUint32(at, this.#of(0, 0, this.#below(12), this.#word()), true);
    const command = this.#once(50) ? this.#word() : ioctlCommand(row.nr);
    const at = this.#once(40) ? MEMORY_BYTES - this.#below(64) : REQUEST_AT;
    return this.#session.ioctl(this.#fd(), command, BigInt(at));
  }

  #feature(): number {
    const { GET, SET, PROBE } = VfioDeviceFeatureFlag;
    const index = this.#of(1, 2, 2, 2, 3, 4, 5, 6, 6, 7, 8, 8, 9, 11, 12, this.#below(16));
    const flags = this.#of(GET, SET, SET, GET | PROBE, SET | PROBE, this.#word() & ~0xffff) | index;
    const argsz = this.#once(6) ? this.#word() : 64;
    VfioDeviceFeature.encode({ argsz, flags: flags >>> 0 }, this.#bytes, REQUEST_AT);
    const view = new DataView(this.#bytes.buffer, REQUEST_AT + 8, 32);
    if (index === 6 || index === 8) {
      const log = [PAGE, 1 + this.#below(3), REQUEST_AT + 0x100];
      view.setBigUint64(0, BigInt(index === 6 ? log[0]! : this.#below(8) * PAGE), true);
      view.setBigUint64(8, index === 6 ? BigInt(log[1]!) : BigInt(this.#below(256) * PAGE), true);
      view.setBigUint64(16, BigInt(index === 6 ? log[2]! : PAGE), true);
      view.setBigUint64(24, BigInt(REQUEST_AT + 0x1000), true);
      for (let i = 0; i < 3; i++) {
        const range = new DataView(this.#bytes.buffer, REQUEST_AT + 0x100 + 16 * i, 16);
        range.setBigUint64(0, BigInt(64 * i * PAGE), true);
        range.setBigUint64(8, BigInt(64 * PAGE), true);
      }
      if (this.#once(4)) view.setBigUint64(8 * this.#below(4), this.#quad(), true);
    } else {
      view.setUint32(0, this.#once(4) ? this.#word() : this.#below(9), true);
      view.setUint32(4, 0, true);
      view.setBigUint64(8, 1n << 32n, true);
      view.setBigUint64(16, BigInt(this.#below(5) * PAGE), true);
      view.setBigUint64(24, BigInt(this.#below(3) * PAGE), true);
    }
    return this.#session.ioctl(this.#fd(), ioctlCommand(vfioDeviceIoctls.feature.nr), BigInt(REQUEST_AT));
  }

  #interrupts(): number {
    const count = this.#below(5);
    const values = {
      argsz: this.#once(8) ? this.#word() : VfioIrqSet.lengthBytes + 4 * count,
      flags: this.#of(1, 2, 4, 4, 4) | this.#of(8, 16, 32, 32, 32, 0) | (this.#once(20) ? this.#word() : 0),
      index: this.#below(6),
      start: this.#below(3),
      count: this.#once(20) ? this.#word() : count,
    };
    VfioIrqSet.encode({ ...values, flags: values.flags >>> 0 }, this.#bytes, REQUEST_AT);
    const view = new DataView(this.#bytes.buffer, REQUEST_AT + VfioIrqSet.lengthBytes, 32);
    for (let i = 0; i < count; i++)
      view.setInt32(4 * i, this.#once(6) ? this.#below(40) - 2 : 9 + this.#below(4), true);
    return this.#session.ioctl(this.#fd(), ioctlCommand(vfioDeviceIoctls.setIrqs.nr), BigInt(REQUEST_AT));
  }

  /** Configuration space and registers, mostly where something is. */
  #region(): number {
    const index = this.#of(0, 0, 1, 2, 7, 7, this.#below(10));
    const at = index === 7 ? this.#of(4, 4, this.#below(0x110), this.#below(0x1008)) : this.#below(0x70) & ~3;
    const offset = (BigInt(index) << 40n) + BigInt(this.#once(8) ? this.#below(0x4010) : at);
    const lengthBytes = this.#of(1, 2, 4, 4, 4, 8, this.#below(64));
    const view = new DataView(this.#bytes.buffer, REQUEST_AT, 64);
    for (let i = 0; i < 64; i += 4) view.setUint32(i, this.#of(6, 7, this.#word(), this.#below(0x4_0000)), true);
    const va = BigInt(this.#once(40) ? MEMORY_BYTES - 2 : REQUEST_AT);
    const how = this.#of("read", "write", "write");
    return this.#session[how](this.#fd(), va, lengthBytes, this.#once(30) ? undefined : offset);
  }

  /** Streams are read, changed a little, and written to whatever takes them. */
  #data(): number {
    const fd = 13 + this.#below(8);
    if (this.#once(2)) {
      const got = this.#session.read(fd, BigInt(REQUEST_AT), this.#below(0x6000));
      if (got > 0) {
        const fresh = this.#bytes.subarray(REQUEST_AT, REQUEST_AT + got);
        const keep = this.#stream.length < 0x1_0000 ? this.#stream : new Uint8Array(0);
        this.#stream = Uint8Array.from([...keep, ...fresh]);
      }
      return got;
    }
    const bytes = this.#stream.subarray(0, 0x6000);
    this.#bytes.set(bytes, REQUEST_AT);
    if (this.#once(4)) this.#bytes[REQUEST_AT + this.#below(0x100)] = this.#below(256);
    this.#stream = this.#stream.slice(bytes.length);
    return this.#session.write(fd, BigInt(REQUEST_AT), this.#once(6) ? this.#below(0x6000) : bytes.length);
  }

  #map(): number {
    if (this.#mappings.length > 0 && this.#once(2)) {
      this.#mappings.splice(this.#below(this.#mappings.length), 1)[0]!.release();
      return 0;
    }
    const mapped = this.#session.mmap(this.#fd(), {
      offset: (BigInt(this.#of(2, 2, 2, this.#below(10))) << 40n) + BigInt(this.#below(5) * PAGE),
      lengthBytes: this.#of(PAGE, 2 * PAGE, this.#below(PAGE), 0),
      protection: this.#below(8),
      shared: !this.#once(8),
    });
    if (typeof mapped === "number") return mapped;
    this.#mappings.push(mapped);
    mapped.bytes[this.#below(mapped.bytes.length)] = this.#below(256);
    return 0;
  }
}
