import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execOnHost } from "../../../src/host/linux/index.ts";
import { FAIL_POINTS, SoftwareHost, type FailPoint } from "../../../src/iommufd/index.ts";
import { hasCompiler } from "./compiler.ts";

const folder = mkdtempSync(join(tmpdir(), "served-host-"));
const driver = join(folder, "driver");
const descriptors = join(folder, "descriptors");
const example = join(folder, "example");
const NOTHING = { pinnedPages: 0, accountsClear: true, openContexts: 0 };

describe.skipIf(!hasCompiler())("a program on a served host (skipped without Linux and a C compiler)", () => {
  beforeAll(() => {
    execFileSync("cc", ["-O1", "-o", driver, join(import.meta.dirname, "driver.c")]);
    execFileSync("cc", ["-O1", "-o", descriptors, join(import.meta.dirname, "descriptors.c"), "-lpthread"]);
    execFileSync("cc", ["-O1", "-o", example, join(import.meta.dirname, "../../../examples/iommufd-simple.c")]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("uses the simple API, forks, duplicates, polls and dies without leaving anything", async () => {
    const host = new SoftwareHost();
    const status = await execOnHost({ host, program: driver, arguments: [] });
    expect(status).toBe(0);
    expect(host.audit()).toEqual(NOTHING);
  });

  test.for(["threads", "closes", "passed on", "faults", "events", "regions", "killed"])(
    "descriptors live and die as with the kernel: %s",
    async (part) => {
      const host = new SoftwareHost({ kernelMock: true });
      expect(await execOnHost({ host, program: descriptors, arguments: [part] })).toBe(0);
      expect(host.audit()).toEqual(NOTHING);
    },
  );

  test("the example of a user-space driver runs, and says what it did", async () => {
    const host = new SoftwareHost();
    const script = `${example} > ${join(folder, "said")}`;
    expect(await execOnHost({ host, program: "/bin/sh", arguments: ["-c", script] })).toBe(0);
    expect(readFileSync(join(folder, "said"), "utf8")).toMatch(/^65536 bytes at 0x[1-9a-f]\w*000, chosen/m);
    expect(host.audit()).toEqual(NOTHING);
  });

  test.for([
    ["lookup", "IOMMU_IOAS_IOVA_RANGES: No such file or directory"],
    ["alloc:2", "IOMMU_IOAS_ALLOC: Cannot allocate memory"],
    ["reply:1", "IOMMU_IOAS_ALLOC: Bad address"],
  ] as const)("with --fail %s the example is told: %s", async ([failure, said]) => {
    const host = new SoftwareHost();
    const [point, nth] = failure.split(":");
    host.failNext(point as FailPoint, Number(nth ?? 1));
    const script = `${example} 2> ${join(folder, "said")}`;
    expect(await execOnHost({ host, program: "/bin/sh", arguments: ["-c", script] })).toBe(1);
    expect(readFileSync(join(folder, "said"), "utf8").trim()).toBe(said);
    expect(host.audit()).toEqual(NOTHING);
  });

  test.for(FAIL_POINTS)("with one %s step failing under it, a program ends and nothing is left", async (point) => {
    for (const part of ["faults", "events", "regions"]) {
      const host = new SoftwareHost({ kernelMock: true });
      host.failNext(point, 2);
      // It may go well: not every part takes every kind of step twice.
      await execOnHost({ host, program: "/bin/sh", arguments: ["-c", `${descriptors} ${part} > /dev/null`] });
      expect(host.audit()).toEqual(NOTHING);
    }
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
