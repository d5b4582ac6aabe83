import { describe, expect, test } from "vitest";
import { dirtyTrackerContract, inlineTracker, type TrackerUnderTest, WorldPlan } from "./index.ts";

function inlineMember(): TrackerUnderTest {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", 16 * 4096);
  const { notes } = plan.create();
  const writer = notes.source("writer");
  return {
    tracker: inlineTracker(notes, "contract"),
    firstPage: ram.offset / 4096,
    write: (page) => notes.noteWrite(writer, page * 4096, 8),
    exact: true,
  };
}

describe("the inline tracker", () => {
  test.each(dirtyTrackerContract)("$claim", ({ check }) => {
    expect(() => check(inlineMember())).not.toThrow();
  });
});

describe("the tracker contract", () => {
  test("notices a tracker that misses writes", () => {
    const blind = { kind: "blind", start(): void {}, read(): void {}, stop(): void {} };
    const failures = dirtyTrackerContract.filter(({ check }) => {
      try {
        check({ ...inlineMember(), tracker: blind });
        return false;
      } catch {
        return true;
      }
    });
    expect(failures.map(({ claim }) => claim)).toContain("a page written after start is reported");
  });
});
