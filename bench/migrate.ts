// `npm run bench:migrate`: a guest moved over a loopback TCP connection, by Ratite and by QEMU 10 or newer: total time, downtime
// and bytes for a guest that waits, one whose hart writes 4000 pages a second, and one that reads 8 MiB a second from a virtio
// disk, and for ours alone from an assigned NVMe disk; how much of a plain copy over such a connection our RAM throughput is;
// and what it costs a hart that writes to pages as fast as it can when somebody asks every second which pages it wrote.
//
//     npm run bench:migrate -- --rounds 5 --accel interpreter --loads idle,tracking
//     npm run bench:migrate -- --channel unix        in place of TCP; the plain copies stay with that
//
// The two take turns move for move; each figure is a median of rounds, each ratio a median of the ratios of one round. Total
// time and downtime are what the source tells, with a return path, which ours always has: then QEMU's downtime, too, ends when
// the target runs and has said so (`migration_completion`). Without one it ends when everything has been sent, whatever the
// target still has to do. What events tell is "seen", from the command to the target's RESUME, and "outage", from the source's
// STOP to the target's RESUME.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { QmpClient, type Message } from "../test/support/qmp-client.ts";
import { referenceQemu } from "../test/support/reference-qemu.ts";
import { ratite } from "./support/emulators.ts";
import { circumstances, median, printTable, ratioText } from "./support/figures.ts";
import { buildMovedGuest } from "./support/guest-build.ts";
import { processCpuMs } from "./support/processes.ts";

const FILL_MIB = 128;
const MEMORY = "256M";
const DISK_BYTES = 32 * 2 ** 20;
const SETTLE_MS = 500;
const LOADS = ["idle", "hart writes", "disk reads", "assigned NVMe reads"] as const;
/** The guest's number of what is no move. */
const TRACKING = 4;
const TRACKING_WINDOW_MS = 1000;
/** Windows of one round: many short ones, as machines are noisy. */
const TRACKING_WINDOWS = 4;

