import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { failSteps } from "../../iommufd/index.ts";
import { HOST_HELP, hostCommand } from "./commands.ts";

describe("ratite host", () => {
  test("an unknown verb, an unknown option and a missing program say what would do", async () => {
    await expect(hostCommand(["sow"])).rejects.toThrow("did you mean 'ratite host show'?");
    await expect(hostCommand(["show"])).rejects.toThrow("A file is missing");
    await expect(hostCommand(["exec", "--mock", "--", "true"])).rejects.toThrow("invalid option");
    await expect(hostCommand(["exec"])).rejects.toThrow("ratite host exec [FILE] [options] -- PROGRAM");
    await expect(hostCommand(["serve"])).rejects.toThrow("--socket PATH is missing");
  });

  test("--fail takes a step's name and which of them is to fail", async () => {
    const exec = (fail: string) => hostCommand(["exec", "--fail", fail, "--", "true"]);
    await expect(exec("pins:1")).rejects.toThrow(
      "no step has that name; did you mean pin? There are alloc, lookup, pin,",
    );
    await expect(exec("zebra")).rejects.toThrow("no step has that name; There are alloc, lookup, pin,");
    for (const wrong of ["pin:0", "pin:", "pin:1:2", "pin:x"]) {
      await expect(exec(wrong)).rejects.toThrow("pin, or pin:N for the Nth of them, would do");
    }
    await expect(hostCommand(["exec", "--fail"])).rejects.toThrow("requires a value");
  });

  test("the help and the page list every step that can fail", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/iommufd-host.md"), "utf8");
    for (const [name, what] of Object.entries(failSteps)) {
      expect(HOST_HELP.slice(HOST_HELP.indexOf("--fail NAME"))).toMatch(new RegExp(`\\b${name}\\b`));
      expect(page).toContain(`- \`${name}\`: ${what}\n`);
    }
    expect(Math.max(...HOST_HELP.split("\n").map((line) => line.length))).toBeLessThanOrEqual(86);
  });
});
