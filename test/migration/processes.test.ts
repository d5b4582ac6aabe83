// Two processes, driven by QMP: a guest with an assigned disk goes from one to the other, and the disk's image with it.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect, test } from "vitest";
import { QmpClient, type Message } from "../support/qmp-client.ts";

const program = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));
const elf = fileURLToPath(new URL("../fixtures/migration/guest.elf", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ratite-move-"));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true }));

const disk = join(folder, "disk.img");
const host = join(folder, "host.json");
const ABILITIES = ["stop-copy", "p2p", "pre-copy"];
writeFileSync(
  host,
  JSON.stringify({
    units: [{ id: "u0", profile: "vtd-ssads" }],
    devices: [
      { bdf: "0000:01:00.0", kind: "dma-engine", unit: "u0", group: 1, migration: ABILITIES, dmaLog: true },
      {
        ...{ bdf: "0000:02:00.0", kind: "nvme", unit: "u0", group: 2, migration: ABILITIES },
        properties: { drive: "d0", serial: "s" },
      },
    ],
  }),
);

let count = 0;
async function start(...options: string[]): Promise<{ qmp: QmpClient; text: () => string; child: ChildProcess }> {
  const name = join(folder, `vm${count++}`);
  const child = spawn(
    process.execPath,
    [
      ...[program, "-M", "virt", "-m", "16M", "-bios", "none", "-kernel", elf, "-display", "none", "-monitor", "none"],
      ...["-serial", `file:${name}.txt`, "-qmp", `unix:${name},server=on,wait=off`, "-x-dirty-oracle"],
      ...["-drive", `if=none,id=d0,format=raw,file=${disk}`, "-object", `iommufd,id=f0,host=software:${host}`],
      ...["-device", "vfio-pci,id=engine,host=01:00.0,iommufd=f0,migration-events=on"],
      ...["-device", "vfio-pci,host=02:00.0,iommufd=f0,migration-events=on", ...options],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  children.push(child);
  const qmp = await QmpClient.connect(name);
  await qmp.negotiate();
  return { qmp, text: () => readFileSync(`${name}.txt`, "utf8"), child };
}

function deviceStates(qmp: QmpClient): readonly Message[] {
  return qmp.events.filter(({ event }) => event === "VFIO_MIGRATION").map(({ data }) => data as Message);
}

function total(numbers: readonly unknown[]): number {
  return numbers.reduce<number>((sum, each) => sum + Number(each), 0);
}

async function status(qmp: QmpClient, wanted: string): Promise<Message> {
  for (let i = 0; i < 1000; i++) {
    const info = (await qmp.execute("query-migrate")) as Message;
    if (info["status"] === wanted) return info;
    if (info["status"] === "failed") throw new Error(String(info["error-desc"]));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it is not ${wanted}`);
}

async function dots(text: () => string, least: number): Promise<void> {
  for (let i = 0; i < 1000 && text().length < least; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(text()).toMatch(/^\.+$/);
}

test("it works on there, with the disk's image locked by one of them at a time, and comes back from a file", async () => {
  writeFileSync(disk, "");
  truncateSync(disk, 2 ** 20);
  const source = await start();
  await dots(source.text, 3);
  const socket = join(folder, "move");
  const target = await start("-incoming", `unix:${socket}`);
  await source.qmp.execute("migrate-set-capabilities", {
    capabilities: [{ capability: "switchover-ack", state: true }],
  });
  for (const oracle of [false, true]) {
    await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 0, "x-dirty-oracle": oracle });
    expect(await source.qmp.execute("query-migrate-parameters")).toMatchObject({ "x-dirty-oracle": oracle });
  }
  await source.qmp.execute("migrate", { uri: `unix:${socket}` });
  const info = await status(source.qmp, "completed");
  expect(info["vfio"]).toEqual({ transferred: expect.any(Number) });
  expect((info["vfio"] as { transferred: number }).transferred).toBeGreaterThan(0x8000);
  const { rounds, oracle } = (await source.qmp.execute("x-query-migration")) as Record<string, Message & Message[]>;
  expect(oracle).toMatchObject({ "missed-pages": 0, missed: [] });
  const sources = (rounds![0]!["sources"] as { name: string }[]).map(({ name }) => name);
  expect(sources).toEqual(expect.arrayContaining(["hart0", "vfio 0000:01:00.0 log"]));
  expect(total(rounds!.map((round) => round["device-bytes"]))).toBeLessThanOrEqual(
    (info["vfio"] as { transferred: number }).transferred,
  );
  // As QEMU's qapi/vfio.json has it: all fall silent before the first one stops.
  expect(deviceStates(source.qmp)).toEqual(
    ["pre-copy", "pre-copy-p2p", "stop-copy", "stop"].flatMap((state) => [
      { "device-id": "engine", "qom-path": "/machine/peripheral/engine", "device-state": state },
      { "device-id": "", "qom-path": "/machine/peripheral-anon/device[0]", "device-state": state },
    ]),
  );
  await dots(target.text, 2);
  // Here too all listen before the first one speaks. In `stop` their hosts check what they were given.
  for (const path of ["/machine/peripheral/engine", "/machine/peripheral-anon/device[0]"]) {
    const states = deviceStates(target.qmp).filter((data) => data["qom-path"] === path);
    expect(states.map((data) => data["device-state"])).toEqual(["resuming", "stop", "running-p2p", "running"]);
  }
  // The image is the target's now.
  await expect(source.qmp.execute("cont")).rejects.toThrow("Another machine has it open");
  expect(await source.qmp.execute("query-status")).toMatchObject({ status: "postmigrate" });
  const file = join(folder, "saved");
  await target.qmp.execute("migrate", { uri: `file:${file}` });
  await status(target.qmp, "completed");
  target.qmp.ask('{"execute": "quit"}').catch(() => undefined);
  await once(target.child, "exit");
  const back = await start("-incoming", `file:${file}`);
  await dots(back.text, 2);
  for (const { qmp } of [source, target, back]) qmp.close();
}, 240_000);
