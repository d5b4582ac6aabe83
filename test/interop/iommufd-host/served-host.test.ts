import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execOnHost } from "../../../src/host/linux/index.ts";
import { SoftwareHost } from "../../../src/iommufd/index.ts";
import { hasCompiler } from "./compiler.ts";

const folder = mkdtempSync(join(tmpdir(), "served-host-"));
const driver = join(folder, "driver");

describe.skipIf(!hasCompiler())("a program on a served host (skipped without Linux and a C compiler)", () => {
  beforeAll(() => {
    execFileSync("cc", ["-O1", "-o", driver, join(import.meta.dirname, "driver.c")]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("uses the simple API, forks, duplicates, polls and dies without leaving anything", async () => {
    const host = new SoftwareHost();
    const status = await execOnHost({ host, program: driver, arguments: [] });
    expect(status).toBe(0);
    expect(host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
  });

  test("the program's exit status is passed on", async () => {
    const host = new SoftwareHost();
    expect(await execOnHost({ host, program: "/bin/sh", arguments: ["-c", "exit 7"] })).toBe(7);
  });

  test("a program that does not exist is named", async () => {
    const run = execOnHost({ host: new SoftwareHost(), program: join(folder, "nothing"), arguments: [] });
    await expect(run).rejects.toThrow("cannot be started");
  });
});
