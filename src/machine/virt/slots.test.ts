import { describe, expect, test } from "vitest";
import { Slots } from "./slots.ts";

const blk = { driver: "virtio-blk-device", properties: {} };

describe("virtio-mmio slots", () => {
  test("are given from the highest down", () => {
    const slots = new Slots();
    expect([slots.take(blk), slots.take(blk)]).toEqual([7, 6]);
  });

  test("can be chosen by bus, and what is chosen is not given again", () => {
    const slots = new Slots();
    expect(slots.take({ ...blk, properties: { bus: "virtio-mmio-bus.7" } })).toBe(7);
    expect(slots.take(blk)).toBe(6);
    expect(() => slots.take({ ...blk, properties: { bus: "virtio-mmio-bus.6" } })).toThrow("has a device already");
  });

  test("end after the eighth", () => {
    const slots = new Slots();
    for (let i = 0; i < 8; i++) slots.take(blk);
    expect(() => slots.take(blk)).toThrow('No virtio-mmio slot is left for "virtio-blk-device"; the board has 8');
  });

  test("of another bus do not exist", () => {
    for (const bus of ["pcie.0", "virtio-mmio-bus.8", "virtio-mmio-bus.70"]) {
      expect(() => new Slots().take({ ...blk, properties: { bus } })).toThrow(`There is no bus "${bus}"`);
    }
  });
});
