// Harts held to a rate at which they may write: measured from outside, over QMP.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dirtyProgram } from "../support/firmware-programs.ts";
import type { QmpClient, Message } from "../support/qmp-client.ts";
import { Machines, ratite } from "../support/vmm.ts";

const machines = new Machines(dirtyProgram);
let qmp: QmpClient;

const start = (name: string, ...more: readonly string[]): Promise<QmpClient> =>
  machines.start(ratite, name, ["-m", "32M", ...more]);

beforeAll(async () => {
  qmp = await start("source");
}, 60_000);

afterAll(() => machines.close());

/** MiB a second that the machine writes, over a second. */
async function dirtyRate(): Promise<number> {
  await qmp.execute("calc-dirty-rate", { "calc-time": 1, mode: "dirty-bitmap" });
  for (;;) {
    const info = (await qmp.execute("query-dirty-rate")) as Message;
    if (info["status"] === "measured") return info["dirty-rate"] as number;
    await sleep(50);
  }
}

const info = async (): Promise<Message> => (await qmp.execute("query-migrate")) as Message;

async function until(wanted: string): Promise<Message> {
  for (let i = 0; i < 600; i++) {
    const now = await info();
    if (now["status"] === wanted) return now;
    await sleep(50);
  }
  throw new Error(`The migration never was ${wanted}: ${JSON.stringify(await info())}`);
}

/** What is measured, again and again while it is not near what is wanted: a busy host lets a machine do less. */
async function near(wanted: number, measure: () => Promise<number>): Promise<number> {
  for (let i = 0; ; i++) {
    const rate = await measure();
    if (i === 20 || Math.abs(rate - wanted) <= wanted * 0.3) return rate;
  }
}

test.each([4, 8])(
  "a hart that writes as fast as it can is held to %s MiB a second",
  { timeout: 60_000 },
  async (limit) => {
    await qmp.execute("set-vcpu-dirty-limit", { "dirty-rate": limit });
    await sleep(300);
    const within = { low: limit * 0.7, high: limit * 1.3 };
    const rate = await near(limit, dirtyRate);
    expect(rate).toBeGreaterThanOrEqual(within.low);
    expect(rate).toBeLessThanOrEqual(within.high);
    const told = await near(limit, async () => {
      await sleep(100);
      const [first] = (await qmp.execute("query-vcpu-dirty-limit")) as Message[];
      expect(first).toMatchObject({ "cpu-index": 0, "limit-rate": limit });
      return first!["current-rate"] as number;
    });
    expect(told).toBeGreaterThanOrEqual(within.low);
    expect(told).toBeLessThanOrEqual(within.high);
  },
);

test("it is at full speed when the limit is taken back", async () => {
  await qmp.execute("cancel-vcpu-dirty-limit");
  expect(await qmp.execute("query-vcpu-dirty-limit")).toEqual([]);
  // It writes to 16 MiB, and to all of them in a second.
  expect(await dirtyRate()).toBeGreaterThan(12);
}, 30_000);

test("a migration that would never end does with the capability dirty-limit", { timeout: 60_000 }, async () => {
  await qmp.execute("migrate-set-parameters", {
    "max-bandwidth": 48 * 2 ** 20,
    "vcpu-dirty-limit": 2,
    "downtime-limit": 100,
  });
  const target = await start("target", "-incoming", "defer");
  await target.execute("migrate-incoming", { uri: `unix:${join(machines.folder, "first")}` });
  await qmp.execute("migrate", { uri: `unix:${join(machines.folder, "first")}` });
  for (let passes = 0; passes < 2; await sleep(100)) {
    passes = Number(((await info())["ram"] as Message | undefined)?.["dirty-sync-count"] ?? 0);
  }
  expect(await info()).toMatchObject({ status: "active" });
  await qmp.execute("migrate_cancel");
  await until("cancelled");

  const capabilities = [{ capability: "dirty-limit", state: true }];
  await qmp.execute("migrate-set-capabilities", { capabilities });
  const second = await start("second", "-incoming", `unix:${join(machines.folder, "second")}`);
  await qmp.execute("migrate", { uri: `unix:${join(machines.folder, "second")}` });
  const { downtime } = await until("completed");
  expect(downtime).toBeLessThan(2000);
  await second.event("RESUME");
});
