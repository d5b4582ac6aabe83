import { describe, expect, test } from "vitest";
import { MemoryError, MAX_EPOCHS, MAX_RAM_BYTES, WorldPlan } from "./index.ts";

const MiB = 2 ** 20;

function memoryError(act: () => unknown): MemoryError {
  try {
    act();
  } catch (error) {
    if (error instanceof MemoryError) return error;
  }
  throw new Error("no MemoryError was thrown");
}

describe("a planned world", () => {
  test("gives each reservation its own aligned, zeroed bytes, never at offset 0", () => {
    const plan = new WorldPlan();
    const a = plan.reserve("a", 100, 64);
    const b = plan.reserve("b", 100, 4096);
    const world = plan.create();
    expect(a).toBeGreaterThan(0);
    expect([a % 64, b % 4096]).toEqual([0, 0]);
    expect(b).toBeGreaterThanOrEqual(a + 100);
    expect(world.u8.subarray(b, b + 100).every((byte) => byte === 0)).toBe(true);
  });

  test("places RAM blocks page aligned, one behind the other", () => {
    const plan = new WorldPlan();
    plan.reserve("state", 10);
    const ram = plan.ram("ram", 3 * 4096);
    const rom = plan.ram("rom", 4096, { readOnly: true });
    const world = plan.create();
    expect(ram.offset % 4096).toBe(0);
    expect(rom.offset).toBe(ram.offset + 3 * 4096);
    expect([ram.readOnly, rom.readOnly]).toEqual([false, true]);
    expect(world.blocks).toEqual([ram, rom]);
  });

  test("shows a block's bytes at the block's offset of the memory", () => {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", 4096);
    const world = plan.create();
    ram.bytes[5] = 0x5a;
    expect(world.view.getUint8(ram.offset + 5)).toBe(0x5a);
    expect(ram.bytes.length).toBe(4096);
  });

  test("is shared on Node and cannot grow", () => {
    const plan = new WorldPlan();
    plan.ram("ram", MiB);
    const world = plan.create();
    expect(world.shared).toBe(true);
    expect(world.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(() => world.memory.grow(1)).toThrow(RangeError);
  });

  test("is unshared when asked", () => {
    const plan = new WorldPlan();
    plan.ram("ram", MiB);
    const world = plan.create({ shared: false });
    expect(world.memory.buffer).toBeInstanceOf(ArrayBuffer);
    expect(() => world.memory.grow(1)).toThrow(RangeError);
  });

  test("holds the largest guest memory beside a hundred MiB of its own structures", () => {
    const plan = new WorldPlan();
    plan.reserve("caches", 100 * MiB);
    const ram = plan.ram("ram", MAX_RAM_BYTES);
    const world = plan.create();
    const last = ram.offset + MAX_RAM_BYTES - 1;
    world.u8[last] = 1;
    const epoch = world.notes.openEpoch("migration");
    world.notes.noteWrite(world.notes.source("dma"), last, 1);
    expect(epoch.read().pages.toArray()).toEqual([last >>> 12]);
  });

  test("refuses more guest memory than the limit, and names it", () => {
    const plan = new WorldPlan();
    plan.ram("first", MAX_RAM_BYTES);
    const error = memoryError(() => plan.ram("second", 4096));
    expect([error.code, error.subject]).toEqual(["tooMuchRam", "second"]);
    expect(error.message).toBe('Memory "second" brings guest memory to 3585 MiB; a machine can have at most 3584 MiB');
  });

  test.each([0, -4096, 4095, 4097, 0.5, Number.NaN])("refuses a block of %s bytes", (lengthBytes) => {
    expect(memoryError(() => new WorldPlan().ram("ram", lengthBytes)).code).toBe("badLength");
  });

  test("refuses structures that do not fit beside guest memory", () => {
    const plan = new WorldPlan();
    plan.ram("ram", MAX_RAM_BYTES);
    expect(memoryError(() => plan.reserve("caches", 600 * MiB)).code).toBe("worldFull");
  });

  test("closes every backend when one cannot give its bytes", () => {
    const plan = new WorldPlan();
    const closed: string[] = [];
    const backend = (name: string, fails: boolean) => ({
      kind: name,
      attach(): void {
        if (fails) throw new Error("no storage");
      },
      discard(): void {},
      close(): void {
        closed.push(name);
      },
    });
    plan.ram("a", 4096, { backend: backend("a", false) });
    plan.ram("b", 4096, { backend: backend("b", true) });
    expect(() => plan.create()).toThrow("no storage");
    expect(closed).toEqual(["a", "b"]);
  });

  test("keeps its page flags apart from guest memory", () => {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", 16 * 4096);
    const { notes, lengthBytes } = plan.create();
    expect(notes.flagsOffset).toBeGreaterThanOrEqual(ram.offset + 16 * 4096);
    expect(notes.flagsOffset + notes.pageCount + MAX_EPOCHS * 4).toBeLessThanOrEqual(lengthBytes);
  });
});
