// Guests in processes of their own for fault runs: the small one of test/fixtures/migration, and Debian at work.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { labHost } from "../../../src/cli/lab/lab-host.ts";
import { MachineProcess } from "../../../src/cli/lab/machine-process.ts";
import { machineOptions } from "../../../src/cli/lab/migrate.ts";
import { Workload } from "../../../src/cli/lab/workload.ts";
import type { GuestFiles } from "../../../src/guest/index.ts";
import { QmpClient } from "../../support/qmp-client.ts";
import { until } from "../../support/moving-guest.ts";
import type { Random } from "../vfio/random.ts";
import { expectThat } from "./fault-finding.ts";

/** A machine in a process. */
export interface RunningProcess {
  readonly qmp: { execute(name: string, args?: object): Promise<unknown> };
  /** Ends it as `kill -9` does. */
  end(): Promise<void>;
}

/** Which guest it is, of one machine's moves. */
export interface ProcessGuest {
  readonly title: string;
  /** Options that give a machine that is not this one, by what is wrong. */
  readonly wrong: Readonly<Record<string, readonly string[]>>;
  /** Disk images that one side has at a time. */
  readonly images: readonly string[];
  start(name: string, more: readonly string[]): Promise<RunningProcess>;
  /** Resolves when it has booted and works. */
  begin(machine: RunningProcess): Promise<void>;
  /** Throws when the guest has lost something, or does not get on. */
  check(machine: RunningProcess): Promise<void>;
}

const elf = fileURLToPath(new URL("../../fixtures/migration/guest.elf", import.meta.url));
/** A busy host is no finding. */
const BUSY_MS = 600_000;
const ABILITIES = ["stop-copy", "p2p", "pre-copy"];

class SmallProcess implements RunningProcess {
  readonly qmp: QmpClient;
  readonly #child: ChildProcess;
  readonly #textFile: string;

  static async start(program: string, folder: string, name: string, options: readonly string[]): Promise<SmallProcess> {
    const [monitor, textFile] = [join(folder, `${name}.qmp`), join(folder, `${name}.txt`)];
    const wiring = ["-qmp", `unix:${monitor},server=on,wait=off`, "-serial", `file:${textFile}`, "-monitor", "none"];
    const stdio = ["ignore", "ignore", "pipe"] as const;
    const child = spawn(process.execPath, [program, ...options, "-display", "none", ...wiring], { stdio: [...stdio] });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString("latin1")));
    await until(() => existsSync(monitor) || child.exitCode !== null, BUSY_MS);
    if (child.exitCode !== null) throw new Error(`${name} does not start: ${said}`);
    const qmp = await QmpClient.connect(monitor);
    await qmp.negotiate();
    return new SmallProcess(qmp, child, textFile);
  }

  private constructor(qmp: QmpClient, child: ChildProcess, textFile: string) {
    this.qmp = qmp;
    this.#child = child;
    this.#textFile = textFile;
  }

  get text(): string {
    return readFileSync(this.#textFile, "latin1");
  }

  async end(): Promise<void> {
    this.qmp.close();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** A bare-metal guest of 16 MiB with devices as the seed says. */
export function smallGuest(random: Random, folder: string, program: string): ProcessGuest {
  const [disk, hostFile] = [join(folder, "disk.img"), join(folder, "host.json")];
  writeFileSync(disk, "");
  truncateSync(disk, 2 ** 20);
  const unit = random.pick(["vtd-ssads", "vtd-ssads", "vtd"]);
  // Without either a device is not moved at all.
  const [engineLogs, diskLogs] = [unit === "vtd" || random.chance(1, 2), unit === "vtd" || random.chance(1, 2)];
  const device = { unit: "u0", migration: ABILITIES };
  const description = {
    units: [{ id: "u0", profile: unit }],
    devices: [
      { bdf: "0000:01:00.0", kind: "dma-engine", ...device, group: 1, dmaLog: engineLogs },
      {
        ...{ bdf: "0000:02:00.0", kind: "nvme", ...device, group: 2, dmaLog: diskLogs },
        properties: { drive: "d0", serial: "s" },
      },
    ],
  };
  writeFileSync(hostFile, JSON.stringify(description));
  const smp = random.pick(["1", "1", "2"]);
  const options = [
    ...["-M", "virt", "-m", "16M", "-smp", smp, "-bios", "none", "-kernel", elf],
    ...["-drive", `if=none,id=d0,format=raw,file=${disk}`, "-object", `iommufd,id=f0,host=software:${hostFile}`],
    ...["-device", "vfio-pci,id=engine,host=01:00.0,iommufd=f0", "-device", "vfio-pci,id=disk,host=02:00.0,iommufd=f0"],
  ];
  return {
    title: JSON.stringify({ unit, engineLogs, diskLogs, smp }),
    wrong: { memory: ["-m", "15M"], harts: ["-smp", smp === "1" ? "2" : "1"], device: ["-device", "edu,addr=9"] },
    images: [disk],
    start: (name, more) => SmallProcess.start(program, folder, name, [...options, ...more]),
    begin: (machine) => getsOn(machine as SmallProcess),
    check: (machine) => getsOn(machine as SmallProcess),
  };
}

async function getsOn(machine: SmallProcess): Promise<void> {
  const before = machine.text.length;
  await until(() => machine.text.length >= before + 2 || !/^[.rR]*$/.test(machine.text), BUSY_MS);
  expectThat(/^[.rR]*$/.test(machine.text), `the guest says ${machine.text.trim().replaceAll("\n", " ")}`);
}

const DEBIAN_BYTES = 2 ** 28;
/** Hosts on which it may be moved. */
const DEBIAN_HOSTS = ["all/first", "all/none", "none/all", "first/second"];

/** Debian with a disk, memory and a DMA engine at work. */
export function debianGuest(random: Random, folder: string, program: string, files: GuestFiles): ProcessGuest {
  const host = labHost(random.pick(DEBIAN_HOSTS));
  const harts = random.pick([1, 1, 2]);
  const facts = { host, policy: "mixed", memoryBytes: DEBIAN_BYTES, files, more: [], harts } as const;
  const options = machineOptions(facts, folder);
  let workload: Workload | undefined;
  return {
    title: `Debian on ${host.name}, ${harts} harts`,
    wrong: { memory: ["-m", "192M"], harts: ["-smp", `${3 - harts}`], device: ["-device", "edu,addr=9"] },
    images: host.drives.map((drive) => join(folder, `${drive}.img`)),
    start: (name, more) => MachineProcess.start({ name, folder, options: [...options, ...more], program }),
    async begin(machine) {
      await (machine as MachineProcess).booted();
      workload = await Workload.begin(machine as MachineProcess, DEBIAN_BYTES);
    },
    check: async (machine) => void (await workload!.check(machine as MachineProcess)),
  };
}
