import { describe, expect, test } from "vitest";
import { hostCommand } from "./commands.ts";

describe("ratite host", () => {
  test("an unknown verb, an unknown option and a missing program say what would do", async () => {
    await expect(hostCommand(["sow"])).rejects.toThrow("did you mean 'ratite host show'?");
    await expect(hostCommand(["show"])).rejects.toThrow("A file is missing");
    await expect(hostCommand(["exec", "--mock", "--", "true"])).rejects.toThrow("invalid option");
    await expect(hostCommand(["exec"])).rejects.toThrow("ratite host exec [FILE] [options] -- PROGRAM");
    await expect(hostCommand(["serve"])).rejects.toThrow("--socket PATH is missing");
  });

  test("--fail takes a step's name and which of them is to fail", async () => {
    await expect(hostCommand(["exec", "--fail", "pins:1", "--", "true"])).rejects.toThrow("one of alloc, lookup");
    await expect(hostCommand(["exec", "--fail", "pin:0", "--", "true"])).rejects.toThrow("NAME[:N]");
    await expect(hostCommand(["exec", "--fail"])).rejects.toThrow("requires a value");
  });
});
