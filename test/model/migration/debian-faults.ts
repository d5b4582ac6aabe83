// Debian guests moved from process to process while something goes wrong: either process is killed, or the channel between
// them, which goes through a proxy here, is cut, stalls or changes a byte.
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labHost } from "../../../src/cli/lab/lab-host.ts";
import { MachineProcess } from "../../../src/cli/lab/machine-process.ts";
import { machineOptions } from "../../../src/cli/lab/migrate.ts";
import type { QmpObject } from "../../../src/cli/lab/qmp-client.ts";
import { Workload } from "../../../src/cli/lab/workload.ts";
import type { GuestFiles } from "../../../src/guest/index.ts";
import { Random } from "../vfio/random.ts";
import { FaultFinding } from "./fault-finding.ts";

const MEMORY_BYTES = 2 ** 28;
const HOSTS = ["all/first", "all/none", "none/all", "second/first"];

type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "kill source" | "kill target" | "cancel"; readonly afterMs: number }
  | { readonly kind: "cut" | "stall" | "damage"; readonly at: number; readonly isAnswer: boolean };

interface RunningGuest {
  readonly machine: MachineProcess;
  readonly workload: Workload;
  readonly options: readonly string[];
}

export class DebianFaults {
  readonly #random: Random;
  readonly #files: GuestFiles;
  readonly #program: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "ratite-faults-"));
  #host = labHost(HOSTS[0]!);
  #guest: RunningGuest | undefined;
  #count = 0;

  constructor(seed: number, files: GuestFiles, program: string) {
    this.#random = new Random(seed);
    this.#files = files;
    this.#program = program;
  }

