import { describe, expect, test } from "vitest";
import { anonymousRam, ramBackendContract, type RamBackendUnderTest, WorldPlan } from "./index.ts";

function anonymousMember(preallocated: boolean): RamBackendUnderTest {
  const plan = new WorldPlan();
  const backend = anonymousRam({ preallocated });
  const block = plan.ram("ram", 8 * 4096, { backend });
  plan.create();
  return { backend, block };
}

describe.each([false, true])("anonymous RAM, preallocated %s", (preallocated) => {
  test.each(ramBackendContract)("$claim", ({ check }) => {
    expect(() => check(anonymousMember(preallocated))).not.toThrow();
  });

  test("serves one block only", () => {
    const backend = anonymousRam({ preallocated });
    backend.attach(new Uint8Array(4096));
    expect(() => backend.attach(new Uint8Array(4096))).toThrow("a RAM backend serves one block");
  });
});

test("a block cannot be used before its world is made", () => {
  const ram = new WorldPlan().ram("ram", 4096);
  expect(() => ram.offset).toThrow("the world of a RAM block is made before the block is used");
  expect(() => ram.bytes).toThrow("the world of a RAM block is made before the block is used");
});
