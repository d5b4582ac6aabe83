// A third party's client: QEMU's own project's `qemu.qmp` for Python (Debian python3-qemu.qmp, `npm run reference:qmp`)
// drives machines: its asynchronous client, its older synchronous one, and its shell.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { spinProgram } from "../support/firmware-programs.ts";
import { QmpClient } from "../support/qmp-client.ts";
import { qmpPython } from "../support/reference-qmp.ts";

const program = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ratite-python-"));
const children: ChildProcess[] = [];
const spin = join(folder, "spin.bin");
writeFileSync(spin, spinProgram);
const python = qmpPython();
const reason = "missing" in python ? ` (skipped: ${python.missing})` : "";

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** A machine; the path of its monitor, which listens. */
async function start(...options: readonly string[]): Promise<string> {
  const path = join(folder, `qmp${children.length}`);
  const machine = ["-M", "virt", "-m", "64M", "-display", "none", "-serial", "null", "-bios", spin];
  children.push(
    spawn(process.execPath, [program, ...machine, "-qmp", `unix:${path},server=on,wait=off`, ...options], {
      stdio: "ignore",
    }),
  );
  (await QmpClient.connect(path)).close();
  return path;
}

/** What it prints; fails with what it says of an error. */
async function run(code: string, args: readonly string[], input = ""): Promise<string> {
  if ("missing" in python) throw new Error(python.missing);
  const running = promisify(execFile)("python3", ["-c", code, ...args], { env: python.env, timeout: 30_000 });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

const DRIVE = `
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
    for name, arguments in [("nonsense", None), ("cont", {"x": 1}), ("device_del", {"id": "r7"})]:
        try:
            await client.execute(name, arguments)
        except ExecuteError as error:
            told.append([error.error_class, str(error)])
    every = [client.execute("query-name") for _ in range(20)]
    told.append(all(each == {} for each in await asyncio.gather(*every)))
    await client.disconnect()
    print(json.dumps(told))

asyncio.run(main())
`;

const MOVE = `
import asyncio, json, sys
from qemu.qmp import EventListener, QMPClient

async def main():
    source, target = QMPClient("source"), QMPClient("target")
    await source.connect(sys.argv[1])
    await target.connect(sys.argv[2])
    events = {"capability": "events", "state": True}
    for client in (source, target):
        await client.execute("migrate-set-capabilities", {"capabilities": [events]})
    told, ends = [], {"completed", "failed"}
    with source.listener("MIGRATION") as moving, target.listener("RESUME") as resumed:
        await target.execute("migrate-incoming", {"uri": sys.argv[3]})
        await source.execute("migrate", {"uri": sys.argv[3]})
        async for event in moving:
            told.append(event["data"]["status"])
            if told[-1] in ends:
                break
        await resumed.get()
    for client in (source, target):
        told.append((await client.execute("query-status"))["status"])
        await client.execute("quit")
        await client.disconnect()
    print(json.dumps(told))

asyncio.run(main())
`;

const LEGACY = `
import json, sys
from qemu.qmp.legacy import QEMUMonitorProtocol

with QEMUMonitorProtocol(sys.argv[1]) as monitor:
    greeting = monitor.connect()
    told = [sorted(greeting["QMP"]), monitor.cmd("stop"), monitor.pull_event(wait=5.0)["event"]]
    told.append(monitor.cmd_obj({"execute": "nonsense"})["error"]["class"])
    print(json.dumps(told))
`;

const SHELL = `
import sys
from qemu.qmp import qmp_shell

sys.argv[0] = "qmp-shell"
qmp_shell.main()
`;

describe.skipIf(reason !== "")(`python's qemu.qmp${reason}`, () => {
  test("drives a machine", async () => {
    expect(JSON.parse(await run(DRIVE, [await start()]))).toEqual([
      { running: true, status: "running" },
      "STOP",
      { running: false, status: "paused" },
      "VM status: paused\r\n",
      ["CommandNotFound", "The command nonsense has not been found"],
      ["GenericError", "Parameter 'x' is unexpected"],
      ["DeviceNotFound", "Device 'r7' not found"],
      true,
    ]);
  });

  test("moves a machine to another one, following its events", async () => {
    const [source, target] = await Promise.all([start(), start("-incoming", "defer")]);
    const told: unknown = JSON.parse(await run(MOVE, [source, target, `unix:${join(folder, "move")}`]));
    expect(told).toEqual(["setup", "active", "device", "completed", "postmigrate", "running"]);
  });

  test("drives one with its older, synchronous client", async () => {
    const told: unknown = JSON.parse(await run(LEGACY, [await start()]));
    expect(told).toEqual([["capabilities", "version"], {}, "STOP", "CommandNotFound"]);
  });

  test("its shell sends commands and shows what came of them", async () => {
    const lines = ["query-status", "stop", "migrate-set-parameters max-bandwidth=1000", "nonsense", "quit"];
    const shown = await run(SHELL, [await start()], `${lines.join("\n")}\n`);
    const replies = shown.split("\n").flatMap((line) => /(\{".*\})$/.exec(line)?.[1] ?? []);
    expect(replies.map((reply) => JSON.parse(reply) as unknown)).toEqual([
      { return: { running: true, status: "running" } },
      { return: {} },
      { return: {} },
      { error: { class: "CommandNotFound", desc: "The command nonsense has not been found" } },
      { return: {} },
    ]);
  });
});
