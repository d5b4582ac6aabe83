// `ratite lab migrate`: a Debian guest with an assigned disk and a DMA engine at work, moved from process to process.
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GuestFiles } from "../../guest/index.ts";
import type { DmaMode, TrackerPolicy } from "../../vfio/index.ts";
import { checkHost, type CheckResult } from "../host/check.ts";
import { CliError } from "../errors.ts";
import type { StatusLine } from "../status-line.ts";
import type { LabHost } from "./lab-host.ts";
import { Laboratory } from "./laboratory.ts";
import type { MachineProcess } from "./machine-process.ts";
import { channelUri, moveMachine, type ChannelKind, type LabMove } from "./moves.ts";
import { countsText, type LabResult } from "./report.ts";
import { DMA_RESERVED_BYTES, Workload } from "./workload.ts";

const DISK_BYTES = 96 * 2 ** 20;
const MEMORY_BASE = 0x8000_0000n;
const SHOW_MS = 250;

export interface LabOptions {
  readonly host: LabHost;
  readonly policy: TrackerPolicy;
  /** Default: `hwpt`. */
  readonly dmaMode?: DmaMode;
  readonly harts: number;
  readonly memoryBytes: number;
  readonly moves: number;
  /** One after the other, and again. */
  readonly channels: readonly ChannelKind[];
  readonly downtimeMs: number;
  readonly files: GuestFiles;
  readonly status: StatusLine;
  /** More of QEMU's options for every machine. */
  readonly more: readonly string[];
  readonly signal: AbortSignal;
  /** Default: `ratite-system-riscv64` of this build. */
  readonly program?: string;
}

/** How a machine would take the host's devices: reasons against it, and each device's tracker. */
export function plannedMove(options: Pick<LabOptions, "host" | "policy" | "dmaMode" | "memoryBytes">): CheckResult {
  const { host, policy, dmaMode: mode = "hwpt", memoryBytes } = options;
  const last = MEMORY_BASE + BigInt(memoryBytes) - 1n;
  return checkHost(host.plan, {
    ...{ policy, mode, wish: "auto", mayLog: true },
    memory: [{ start: MEMORY_BASE, last }],
  });
}

/** Resolves with what it was like. Rejects with CliError: the guest has found something wrong, or a machine has gone. */
export async function labMigrate(options: LabOptions): Promise<LabResult> {
  return Laboratory.use(options, (laboratory) => runMoves(options, laboratory));
}

async function runMoves(options: LabOptions, laboratory: Laboratory): Promise<LabResult> {
  const { host, status, moves: wanted, harts, policy } = options;
  const { folder } = laboratory;
  const common = machineOptions(options, folder);
  const start = (name: string, more: readonly string[] = []): Promise<MachineProcess> =>
    laboratory.start(name, [...common, ...more]);
  const startedAt = performance.now();
  status.line(
    `${options.files.name} ${options.files.release}, ${harts} ${harts === 1 ? "hart" : "harts"}; ${host.name} as its host`,
  );
  let machine = await shown(status, "a machine starts", start("machine0"));
  await shown(status, "it boots", machine.booted(), () => machine.newestLine);
  status.line(`a shell after ${seconds(startedAt)}`);
  const workload = await shown(
    status,
    "disk, memory and devices get to work",
    Workload.begin(machine, options.memoryBytes),
  );
  const moves: LabMove[] = [];
  for (let n = 1; n <= wanted; n++) {
    const kind = options.channels[(n - 1) % options.channels.length]!;
    const uri = await channelUri(kind, folder, `machine${n}`);
    const target = await shown(status, `move ${n}: a target starts`, start(`machine${n}`, ["-incoming", uri]));
    const what = `move ${n} by ${kind}`;
    const move = await moveMachine(machine, uri, {
      ...{ kind, downtimeMs: options.downtimeMs },
      onProgress: (info) => status.update({ what, detail: String(info["status"]), ...left(info) }),
    });
    await laboratory.end(machine);
    machine = target;
    moves.push(move);
    const counts = await shown(status, `move ${n}: the guest is asked`, workload.check(machine));
    status.line(
      `${what}: ${move.rounds.length} rounds, ${move.totalMs} ms, down ${move.downtimeMs} ms; ${countsText(counts)}`,
    );
  }
  const counts = await shown(status, "the last sums and patterns", workload.end(machine));
  const trackers = plannedMove(options).choices.map(({ device, because }) => `${device}: ${because}`);
  return { host: host.name, policy, harts, trackers, moves, counts };
}

/** Says how long it takes while it takes it; `detail` is the newest there is to say. */
async function shown<T>(
  status: StatusLine,
  what: string,
  work: Promise<T>,
  detail: () => string = () => "",
): Promise<T> {
  const startedAt = performance.now();
  const update = (): void =>
    status.update({ what, detail: [seconds(startedAt), detail()].filter((text) => text !== "").join(" ") });
  update();
  const ticker = setInterval(update, SHOW_MS);
  try {
    return await work;
  } finally {
    clearInterval(ticker);
  }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** The options that all machines have; files that they share are made in `folder`. */
export function machineOptions(
  options: Pick<LabOptions, "host" | "policy" | "dmaMode" | "harts" | "memoryBytes" | "files" | "more">,
  folder: string,
): string[] {
  const { harts, memoryBytes, files, more } = options;
  const kernelBytes = memoryBytes - DMA_RESERVED_BYTES;
  const made = ["-M", "virt", "-m", `${memoryBytes / 2 ** 20}M`, "-smp", `${harts}`];
  made.push("-kernel", files.kernelPath, "-initrd", files.initrdPath);
  made.push("-append", `console=ttyS0 mem=${kernelBytes / 2 ** 20}M`);
  return [...made, ...assignedOptions(options, folder), ...more];
}

/** A host and its devices, all of them assigned; its description and disks are made in `folder`. */
export function assignedOptions(
  { host, policy, dmaMode = "hwpt" }: Pick<LabOptions, "host" | "policy" | "dmaMode">,
  folder: string,
): string[] {
  const hostFile = join(folder, "host.json");
  writeFileSync(hostFile, host.text);
  const made: string[] = [];
  for (const drive of host.drives) {
    const image = join(folder, `${drive}.img`);
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES);
    made.push("-drive", `if=none,id=${drive},format=raw,file=${image}`);
  }
  made.push("-object", `iommufd,id=f0,host=software:${hostFile},x-dirty-policy=${policy}`);
  host.plan.devices.forEach(({ name, kind }, n) => {
    const where = kind.bus === "pci" ? `host=${name}` : `sysfsdev=/sys/bus/mdev/devices/${name}`;
    const how = `iommufd=f0,x-dma-mode=${dmaMode},migration-events=on`;
    made.push("-device", `vfio-pci,id=${assignedId(n)},${where},${how}`);
  });
  return made;
}

/** Of the host's nth device, as the monitor calls it. */
export function assignedId(n: number): string {
  return `assigned${n}`;
}

function left(info: Readonly<Record<string, unknown>>): { readonly doneBytes?: number; readonly totalBytes?: number } {
  const ram = info["ram"] as { readonly remaining: number; readonly total: number } | undefined;
  return ram === undefined ? {} : { doneBytes: ram.total - ram.remaining, totalBytes: ram.total };
}

/** Throws CliError for a host that has nothing to show. */
export function requireDevices(host: LabHost): void {
  if (host.plan.devices.length === 0) {
    throw new CliError("badUsage", "The host has no devices to assign", { subject: host.name });
  }
}
