// `ratite lab migrate`: a Debian guest with an assigned disk and a DMA engine at work, moved from process to process.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestFiles } from "../../guest/index.ts";
import type { TrackerPolicy } from "../../vfio/index.ts";
import { checkHost, type CheckResult } from "../host/check.ts";
import { CliError } from "../errors.ts";
import type { StatusLine } from "../status-line.ts";
import type { LabHost } from "./lab-host.ts";
import { MachineProcess } from "./machine-process.ts";
import { channelUri, moveMachine, type ChannelKind, type LabMove } from "./moves.ts";
import type { LabResult } from "./report.ts";
import { DMA_RESERVED_BYTES, Workload } from "./workload.ts";

const DISK_BYTES = 96 * 2 ** 20;
const MEMORY_BASE = 0x8000_0000n;

export interface LabOptions {
  readonly host: LabHost;
  readonly policy: TrackerPolicy;
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
}

/** How a machine would take the host's devices: reasons against it, and each device's tracker. */
export function plannedMove(options: Pick<LabOptions, "host" | "policy" | "memoryBytes">): CheckResult {
  const { host, policy, memoryBytes } = options;
  const last = MEMORY_BASE + BigInt(memoryBytes) - 1n;
  return checkHost(host.plan, {
    ...{ policy, mode: "hwpt", wish: "auto", mayLog: true },
    memory: [{ start: MEMORY_BASE, last }],
  });
}

/** Resolves with what it was like. Rejects with CliError: the guest has found something wrong, or a machine has gone. */
export async function labMigrate(options: LabOptions): Promise<LabResult> {
  const folder = mkdtempSync(join(tmpdir(), "ratite-lab-"));
  const running = new Set<MachineProcess>();
  const abort = (): void => running.forEach((machine) => void machine.end());
  options.signal.addEventListener("abort", abort);
  try {
    return await runMoves(options, folder, running);
  } finally {
    options.signal.removeEventListener("abort", abort);
    for (const machine of running) await machine.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runMoves(options: LabOptions, folder: string, running: Set<MachineProcess>): Promise<LabResult> {
  const { host, status, moves: wanted, harts, policy } = options;
  const common = machineOptions(options, folder);
  const start = async (name: string, more: readonly string[] = []): Promise<MachineProcess> => {
    const machine = await MachineProcess.start({ name, folder, options: [...common, ...more] });
    running.add(machine);
    return machine;
  };
  const startedAt = performance.now();
  let machine = await start("machine0");
  status.line(`machine 0: ${host.name} as its host, booting ${options.files.name} ${options.files.release}`);
  await machine.booted();
  status.line(
    `a shell after ${((performance.now() - startedAt) / 1000).toFixed(1)} s; disk, memory and DMA get to work`,
  );
  const workload = await Workload.begin(machine, options.memoryBytes);
  const moves: LabMove[] = [];
  for (let n = 1; n <= wanted; n++) {
    const kind = options.channels[(n - 1) % options.channels.length]!;
    const uri = await channelUri(kind, folder, `machine${n}`);
    const target = await start(`machine${n}`, ["-incoming", uri]);
    const move = await moveMachine(machine, uri, {
      ...{ kind, downtimeMs: options.downtimeMs },
      onProgress: (info) => status.update({ what: `move ${n}: ${String(info["status"])}`, ...left(info) }),
    });
    await machine.end();
    running.delete(machine);
    machine = target;
    moves.push(move);
    const { disk, memory, dma } = await workload.check(machine);
    status.line(
      `move ${n} by ${kind}: ${move.rounds.length} rounds, ${move.totalMs} ms, down ${move.downtimeMs} ms; ` +
        `the guest works on (disk ${disk}, memory ${memory}, DMA ${dma.join(", ")})`,
    );
  }
  status.line("the last sums and patterns");
  const counts = await workload.end(machine);
  const trackers = plannedMove(options).choices.map(({ device, because }) => `${device}: ${because}`);
  return { host: host.name, policy, harts, trackers, moves, counts };
}

/** The options that all machines have; files that they share are made in `folder`. */
export function machineOptions(
  options: Pick<LabOptions, "host" | "policy" | "harts" | "memoryBytes" | "files" | "more">,
  folder: string,
): string[] {
  const { host, policy, harts, memoryBytes, files, more } = options;
  const hostFile = join(folder, "host.json");
  writeFileSync(hostFile, host.text);
  const kernelBytes = memoryBytes - DMA_RESERVED_BYTES;
  const made = ["-M", "virt", "-m", `${memoryBytes / 2 ** 20}M`, "-smp", `${harts}`];
  made.push("-kernel", files.kernelPath, "-initrd", files.initrdPath);
  made.push("-append", `console=ttyS0 mem=${kernelBytes / 2 ** 20}M`);
  for (const drive of host.drives) {
    const image = join(folder, `${drive}.img`);
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES);
    made.push("-drive", `if=none,id=${drive},format=raw,file=${image}`);
  }
  made.push("-object", `iommufd,id=f0,host=software:${hostFile},x-dirty-policy=${policy}`);
  for (const { name, kind } of host.plan.devices) {
    const where = kind.bus === "pci" ? `host=${name}` : `sysfsdev=/sys/bus/mdev/devices/${name}`;
    made.push("-device", `vfio-pci,${where},iommufd=f0`);
  }
  return [...made, ...more];
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
