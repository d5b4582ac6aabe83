import { expect, test } from "vitest";
import { packing } from "./packing.ts";

test("bytes come back as they were", async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at >>> 8) & 0xff);
  const packed = await packing.pack(bytes);
  expect(packed.length).toBeLessThan(5000);
  expect(Buffer.from(packing.unpack(packed, 100_000)!).equals(bytes)).toBe(true);
});

test("what comes to more bytes, was cut or was never packed is nothing", async () => {
  const packed = await packing.pack(new Uint8Array(2 ** 20));
  expect(packing.unpack(packed, 2 ** 20 - 1)).toBeUndefined();
  expect(packing.unpack(packed.subarray(0, -1), 2 ** 20)).toBeUndefined();
  expect(packing.unpack(Uint8Array.of(1, 2, 3), 2 ** 20)).toBeUndefined();
  expect(packing.unpack(new Uint8Array(0), 2 ** 20)).toBeUndefined();
});
