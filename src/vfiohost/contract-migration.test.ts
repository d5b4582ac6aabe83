// Migration features and data streams: errno in the order of the kernel's checks, and what a transfer carries.
import { describe, expect, test } from "vitest";
import {
  Errno,
  PollEvent,
  VfioDeviceFeature,
  VfioDeviceFeatureFlag,
  VfioDeviceFeatureMigState,
  VfioDeviceState as S,
  VfioFeature,
  VfioMigrationFlag,
  VfioNr,
  VfioPciRegion,
  VfioPrecopyInfo,
  type VfioDeviceClient,
} from "../iommufd/index.ts";
import type { MigrationAbility } from "./port.ts";
import { config, MEMORY_BYTES, RAW_AT, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const { GET, SET, PROBE } = VfioDeviceFeatureFlag;
const ALL: readonly MigrationAbility[] = ["stop-copy", "p2p", "pre-copy"];
const LOCAL = 0x1000n;
const LOCAL_BYTES = 0xe000;

/** Local memory of the DMA engine, by its mapping. */
function local(device: VfioDeviceClient): Uint8Array {
  const mapping = device.map(device.region(VfioPciRegion.BAR2), LOCAL, LOCAL_BYTES);
  mapping.release();
  return mapping.bytes;
}

function migratable(b: VfioBench, migration = ALL): VfioDeviceClient {
  return b.bound(b.add({ migration }));
}

/** Reads a stream to its end, or to where there is nothing for the moment. */
function drain(b: VfioBench, fd: number, mostBytes = 1000): Uint8Array {
  const data = b.data(fd);
  const parts: number[] = [];
  for (;;) {
    const part = data.read(mostBytes);
    if (part === undefined || part.length === 0) return Uint8Array.from(parts);
    parts.push(...part);
  }
}

/** Moves what a device has to another, through the states of a stopped transfer. */
function saved(b: VfioBench, device: VfioDeviceClient): Uint8Array {
  return drain(b, device.setDeviceState(S.STOP_COPY)!);
}

describe("features of migration", () => {
  test("a device without it: ENOTTY, but EINVAL for pre-copy information", () => {
    const b = vfioBench();
    const device = b.bound(b.add());
    for (const index of [VfioFeature.MIGRATION, VfioFeature.MIG_DEVICE_STATE, VfioFeature.MIG_DATA_SIZE]) {
      expect(device.attemptFeature(index, PROBE | GET).errno).toBe(Errno.ENOTTY);
      expect(device.attemptFeature(index, GET).errno).toBe(Errno.ENOTTY);
    }
    expect(device.attemptFeature(VfioFeature.MIG_PRECOPY_INFOv2, PROBE | SET).errno).toBe(Errno.EINVAL);
    expect(device.migrationFlags()).toBe(0);
    expect(() => device.deviceState()).toThrow(
      "VFIO_DEVICE_FEATURE (MIG_DEVICE_STATE) failed with ENOTTY: the device does not have this feature",
    );
    b.end();
  });

  test("abilities are as described", () => {
    const b = vfioBench();
    const { STOP_COPY, P2P, PRE_COPY } = VfioMigrationFlag;
    expect(migratable(b, ["stop-copy"]).migrationFlags()).toBe(STOP_COPY);
    expect(migratable(b, ["stop-copy", "p2p"]).migrationFlags()).toBe(STOP_COPY | P2P);
    expect(migratable(b, ALL).migrationFlags()).toBe(STOP_COPY | P2P | PRE_COPY);
    expect(() => b.add({ migration: ["p2p"] })).toThrow('"p2p" needs "stop-copy"');
    b.end();
  });

  test("methods, lengths and addresses of each", () => {
    const b = vfioBench();
    const device = migratable(b);
    const result = (index: number, flags: number, argsz: number): number =>
      b.raw(device.fd, "feature", VfioDeviceFeature, { argsz, flags: flags | index }).result;
    const table = [
      [VfioFeature.MIGRATION, GET, SET, 8],
      [VfioFeature.MIG_DEVICE_STATE, GET | SET, 0, 8],
      [VfioFeature.MIG_DATA_SIZE, GET, SET, 8],
      [VfioFeature.MIG_PRECOPY_INFOv2, SET, GET, 0],
    ] as const;
    for (const [index, allowed, refused, dataBytes] of table) {
      expect(result(index, PROBE | allowed, 8)).toBe(0);
      if (refused !== 0) expect(result(index, PROBE | refused, 8)).toBe(-Errno.EINVAL);
      expect(result(index, 0, 64)).toBe(-Errno.EINVAL);
      if (dataBytes > 0) expect(result(index, allowed & GET, 8 + dataBytes - 1)).toBe(-Errno.EINVAL);
    }
    // The payload past the end of memory.
    const at = MEMORY_BYTES - 8;
    for (const index of [VfioFeature.MIGRATION, VfioFeature.MIG_DEVICE_STATE, VfioFeature.MIG_DATA_SIZE]) {
      VfioDeviceFeature.encode({ argsz: 16, flags: GET | index }, b.bytes, at);
      expect(b.ioctl(device.fd, VfioNr.DEVICE_FEATURE, at)).toBe(-Errno.EFAULT);
    }
    b.end();
  });
});

describe("MIG_DEVICE_STATE", () => {
  const states = Object.values(S).filter((state) => state !== S.ERROR);
  const begins = new Set([S.STOP_COPY, S.RESUMING, S.PRE_COPY, S.PRE_COPY_P2P] as number[]);
  const saves = new Set([S.STOP_COPY, S.PRE_COPY, S.PRE_COPY_P2P] as number[]);

  test.for(states.flatMap((from) => states.map((to) => [from, to] as const)))(
    "from %i to %i: the state, and a descriptor when a stream begins",
    ([from, to]) => {
      const b = vfioBench();
      const device = migratable(b);
      const open = device.setDeviceState(from);
      if (from === S.STOP_COPY && (to === S.PRE_COPY || to === S.PRE_COPY_P2P)) {
        expect(() => device.setDeviceState(to)).toThrow("EINVAL: there is no way from the device's state to this one");
        expect(device.deviceState()).toBe(from);
      } else if (from === S.RESUMING && to !== from) {
        // Nothing was written.
        expect(() => device.setDeviceState(to)).toThrow("EINVAL");
        expect(device.deviceState()).toBe(S.RESUMING);
      } else {
        const fd = device.setDeviceState(to);
        expect(device.deviceState()).toBe(to);
        const goesOn = saves.has(from) && saves.has(to);
        expect(fd !== undefined).toBe(from !== to && begins.has(to) && !goesOn);
        if (open !== undefined && from !== to && !goesOn) {
          expect(b.session.read(open, 0n, 1)).toBe(-Errno.ENODEV);
          expect(b.session.poll(open)).toBe(PollEvent.IN | PollEvent.HUP);
        }
      }
      b.end();
    },
  );

  test("states that do not exist, or that the device does not have, are EINVAL; the answer says no descriptor", () => {
    const b = vfioBench();
    const device = migratable(b, ["stop-copy"]);
    for (const state of [S.ERROR, S.RUNNING_P2P, S.PRE_COPY, S.PRE_COPY_P2P, 8, 0xffff_ffff]) {
      const values = { device_state: state, data_fd: 5 };
      const { errno, payload } = device.attemptFeature(
        VfioFeature.MIG_DEVICE_STATE,
        SET,
        VfioDeviceFeatureMigState,
        values,
      );
      expect(errno).toBe(Errno.EINVAL);
      expect(VfioDeviceFeatureMigState.decode(payload)).toEqual({ device_state: state, data_fd: -1 });
    }
    b.end();
  });

  test("a step that fails leaves the device where it had got to; one back into life leaves ERROR, and reset helps", () => {
    const b = vfioBench();
    const device = migratable(b);
    b.host.failNext("state", 2);
    expect(() => device.setDeviceState(S.STOP_COPY)).toThrow("EIO");
    expect(device.deviceState()).toBe(S.RUNNING_P2P);
    device.setDeviceState(S.STOP);
    b.host.failNext("state", 1);
    expect(() => device.setDeviceState(S.RUNNING)).toThrow("EIO");
    expect(device.deviceState()).toBe(S.ERROR);
    expect(() => device.setDeviceState(S.STOP)).toThrow("EINVAL");
    device.reset();
    expect(device.deviceState()).toBe(S.RUNNING);
    b.end();
  });

  test("reset, hot reset and FLR end streams and run the device", () => {
    const b = vfioBench();
    const device = migratable(b);
    const flr = (): void => {
      const at = config(device);
      // The PCI Express capability's device control.
      let cap = at.get(0x34, 1);
      while (at.get(cap, 1) !== 0x10) cap = at.get(cap + 1, 1);
      at.set(cap + 8, 0x8000, 2);
    };
    for (const reset of [() => device.reset(), () => device.hotReset(), flr]) {
      const fd = device.setDeviceState(S.STOP_COPY)!;
      reset();
      expect(device.deviceState()).toBe(S.RUNNING);
      expect(b.session.read(fd, 0n, 16)).toBe(-Errno.ENODEV);
    }
    b.end();
  });

  test("a descriptor that cannot be given out is closed, and the state stays", () => {
    const b = vfioBench();
    const device = migratable(b);
    b.host.failNext("reply", 1);
    expect(() => device.setDeviceState(S.STOP_COPY)).toThrow("EFAULT");
    expect(b.vfio.audit().dataFiles).toBe(0);
    expect(device.deviceState()).toBe(S.STOP_COPY);
    while (b.caller.files.openEventFd() >= 0);
    device.setDeviceState(S.RUNNING);
    expect(() => device.setDeviceState(S.STOP_COPY)).toThrow("EMFILE");
    expect(b.vfio.audit().dataFiles).toBe(0);
    b.end();
  });

  test("a device that is quiet or stopped moves nothing; it goes on where it was", () => {
    const b = vfioBench();
    const device = migratable(b);
    const ioasId = b.iommufd.ioasAlloc();
    device.attach(ioasId);
    b.iommufd.map(0n, { ioasId, lengthBytes: 0x10_0000n, iova: 0n });
    config(device).set(4, 6, 2);
    const engine = registers(device, VfioPciRegion.BAR0);
    engine.set(0x08, 1);
    engine.set(0x1c, 1);
    engine.set(0x30, 0x8000);
    engine.set(0x48, 2);
    b.timers.advanceByNs(1);
    const moved = (): number => engine.get(0x50);
    for (const state of [S.RUNNING_P2P, S.STOP, S.STOP_COPY]) {
      device.setDeviceState(state);
      const before = moved();
      b.timers.advanceByNs(1e9);
      expect(moved()).toBe(before);
    }
    device.setDeviceState(S.RUNNING);
    b.timers.advanceByNs(1e9);
    expect(moved()).toBe(0x8000);
    b.end();
  });
});

describe("data streams", () => {
  test("a stopped device's state and memory go over, in pieces of any size, and the work goes on", () => {
    const b = vfioBench();
    const source = migratable(b);
    const target = migratable(b);
    registers(source, VfioPciRegion.BAR0).set(0x34, 0xabcd);
    local(source).fill(7);
    expect(source.stopCopyBytes()).toBeGreaterThan(BigInt(LOCAL_BYTES));
    const estimate = source.stopCopyBytes();
    const fd = source.setDeviceState(S.STOP_COPY)!;
    const bytes = drain(b, fd, 777);
    expect(BigInt(bytes.length)).toBe(estimate);
    expect(b.data(fd).read(10)).toHaveLength(0);
    const into = b.data(target.setDeviceState(S.RESUMING)!);
    for (let at = 0; at < bytes.length; at += 333) into.write(bytes.subarray(at, at + 333));
    target.setDeviceState(S.RUNNING);
    expect(registers(target, VfioPciRegion.BAR0).get(0x34)).toBe(0xabcd);
    expect(local(target).every((byte) => byte === 7)).toBe(true);
    b.end();
  });

  test("pre-copy sends memory first, then what changed; between them is ENOMSG", () => {
    const b = vfioBench();
    const source = migratable(b);
    const target = migratable(b);
    const fd = source.setDeviceState(S.PRE_COPY)!;
    const data = b.data(fd);
    const parts = [drain(b, fd, 5000)];
    expect(parts[0]!.length).toBeGreaterThan(LOCAL_BYTES);
    expect(data.precopyInfo()).toEqual({ initialBytes: 0n, dirtyBytes: 0n, isNewInitial: false });
    expect(b.session.read(fd, 0n, 16)).toBe(-Errno.ENOMSG);
    expect(data.poll()).toBe(0);
    // Through the mapping, which tells nobody.
    local(source)[0x2345] = 9;
    expect(data.poll()).toBe(PollEvent.IN);
    expect(data.precopyInfo().dirtyBytes).toBe(4112n);
    parts.push(drain(b, fd));
    expect(parts[1]!.length).toBe(4112);
    source.setDeviceState(S.PRE_COPY_P2P);
    expect(data.precopyInfo().dirtyBytes).toBe(0n);
    expect(source.setDeviceState(S.STOP_COPY)).toBeUndefined();
    expect(source.stopCopyBytes()).toBeLessThan(4112n);
    parts.push(drain(b, fd));
    expect(b.session.read(fd, 0n, 16)).toBe(0);
    const into = b.data(target.setDeviceState(S.RESUMING)!);
    for (const part of parts) into.write(part);
    target.setDeviceState(S.STOP);
    expect(local(target)[0x2345]).toBe(9);
    b.end();
  });

  test("GET_PRECOPY_INFO: command, argument, length, state; initial bytes run down", () => {
    const b = vfioBench();
    const device = migratable(b);
    const fd = device.setDeviceState(S.PRE_COPY)!;
    const info = (fields: object) => b.raw(fd, "getPrecopyInfo", VfioPrecopyInfo, { argsz: 24, ...fields });
    expect(b.ioctl(fd, VfioNr.DEVICE_GET_INFO)).toBe(-Errno.ENOTTY);
    expect(b.ioctl(fd, VfioNr.MIG_GET_PRECOPY_INFO, MEMORY_BYTES - 4)).toBe(-Errno.EFAULT);
    expect(info({ argsz: 23 }).result).toBe(-Errno.EINVAL);
    const first = info({ flags: 5 }).reply;
    // Whoever did not ask for flags keeps their own.
    expect(first).toMatchObject({ flags: 5, dirty_bytes: 0n });
    expect(first.initial_bytes).toBeGreaterThan(BigInt(LOCAL_BYTES));
    b.session.read(fd, BigInt(RAW_AT), 100);
    expect(info({}).reply.initial_bytes).toBe(first.initial_bytes - 100n);
    device.setDeviceState(S.STOP_COPY);
    expect(info({}).result).toBe(-Errno.EINVAL);
    b.end();
  });

  test("who asks for it is told when initial data begins anew", () => {
    const b = vfioBench();
    const device = migratable(b);
    const fd = device.setDeviceState(S.PRE_COPY)!;
    const data = b.data(fd);
    drain(b, fd);
    local(device).fill(3);
    const untold = data.precopyInfo();
    expect([untold.isNewInitial, untold.initialBytes]).toEqual([false, 0n]);
    device.enablePrecopyReinit();
    const info = data.precopyInfo();
    expect(info.isNewInitial).toBe(true);
    expect(info.initialBytes).toBe(BigInt((LOCAL_BYTES / 4096) * 4112));
    expect(data.precopyInfo().isNewInitial).toBe(false);
    device.close();
    b.end();
  });

  test("descriptors do only what theirs is: no seeking, no other direction, no ioctl, no mapping", () => {
    const b = vfioBench();
    const device = migratable(b);
    const out = device.setDeviceState(S.STOP_COPY)!;
    expect(b.session.read(out, 0n, 16, 0n)).toBe(-Errno.ESPIPE);
    expect(b.session.write(out, 0n, 16)).toBe(-Errno.EBADF);
    expect(b.session.read(out, BigInt(MEMORY_BYTES), 16)).toBe(-Errno.EFAULT);
    expect(b.session.mmap(out, { offset: 0n, lengthBytes: 4096, protection: 1, shared: true })).toBe(-Errno.ENODEV);
    b.host.failNext("data", 1);
    expect(b.session.read(out, 0n, 16)).toBe(-Errno.EIO);
    expect(b.session.read(out, 0n, 16)).toBe(16);
    const into = device.setDeviceState(S.RESUMING)!;
    expect(b.session.write(into, 0n, 16, 0n)).toBe(-Errno.ESPIPE);
    expect(b.session.read(into, 0n, 16)).toBe(-Errno.EBADF);
    expect(b.session.write(into, BigInt(MEMORY_BYTES), 16)).toBe(-Errno.EFAULT);
    expect(b.ioctl(into, VfioNr.MIG_GET_PRECOPY_INFO)).toBe(-Errno.ENOTTY);
    expect(b.session.poll(into)).toBe(PollEvent.IN | PollEvent.OUT);
    device.close();
    expect(b.session.write(into, 0n, 16)).toBe(-Errno.ENODEV);
    b.end();
  });

  test("data of another device, cut off, doubled or damaged is EINVAL and changes nothing", () => {
    const b = vfioBench();
    const good = saved(b, migratable(b));
    const target = migratable(b);
    const writes = (bytes: Uint8Array): number => {
      target.reset();
      const fd = target.setDeviceState(S.RESUMING)!;
      b.bytes.set(bytes, 0);
      return b.session.write(fd, 0n, bytes.length);
    };
    const damaged = (at: number): Uint8Array => good.map((byte, i) => (i === at ? byte ^ 0x55 : byte));
    expect(writes(good.subarray(16))).toBe(-Errno.EINVAL);
    expect(writes(damaged(0))).toBe(-Errno.EINVAL);
    expect(writes(damaged(20))).toBe(-Errno.EINVAL);
    expect(writes(Uint8Array.from([...good, 1]))).toBe(-Errno.EINVAL);
    const other = b.bound(b.add({ migration: ALL, properties: { memory: "32k" } }));
    expect(writes(saved(b, other))).toBe(-Errno.EINVAL);
    local(target).fill(5);
    expect(writes(good.subarray(0, -16))).toBe(good.length - 16);
    expect(() => target.setDeviceState(S.RUNNING)).toThrow("EINVAL");
    expect(target.deviceState()).toBe(S.RESUMING);
    // In the description of the engine's state, which lies before the last record.
    const state = good.length - 40;
    expect(writes(damaged(state - 400))).toBe(good.length);
    expect(() => target.setDeviceState(S.STOP)).toThrow("EINVAL");
    expect(writes(good)).toBe(good.length);
    target.setDeviceState(S.RUNNING);
    b.end();
  });
});