/** Takes what comes, and keeps it where it is told how much that will be. */
const SINK = `const kept = Buffer.allocUnsafeSlow(Number(process.argv[1]));
  require("net").createServer((s) => { let n = 0; s.on("data", (d) => { if (kept.length > 0) d.copy(kept, n); n += d.length; });
  s.on("end", () => s.end(String(n))); }).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    accel: { type: "string", default: "jit" },
    channel: { type: "string", default: "tcp" },
    loads: { type: "string", default: [...LOADS, "tracking"].join() },
  },
});
const wanted = values.loads.split(",");
if (values.channel !== "tcp" && values.channel !== "unix") throw new Error(`--channel ${values.channel}: tcp or unix`);
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
  readonly seenMs: number;
  readonly outageMs: number;
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
  const rows: string[][] = [];
  const throughput = { plain: [] as number[], preallocated: [] as number[], memory: [] as number[] };
  for (const [load, name] of LOADS.entries()) {
    if (!wanted.includes(name)) continue;
    const guest = guestOf(load);
    const pairs: { own: Figures; other: Figures | undefined }[] = [];
    for (let i = 0; i < rounds; i++) {
      const own = await move(ours, guest, load);
      const other = load === 3 ? undefined : await move(theirs, guest, load);
      pairs.push({ own, other });
      if (load === 0) {
        const given = await move(ours, guest, load, ["-mem-prealloc"]);
        const plain = await plainCopy(own.bytes, "one piece");
        throughput.plain.push(rateOf(own) / plain);
        throughput.preallocated.push(rateOf(given) / plain);
        throughput.memory.push(rateOf(own) / (await plainCopy(own.bytes, "memory")));
      }
    }
    const row = (figure: string, of: (figures: Figures) => number): string[] => {
      const both = pairs.flatMap(({ own, other }) => (other === undefined ? [] : [{ own: of(own), other: of(other) }]));
      const own = median(pairs.map((pair) => of(pair.own))).toFixed(0);
      if (both.length === 0) return [name, figure, own, "", ""];
      const their = median(both.map(({ other }) => other)).toFixed(0);
      return [name, figure, own, their, ratioText(both.map((pair) => pair.own / Math.max(pair.other, 1)))];
    };
    rows.push(row("total ms", ({ totalMs }) => totalMs));
    rows.push(row("seen ms", ({ seenMs }) => seenMs));
    rows.push(row("downtime ms", ({ downtimeMs }) => downtimeMs));
    rows.push(row("outage ms", ({ outageMs }) => outageMs));
    rows.push(row("MiB", ({ bytes }) => bytes / 2 ** 20));
  }
  if (rows.length > 0) printTable(["guest", "figure", "Ratite", "QEMU", "ratio"], rows);
  if (throughput.plain.length > 0) {
    console.log(`\nRAM throughput of the idle guest against a plain copy of as many bytes over such a connection:`);
    console.log(`  one piece over and over, thrown away        ${ratioText(throughput.plain)}`);
    console.log(`  that, where the target has -mem-prealloc    ${ratioText(throughput.preallocated)}`);
    console.log(`  from memory into memory                     ${ratioText(throughput.memory)}`);
  }
  if (!wanted.includes("tracking")) return;
  const costs = await trackingCosts(ours, guestOf(TRACKING));
  const sorted = [...costs].sort((a, b) => a - b);
  const quarters = `${sorted[costs.length >> 2]!.toFixed(1)} to ${sorted[(costs.length * 3) >> 2]!.toFixed(1)}`;
  console.log(
    `\nTracking, CPU seconds of a unit of work: ${median(costs).toFixed(1)} % more (the middle half ${quarters})`,
  );
}

function guestOf(load: number): string {
  const path = join(folder, `guest${load}.elf`);
  writeFileSync(path, buildMovedGuest(load, FILL_MIB));
  return path;
}

/** Percents, with and without taking turns. */
async function trackingCosts(vmm: Vmm, guest: string): Promise<number[]> {
  const output = join(folder, "tracking.console");
  const machine = await start(vmm, guest, ["-serial", `file:${output}`]);
  const pid = children.at(-1)!.pid;
  await ready(vmm, output);
  const cpuMsOfADot = async (isTracked: boolean): Promise<number> => {
    const request = { "calc-time": TRACKING_WINDOW_MS, "calc-time-unit": "millisecond", mode: "dirty-bitmap" };
    const before = { cpuMs: processCpuMs(pid), dots: statSync(output).size };
    if (isTracked) await machine.execute("calc-dirty-rate", request);
    await sleep(TRACKING_WINDOW_MS - 50);
    return (processCpuMs(pid) - before.cpuMs) / (statSync(output).size - before.dots);
  };
  // The first is not counted: it warms everything up.
  for (const isTracked of [false, true]) await cpuMsOfADot(isTracked).then(() => sleep(TRACKING_WINDOW_MS));
  const costs: number[] = [];
  for (let i = 0; i < rounds * TRACKING_WINDOWS; i++) {
    const plain = await cpuMsOfADot(false);
    const tracked = await cpuMsOfADot(true);
    costs.push(100 * (tracked / plain - 1));
    await sleep(100);
  }
  await machine.execute("quit");
  return costs;
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

function devicesOf(load: number): string[] {
  const drive = ["-drive", `file=${disk},format=raw,if=none,id=d0`];
  if (load === 2) return [...drive, "-device", "virtio-blk-device,drive=d0"];
  if (load !== 3) return [];
  const description = join(folder, "host.json");
  const abilities = { unit: "u0", migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true };
  const device = { bdf: "0000:01:00.0", kind: "nvme", ...abilities, properties: { drive: "d0", serial: "moved" } };
  writeFileSync(description, JSON.stringify({ units: [{ id: "u0", profile: "vtd-ssads" }], devices: [device] }));
  const host = ["-object", `iommufd,id=f0,host=software:${description}`];
  return [...drive, ...host, "-device", "vfio-pci,host=0000:01:00.0,iommufd=f0,addr=1"];
}

async function ready(vmm: Vmm, output: string): Promise<void> {
  for (let i = 0; !(existsSync(output) && readFileSync(output, "latin1").includes("R")); i++) {
    if (i > 2000) throw new Error(`${vmm.name}: the guest never said that it is ready`);
    await sleep(50);
  }
}

/** Bytes a millisecond. */
function rateOf({ bytes, totalMs }: Figures): number {
  return bytes / totalMs;
}

async function move(vmm: Vmm, guest: string, load: number, ofTarget: readonly string[] = []): Promise<Figures> {
  const output = join(folder, `${children.length}.console`);
  const devices = devicesOf(load);
  const source = await start(vmm, guest, ["-serial", `file:${output}`, ...devices]);
  await ready(vmm, output);
  const target = await start(vmm, guest, ["-serial", "null", "-incoming", "defer", ...devices, ...ofTarget]);
  const uri =
    values.channel === "tcp" ? `tcp:127.0.0.1:${await freePort()}` : `unix:${join(folder, `${children.length}.move`)}`;
  const returnPath = { capabilities: [{ capability: "return-path", state: true }] };
  for (const client of [target, source]) await client.execute("migrate-set-capabilities", returnPath);
  await target.execute("migrate-incoming", { uri });
  await source.execute("migrate-set-parameters", { "max-bandwidth": 16 * 2 ** 30, "downtime-limit": 300 });
  await sleep(SETTLE_MS);
  const askedMs = Date.now();
  await source.execute("migrate", { uri });
  const told = await ended(vmm, source);
  const resumedMs = timeOf(await target.event("RESUME"));
  const stoppedMs = timeOf(await source.event("STOP"));
  for (const client of [target, source]) await client.execute("quit");
  return { ...told, seenMs: resumedMs - askedMs, outageMs: resumedMs - stoppedMs };
}

/** Milliseconds since 1970, by the host's clock, which both programs have. */
function timeOf(event: Message): number {
  const { seconds, microseconds } = event["timestamp"] as { readonly seconds: number; readonly microseconds: number };
  return seconds * 1000 + microseconds / 1000;
}

async function ended(vmm: Vmm, source: QmpClient): Promise<Omit<Figures, "seenMs" | "outageMs">> {
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

/**
 * Bytes a millisecond from this process to another one's socket; larger pieces are no faster. What is sent is one piece that
 * a processor's cache holds, and nobody keeps it, or it is in memory, and comes into memory that was not touched before.
 */
async function plainCopy(bytes: number, what: "one piece" | "memory"): Promise<number> {
  const keptBytes = what === "memory" ? bytes : 0;
  const child = spawn(process.execPath, ["-e", SINK, String(keptBytes)], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const port = Number(await new Promise((resolve) => child.stdout.once("data", (text) => resolve(String(text)))));
  const pieceBytes = 2 ** 18;
  const source = Buffer.alloc(Math.max(keptBytes, pieceBytes), 1);
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const startMs = performance.now();
  for (let sent = 0; sent < bytes; sent += pieceBytes) {
    const at = keptBytes === 0 ? 0 : sent;
    const piece = source.subarray(at, Math.min(at + pieceBytes, at + bytes - sent));
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  const whole = new Promise((resolve) => socket.once("data", resolve));
  socket.end();
  await whole;
  const ms = performance.now() - startMs;
  child.kill();
  return bytes / ms;
}
