// `npm run bench:migrate`: a guest moved over a loopback TCP connection, by Ratite and by QEMU 10 or newer: total time, downtime
// and bytes for a guest that waits, one whose hart writes 4000 pages a second, and one that reads 8 MiB a second from a virtio
// disk; and how much of a plain copy over such a connection our RAM throughput is.
//
//     npm run bench:migrate -- --rounds 5 --accel interpreter
//
// The two take turns move for move; each figure is a median of rounds, each ratio a median of the ratios of one round. Times
// are those that the source tells: QEMU's downtime ends when its source has sent everything, ours when the target runs.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { QmpClient } from "../test/support/qmp-client.ts";
import { referenceQemu } from "../test/support/reference-qemu.ts";
import { ratite } from "./support/emulators.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";
import { buildMovedGuest } from "./support/guest-build.ts";

const FILL_MIB = 128;
const MEMORY = "256M";
const DISK_BYTES = 32 * 2 ** 20;
const SETTLE_MS = 500;
const LOADS = ["idle", "hart writes", "disk reads"] as const;

const SINK = `require("net").createServer((s) => { let n = 0; s.on("data", (d) => { n += d.length; });
  s.on("end", () => s.end(String(n))); }).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, accel: { type: "string", default: "interpreter" } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: a whole number from 1 up`);

interface Vmm {
  readonly name: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

interface Figures {
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly bytes: number;
}

const folder = mkdtempSync(join(tmpdir(), "ratite-bench-"));
const children: ChildProcess[] = [];
const disk = join(folder, "disk.img");
try {
  await run();
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const reference = await referenceQemu();
  if ("missing" in reference) throw new Error(reference.missing);
  const { program, options, version } = ratite({ accelerator: values.accel });
  const ours: Vmm = { name: "Ratite", version, command: [program, ...options], env: process.env };
  const legacy = ["-global", "virtio-mmio.force-legacy=false"];
  const theirs: Vmm = {
    name: "QEMU",
    version: `QEMU ${reference.version}`,
    command: [...reference.command, ...legacy],
    env: reference.env,
  };
  console.log(`${ours.version}; ${theirs.version}\n${circumstances()}\n`);
  writeFileSync(disk, randomBytes(DISK_BYTES));
  const guests = LOADS.map((_, load) => {
    const path = join(folder, `guest${load}.elf`);
    writeFileSync(path, buildMovedGuest(load, FILL_MIB));
    return path;
  });
  const rows: string[][] = [];
  const copyRatios: number[] = [];
  for (const [load, name] of LOADS.entries()) {
    const pairs: { own: Figures; other: Figures }[] = [];
    for (let i = 0; i < rounds; i++) {
      const own = await move(ours, guests[load]!, load === 2);
      const other = await move(theirs, guests[load]!, load === 2);
      pairs.push({ own, other });
      if (load === 0) copyRatios.push(own.bytes / own.totalMs / (await plainCopy(own.bytes)));
    }
    const cell = (of: (figures: Figures) => number): [string, string, string] => [
      median(pairs.map(({ own }) => of(own))).toFixed(0),
      median(pairs.map(({ other }) => of(other))).toFixed(0),
      ratioText(pairs.map(({ own, other }) => of(own) / Math.max(of(other), 1))),
    ];
    rows.push([name, "total ms", ...cell(({ totalMs }) => totalMs)]);
    rows.push([name, "downtime ms", ...cell(({ downtimeMs }) => downtimeMs)]);
    rows.push([name, "MiB", ...cell(({ bytes }) => bytes / 2 ** 20)]);
  }
  printTable(["guest", "figure", "Ratite", "QEMU", "ratio"], rows);
  console.log(`\nRAM throughput of the idle guest against a plain copy of as many bytes: ${ratioText(copyRatios)}`);
}

async function start(vmm: Vmm, guest: string, more: readonly string[]): Promise<QmpClient> {
  const [file, ...first] = vmm.command;
  const path = join(folder, `${children.length}.qmp`);
  const machine = ["-M", "virt", "-m", MEMORY, "-display", "none", "-bios", "none", "-kernel", guest, "-nic", "none"];
  const monitor = ["-qmp", `unix:${path},server=on,wait=off`];
  const options = [...first, ...machine, ...monitor, ...more];
  children.push(spawn(file!, options, { stdio: "ignore", env: vmm.env }));
  const client = await QmpClient.connect(path);
  await client.negotiate();
  return client;
}

async function move(vmm: Vmm, guest: string, hasDisk: boolean): Promise<Figures> {
  const console = join(folder, `${children.length}.console`);
  const drive = ["-drive", `file=${disk},format=raw,if=none,id=d0`, "-device", "virtio-blk-device,drive=d0"];
  const devices = hasDisk ? drive : [];
  const source = await start(vmm, guest, ["-serial", `file:${console}`, ...devices]);
  for (let i = 0; !(existsSync(console) && readFileSync(console, "latin1").includes("R")); i++) {
    if (i > 2000) throw new Error(`${vmm.name}: the guest never said that it is ready`);
    await sleep(50);
  }
  const target = await start(vmm, guest, ["-serial", "null", "-incoming", "defer", ...devices]);
  const port = await freePort();
  await target.execute("migrate-incoming", { uri: `tcp:127.0.0.1:${port}` });
  await source.execute("migrate-set-parameters", { "max-bandwidth": 16 * 2 ** 30, "downtime-limit": 300 });
  await sleep(SETTLE_MS);
  await source.execute("migrate", { uri: `tcp:127.0.0.1:${port}` });
  const figures = await ended(vmm, source);
  await target.event("RESUME");
  for (const client of [target, source]) await client.execute("quit");
  return figures;
}

async function ended(vmm: Vmm, source: QmpClient): Promise<Figures> {
  for (let i = 0; i < 3000; i++) {
    const info = (await source.execute("query-migrate")) as Record<string, unknown>;
    if (info["status"] === "failed") throw new Error(`${vmm.name}: ${String(info["error-desc"])}`);
    if (info["status"] === "completed") {
      const ram = info["ram"] as Record<string, number>;
      return {
        totalMs: Number(info["total-time"]),
        downtimeMs: Number(info["downtime"]),
        bytes: ram["transferred"]!,
      };
    }
    await sleep(20);
  }
  throw new Error(`${vmm.name}: the migration did not come to its end`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Bytes a millisecond from this process to another one's socket, in pieces as large as those of a migration. */
async function plainCopy(bytes: number): Promise<number> {
  const child = spawn(process.execPath, ["-e", SINK], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const port = Number(await new Promise((resolve) => child.stdout.once("data", (text) => resolve(String(text)))));
  const piece = randomBytes(2 ** 18);
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const startMs = performance.now();
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  const whole = new Promise((resolve) => socket.once("data", resolve));
  socket.end();
  await whole;
  const ms = performance.now() - startMs;
  child.kill();
  return bytes / ms;
}
