// What QEMU and Ratite say of a migration at each of its statuses, and what they refuse meanwhile.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { dirtyProgram } from "../support/firmware-programs.ts";
import type { QmpClient, Message } from "../support/qmp-client.ts";
import { Machines, qemu, ratite, withoutQemu, type Vmm } from "../support/vmm.ts";

const machines = new Machines(dirtyProgram);

afterAll(() => machines.close());

/** An answer without its figures; what is ours alone, and where a target listens, is left out. */
function shape(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return typeof value === "string" ? value : typeof value;
  }
  const members = Object.entries(value)
    .filter(([name]) => !name.startsWith("x-") && name !== "socket-address")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, shape(member)]));
}

class Script {
  readonly told: [string, unknown][] = [];

  async ask(client: QmpClient, what: string, name: string, args?: object): Promise<void> {
    const request = { execute: name, ...(args !== undefined && { arguments: args }) };
    const reply = await client.ask(JSON.stringify(request));
    this.told.push([what, "error" in reply ? reply["error"] : shape(reply["return"])]);
  }

  /** Waits for a status and notes what there is to say then. */
  async until(client: QmpClient, status: string): Promise<void> {
    for (let i = 0; ; i++) {
      const info = (await client.execute("query-migrate")) as Message;
      if (info["status"] === status || i === 1000) {
        // Why a cancelled migration's channel was closed is QEMU's own affair.
        const { "error-desc": why, ...rest } = info;
        this.told.push([status, { ...(shape(rest) as object), saysWhy: status === "failed" && why !== undefined }]);
        return;
      }
      await sleep(20);
    }
  }
}

async function converse(vmm: Vmm, name: string): Promise<unknown> {
  const script = new Script();
  const uri = (n: number): string => `unix:${join(machines.folder, `${name}${n}`)}`;
  const target = (n: number, ...more: string[]): Promise<QmpClient> =>
    machines.start(vmm, `${name}-target${n}`, ["-incoming", n === 0 ? "defer" : uri(n), ...more]);
  const source = await machines.start(vmm, `${name}-source`);
  await script.ask(source, "nothing", "query-migrate");
  await script.ask(source, "cancel nothing", "migrate_cancel");
  for (const state of ["pre-switchover", "device", "nonsense"]) {
    await script.ask(source, `continue nothing from ${state}`, "migrate-continue", { state });
  }
  const first = await target(0);
  await script.ask(first, "a target that waits for a URI", "query-migrate");
  await first.execute("migrate-incoming", { uri: uri(0) });
  await script.ask(first, "a target that listens", "query-migrate");
  await script.ask(first, "migrate from a target", "migrate", { uri: "unix:/nowhere" });

  await source.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 20, "downtime-limit": 20 });
  await source.execute("migrate", { uri: uri(0) });
  await script.until(source, "active");
  await script.ask(source, "a second migration", "migrate", { uri: "unix:/nowhere" });
  const events = [{ capability: "events", state: true }];
  await script.ask(source, "capabilities meanwhile", "migrate-set-capabilities", { capabilities: events });
  await script.ask(source, "parameters meanwhile", "migrate-set-parameters", { "max-bandwidth": 2 ** 19 });
  await script.ask(source, "continue meanwhile", "migrate-continue", { state: "pre-switchover" });
  await script.ask(source, "cancel", "migrate_cancel");
  await script.until(source, "cancelled");
  await script.ask(source, "cancel again", "migrate_cancel");
  await script.ask(source, "after it was cancelled", "query-status");

  const pause = [{ capability: "pause-before-switchover", state: true }];
  await source.execute("migrate-set-capabilities", { capabilities: pause });
  await source.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 30, "downtime-limit": 2000 });
  await target(1);
  await source.execute("migrate", { uri: uri(1) });
  await script.until(source, "pre-switchover");
  await script.ask(source, "before the switchover", "query-status");
  await script.ask(source, "continue from elsewhere", "migrate-continue", { state: "device" });
  await script.ask(source, "cont", "cont");
  await script.ask(source, "after that", "query-status");
  await script.ask(source, "cancel", "migrate_cancel");
  await script.until(source, "cancelled");

  await target(2, "-m", "32M");
  await source.execute("migrate-set-capabilities", { capabilities: [{ capability: "return-path", state: true }] });
  await source.execute("migrate", { uri: uri(2) });
  await sleep(500);
  await source.execute("migrate-continue", { state: "pre-switchover" }).catch(() => undefined);
  await script.until(source, "failed");
  await script.ask(source, "after it failed", "query-status");

  const last = await target(3);
  await source.execute("migrate", { uri: uri(3) });
  await script.until(source, "pre-switchover");
  await source.execute("migrate-continue", { state: "pre-switchover" });
  await script.until(source, "completed");
  await script.ask(source, "after it was moved", "query-status");
  await script.ask(source, "cancel what is over", "migrate_cancel");
  await script.ask(source, "migrate what is elsewhere", "migrate", { uri: "unix:/nowhere" });
  await last.event("RESUME");
  await script.ask(last, "a target that runs", "query-migrate");
  return script.told;
}

describe.skipIf(withoutQemu !== "")(`a migration${withoutQemu}`, () => {
  test("is told of at each status as by QEMU, and the same is refused meanwhile", { timeout: 120_000 }, async () => {
    expect(await converse(ratite, "ours")).toEqual(await converse(qemu!, "theirs"));
  });
});
