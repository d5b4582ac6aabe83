// One conversation with QEMU and with Ratite: what a client sees must be the same.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { spinProgram } from "../support/firmware-programs.ts";
import { QmpClient, type Message } from "../support/qmp-client.ts";
import { has } from "../support/tools.ts";

const program = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ratite-qmp-"));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});
const spin = join(folder, "spin.bin");
writeFileSync(spin, spinProgram);

const COMMANDS = {
  Ratite: [process.execPath, program],
  QEMU: ["qemu-system-riscv64"],
} as const;
let sockets = 0;

function start(which: keyof typeof COMMANDS, ...options: readonly string[]): { child: ChildProcess; path: string } {
  const path = join(folder, `qmp${sockets++}`);
  const [command, ...first] = COMMANDS[which];
  const line = ["-M", "virt", "-display", "none", "-serial", "null", "-bios", spin, "-no-user-config", ...options];
  const child = spawn(command!, [...first, ...line, "-qmp", `unix:${path},server=on,wait=off`], { stdio: "ignore" });
  children.push(child);
  return { child, path };
}

const SCRIPT = [
  '{"execute": "query-status"}',
  '{"execute": "qmp_capabilities", "arguments": {"enable": 3}}',
  '{"execute": "qmp_capabilities", "id": [1, {"a": 2}]}',
  '{"execute": "qmp_capabilities"}',
  '{"execute": "query-status", "id": 9007199254740993}',
  "{'execute': 'query-name'}",
  '{"execute": "query-uuid"}',
  '{"execute": "query-target"}',
  '{"execute": "cont"}',
  '{"execute": "query-status"}',
  '{"execute": "stop"}',
  '{"execute": "query-status"}',
  '{"execute": "stop", "arguments": {"x": 1}}',
  '{"execute": "nonsense"}',
  '{"execute": 7}',
  '{"exec": "stop"}',
  '{"arguments": {}}',
  "[]",
  "{'a' 1}",
  '{"execute": "stop"]}',
  "{'execute': maybe}",
  "@@\n",
  '{"execute": "system_reset", "id": null}',
  '{"execute": "query-kvm", "id": "last"}',
];

/** The replies to the script, ids and all, without what is bound to differ. */
async function converse(which: keyof typeof COMMANDS): Promise<{ replies: Message[]; events: unknown[] }> {
  const { child, path } = start(which, "-S", "-name", "box");
  const client = await QmpClient.connect(path);
  const replies: Message[] = [];
  // Garbage may have several answers, so that the end is known by its id.
  let reply = await client.ask(SCRIPT.join(""));
  for (; reply["id"] !== "last"; reply = await client.ask("")) replies.push(reply);
  replies.push(reply);
  const exited = once(child, "exit");
  expect(await client.execute("quit")).toEqual({});
  expect((await exited)[0]).toBe(0);
  const events = client.events.map(({ event, data }) => ({ event, data }));
  client.close();
  return { replies, events };
}

/** `query-status` had `singlestep` until QEMU 9.0. */
function asSince9(reply: Message): Message {
  const { singlestep: _, ...value } = (reply["return"] ?? {}) as Message;
  return "return" in reply && !Array.isArray(reply["return"]) ? { ...reply, return: value } : reply;
}

test.skipIf(!has("qemu-system-riscv64"))("a script gets QEMU's answers and events", async () => {
  const [ours, theirs] = await Promise.all([converse("Ratite"), converse("QEMU")]);
  expect(ours.replies).toEqual(theirs.replies.map(asSince9));
  expect(ours.events).toEqual(theirs.events);
});

describe("a monitor", () => {
  test("serves one peer after the other", async () => {
    const { path } = start("Ratite");
    const first = await QmpClient.connect(path);
    await first.negotiate();
    expect(await first.execute("query-status")).toEqual({ running: true, status: "running" });
    first.close();
    const second = await QmpClient.connect(path);
    expect(await second.ask('{"execute": "query-status"}')).toMatchObject({ error: { class: "CommandNotFound" } });
    await second.negotiate();
    await second.execute("quit");
    second.close();
  });

  test("sees a signal's end", async () => {
    const { child, path } = start("Ratite");
    const client = await QmpClient.connect(path);
    await client.negotiate();
    child.kill("SIGTERM");
    expect(await client.event("SHUTDOWN")).toMatchObject({ data: { guest: false, reason: "host-signal" } });
  });
});
