// A third party's client: the Python project's qemu.qmp (Debian python3-qemu.qmp, PyPI qemu.qmp) drives a machine.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { spinProgram } from "../support/firmware-programs.ts";
import { QmpClient } from "../support/qmp-client.ts";

const program = fileURLToPath(new URL("../../dist/cli/ratite-system-riscv64.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ratite-python-"));
let machine: ChildProcess | undefined;

afterAll(() => {
  machine?.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

function hasClient(): boolean {
  try {
    execFileSync("python3", ["-c", "import qemu.qmp"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const SCRIPT = `
import asyncio, json, sys
from qemu.qmp import ExecuteError, QMPClient

async def main():
    client = QMPClient("ratite")
    await client.connect(sys.argv[1])
    told = [await client.execute("query-status")]
    await client.execute("stop")
    told.append((await client.events.get())["event"])
    told.append(await client.execute("query-status"))
    told.append(await client.execute("human-monitor-command", {"command-line": "info status"}))
    try:
        await client.execute("nonsense")
    except ExecuteError as error:
        told.append(error.error.class_)
    await client.disconnect()
    print(json.dumps(told))

asyncio.run(main())
`;

const reason = hasClient() ? "" : " (skipped: python3 has no module qemu.qmp)";

test.skipIf(reason !== "")(`python's qemu.qmp drives a machine${reason}`, async () => {
  const path = join(folder, "qmp");
  const spin = join(folder, "spin.bin");
  writeFileSync(spin, spinProgram);
  const options = ["-M", "virt", "-display", "none", "-serial", "null", "-bios", spin];
  machine = spawn(process.execPath, [program, ...options, "-qmp", `unix:${path},server=on,wait=off`]);
  (await QmpClient.connect(path)).close();
  const told: unknown = JSON.parse(execFileSync("python3", ["-c", SCRIPT, path], { encoding: "utf8" }));
  expect(told).toEqual([
    { running: true, status: "running" },
    "STOP",
    { running: false, status: "paused" },
    "VM status: paused\r\n",
    "CommandNotFound",
  ]);
});
