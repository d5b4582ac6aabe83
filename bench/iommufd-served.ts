// `npm run bench:iommufd`: round trip of an ioctl from an unmodified C program. Bar: median at most 60 us.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOnHost } from "../src/host/linux/index.ts";
import { SoftwareHost } from "../src/iommufd/index.ts";

const folder = mkdtempSync(join(tmpdir(), "served-"));
const driver = join(folder, "driver");
execFileSync("cc", ["-O2", "-o", driver, join(import.meta.dirname, "../test/interop/iommufd-host/driver.c")]);
process.exitCode = await execOnHost({ host: new SoftwareHost(), program: driver, arguments: ["latency"] });
rmSync(folder, { recursive: true });
