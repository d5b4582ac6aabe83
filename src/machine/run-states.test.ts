import { describe, expect, test } from "vitest";
import type { RunState } from "./port.ts";
import { RunStates, mayFollow, needsReset } from "./run-states.ts";

const all: readonly RunState[] = [
  "prelaunch",
  "running",
  "paused",
  "inmigrate",
  "finish-migrate",
  "postmigrate",
  "shutdown",
  "internal-error",
  "guest-panicked",
];

describe("run states", () => {
  test("a machine begins in prelaunch", () => {
    expect(new RunStates(() => undefined).current).toBe("prelaunch");
  });

  test("each change is told once, staying is not a change", () => {
    const seen: RunState[] = [];
    const states = new RunStates((state) => seen.push(state));
    states.to("running");
    states.to("running");
    states.to("paused");
    expect(seen).toEqual(["running", "paused"]);
  });

  test("a guest that has shut down cannot run on without a reset", () => {
    expect(all.filter((next) => mayFollow("shutdown", next))).not.toContain("running");
    expect(needsReset("shutdown")).toBe(true);
  });

  test("a panicked guest may be continued, as in QEMU", () => {
    expect(mayFollow("guest-panicked", "running")).toBe(true);
  });

  test("only a running machine shuts down", () => {
    expect(all.filter((from) => mayFollow(from, "shutdown"))).toEqual(["running"]);
  });

  test("an illegal change is our own mistake and stops the machine", () => {
    const states = new RunStates(() => undefined);
    expect(() => states.to("shutdown")).toThrow("a run state follows one that allows it (prelaunch, shutdown)");
  });
});
