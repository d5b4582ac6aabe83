// One script of plain QMP that moves a guest, for two QEMUs and for two Ratites: the same commands, answers and events.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import type { QmpClient, Message } from "../support/qmp-client.ts";
import { Machines, qemu, ratite, withoutQemu, type Vmm } from "../support/vmm.ts";

const machines = new Machines();

afterAll(() => machines.close());

async function until(client: QmpClient, status: string): Promise<Message> {
  for (let i = 0; i < 500; i++) {
    const info = (await client.execute("query-migrate")) as Message;
    if (info["status"] === status) return info;
    if (info["status"] === "failed") throw new Error(String(info["error-desc"]));
    await sleep(20);
  }
  throw new Error(`the migration never was "${status}"`);
}

const told = ({ events }: QmpClient): unknown[] =>
  events.map(({ event, data }) => (data === undefined ? event : [event, data]));

/** The script. Nothing in it knows which of the two it speaks to. */
async function move(vmm: Vmm, name: string): Promise<Message> {
  const socket = join(machines.folder, `${name}.move`);
  const source = await machines.start(vmm, `${name}-source`);
  const target = await machines.start(vmm, `${name}-target`, ["-incoming", "defer"]);
  const states = [await source.execute("query-status"), await target.execute("query-status")];
  const capabilities = ["events", "pause-before-switchover"].map((capability) => ({ capability, state: true }));
  await source.execute("migrate-set-capabilities", { capabilities });
  await target.execute("migrate-set-capabilities", { capabilities: capabilities.slice(0, 1) });
  await source.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 30, "downtime-limit": 200 });
  await target.execute("migrate-incoming", { uri: `unix:${socket}` });
  await source.execute("migrate", { uri: `unix:${socket}` });
  await until(source, "pre-switchover");
  await source.execute("migrate-continue", { state: "pre-switchover" });
  const { ram } = (await until(source, "completed")) as { ram: Message };
  await target.event("RESUME");
  states.push(await source.execute("query-status"), await target.execute("query-status"));
  const errors = [
    await source.ask('{"execute": "migrate-continue", "arguments": {"state": "pre-switchover"}}'),
    await target.ask('{"execute": "migrate-incoming", "arguments": {"uri": "unix:/x"}}'),
  ].map((reply) => (reply["error"] as Message)["class"]);
  await target.execute("stop");
  await target.execute("quit");
  await source.execute("quit");
  const passes = source.events.filter(({ event }) => event === "MIGRATION_PASS").length;
  return {
    states,
    errors,
    hasPasses: passes > 0,
    pageSize: ram["page-size"],
    hasSent: Number(ram["transferred"]) > 0,
    source: told(source).filter((event) => !Array.isArray(event) || event[0] !== "MIGRATION_PASS"),
    target: told(target),
  };
}

/** What becomes of a guest whose target was told something while it waited. */
async function moveTo(
  vmm: Vmm,
  name: string,
  options: readonly string[],
  command: "cont" | "stop",
): Promise<readonly unknown[]> {
  const socket = join(machines.folder, `${name}.move`);
  const source = await machines.start(vmm, `${name}-source`);
  const target = await machines.start(vmm, `${name}-target`, ["-incoming", "defer", ...options]);
  const answer = await target.execute(command);
  const waiting = await target.execute("query-status");
  await target.execute("migrate-incoming", { uri: `unix:${socket}` });
  await source.execute("migrate", { uri: `unix:${socket}` });
  await until(source, "completed");
  for (let i = 0; i < 500; i++) {
    const { status } = (await target.execute("query-status")) as Message;
    if (status !== "inmigrate") break;
    await sleep(20);
  }
  const arrived = await target.execute("query-status");
  await target.execute("quit");
  await source.execute("quit");
  return [answer, waiting, arrived, told(target)];
}

describe.skipIf(withoutQemu !== "")(`a script that moves a guest${withoutQemu}`, () => {
  test("gets the same answers and events from two Ratites as from two QEMUs", { timeout: 60_000 }, async () => {
    expect(await move(ratite, "ours")).toEqual(await move(qemu!, "theirs"));
  });

  test.each([
    ["cont", ["-S"]],
    ["stop", []],
  ] as const)("to a target that waits, and hears `%s`, likewise", { timeout: 60_000 }, async (command, options) => {
    expect(await moveTo(ratite, `ours-${command}`, options, command)).toEqual(
      await moveTo(qemu!, `theirs-${command}`, options, command),
    );
  });
});