  /** One move: what became of it. Rejects with FaultFinding. */
  async run(): Promise<{ readonly fault: string; readonly outcome: string }> {
    this.#guest ??= await this.#boot();
    const { machine, workload, options } = this.#guest;
    const fault = this.#fault();
    const name = `target${this.#count++}`;
    const [direct, proxied] = [join(this.#folder, `${name}.in`), join(this.#folder, `${name}.proxy`)];
    const target = await this.#start(name, [...options, "-incoming", `unix:${direct}`]);
    const proxy = await faultyProxy(proxied, direct, fault);
    try {
      const outcome = await this.#move(machine, target, { fault, uri: `unix:${proxied}` });
      const [survivor, other] = outcome === "moved" ? [target, machine] : [machine, target];
      await other.end();
      if (fault.kind === "kill source" && outcome !== "moved") {
        this.#guest = undefined;
        return { fault: JSON.stringify(fault), outcome: "killed" };
      }
      // An operator decides where both sides know only that the other one may have it.
      if (outcome === "between") await survivor.qmp.execute("cont");
      await workload.check(survivor);
      this.#guest = { machine: survivor, workload, options };
      return { fault: JSON.stringify(fault), outcome };
    } catch (error) {
      this.#guest = undefined;
      await Promise.all([machine.end(), target.end()]);
      if (!(error instanceof Error)) throw error;
      throw new FaultFinding(`${JSON.stringify(fault)} on ${this.#host.name}: ${error.message}`, { cause: error });
    } finally {
      proxy.close();
    }
  }

  async end(): Promise<void> {
    await this.#guest?.machine.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #boot(): Promise<RunningGuest> {
    this.#host = labHost(this.#random.pick(HOSTS));
    const options = machineOptions(
      {
        ...{ host: this.#host, policy: "mixed", memoryBytes: MEMORY_BYTES, files: this.#files, more: [] },
        harts: this.#random.pick([1, 1, 2]),
      },
      this.#folder,
    );
    const machine = await this.#start(`source${this.#count}`, options);
    await machine.booted();
    return { machine, workload: await Workload.begin(machine, MEMORY_BYTES), options };
  }

  #start(name: string, options: readonly string[]): Promise<MachineProcess> {
    return MachineProcess.start({ name, folder: this.#folder, options, program: this.#program });
  }

  #fault(): Fault {
    const random = this.#random;
    const afterMs = random.between(0, 20_000);
    const isAnswer = random.chance(1, 4);
    const at = isAnswer ? random.between(0, 40) : random.between(0, random.pick([10_000, 20_000_000, 100_000_000]));
    switch (random.between(0, 6)) {
      case 0:
        return { kind: "none" };
      case 1:
        return { kind: random.pick(["kill source", "kill target"] as const), afterMs };
      case 2:
        return { kind: "cancel", afterMs };
      default:
        return { kind: random.pick(["cut", "stall", "damage"] as const), at, isAnswer };
    }
  }

  /** Who has it in the end; never both. */
  async #move(
    source: MachineProcess,
    target: MachineProcess,
    { fault, uri }: { readonly fault: Fault; readonly uri: string },
  ): Promise<"moved" | "went on" | "between"> {
    await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 1000 });
    await source.qmp.execute("migrate", { uri });
    const strike = setTimeout(
      () => {
        if (fault.kind === "kill source") void source.end();
        else if (fault.kind === "kill target") void target.end();
        else if (fault.kind === "cancel") source.qmp.execute("migrate_cancel").catch(() => undefined);
      },
      "afterMs" in fault ? fault.afterMs : 0,
    );
    const giveUp = setTimeout(() => void source.qmp.execute("migrate_cancel").catch(() => undefined), 60_000);
    try {
      const status = await this.#settled(source);
      const states = await Promise.all([stateOf(source), this.#arrived(target)]);
      if (states[0] === "running" && states[1] === "running") throw new Error("both sides run");
      if (states[1] === "running") return "moved";
      if (states[0] === "running") return "went on";
      if (states[0] === "gone" || states[0] === "postmigrate") return "between";
      throw new Error(`the source is ${states[0]} after a migration that ${status}, the target ${states[1]}`);
    } finally {
      clearTimeout(strike);
      clearTimeout(giveUp);
    }
  }

  /** The migration's last status, or `gone`. */
  async #settled({ qmp }: MachineProcess): Promise<string> {
    for (;;) {
      try {
        const { status } = (await qmp.execute("query-migrate")) as QmpObject;
        if (status === "completed" || status === "failed" || status === "cancelled") return status;
      } catch {
        return "gone";
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** The target's state when it has either got the machine or given up. */
  async #arrived(target: MachineProcess): Promise<string> {
    for (let i = 0; i < 100; i++) {
      const state = await stateOf(target);
      if (state !== "inmigrate") return state;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return "inmigrate";
  }
}

async function stateOf({ qmp }: MachineProcess): Promise<string> {
  try {
    return String(((await qmp.execute("query-status")) as QmpObject)["status"]);
  } catch {
    return "gone";
  }
}

/** Passes bytes from `listenAt` to `connectTo` and back, up to the fault. */
async function faultyProxy(listenAt: string, connectTo: string, fault: Fault): Promise<Server> {
  const server = createServer((from) => {
    const to = connect(connectTo);
    const close = (): void => {
      from.destroy();
      to.destroy();
    };
    for (const socket of [from, to]) socket.on("error", close).on("close", close);
    const isBytes = fault.kind === "cut" || fault.kind === "stall" || fault.kind === "damage";
    pass(from, to, isBytes && !fault.isAnswer ? fault : undefined, close);
    pass(to, from, isBytes && fault.isAnswer ? fault : undefined, close);
  });
  server.listen(listenAt);
  await new Promise((resolve) => server.once("listening", resolve));
  return server;
}

function pass(from: Socket, to: Socket, fault: Extract<Fault, { at: number }> | undefined, close: () => void): void {
  let done = 0;
  let isStalled = false;
  from.on("data", (bytes: Buffer) => {
    if (isStalled) return;
    const at = fault === undefined ? -1 : fault.at - done;
    done += bytes.length;
    if (fault !== undefined && at >= 0 && at < bytes.length) {
      if (fault.kind === "damage") bytes[at]! ^= 0x10;
      else {
        to.write(bytes.subarray(0, at));
        if (fault.kind === "stall") {
          isStalled = true;
          from.pause();
        } else close();
        return;
      }
    }
    if (!to.write(bytes)) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  });
}
