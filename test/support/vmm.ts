// For tests: QEMU and Ratite side by side, each started the same way and spoken to over QMP.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spinProgram } from "./firmware-programs.ts";
import { QmpClient } from "./qmp-client.ts";
import { referenceQemu } from "./reference-qemu.ts";

/** A program that runs machines, with the arguments that go before the machine's own. */
export interface Vmm {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const program = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));
export const ratite: Vmm = { command: [process.execPath, program], env: process.env };

const reference = await referenceQemu();
/** QEMU 10 or newer; undefined where there is none, and `withoutQemu` says so in a test's title. */
export const qemu: Vmm | undefined = "missing" in reference ? undefined : reference;
export const withoutQemu: string = "missing" in reference ? ` (skipped: ${reference.missing})` : "";

/** Machines of one test file, in a folder of their own. */
export class Machines {
  readonly folder: string = mkdtempSync(join(tmpdir(), "ratite-vmm-"));
  readonly #children: ChildProcess[] = [];
  readonly #firmware: string;

  /** @param firmware what they run; by default a program that writes `!` and computes for ever */
  constructor(firmware: Uint8Array = spinProgram) {
    this.#firmware = join(this.folder, "firmware.bin");
    writeFileSync(this.#firmware, firmware);
  }

  /** A machine with its monitor at `NAME.qmp` of the folder; the session has been negotiated. */
  async start({ command, env }: Vmm, name: string, more: readonly string[] = []): Promise<QmpClient> {
    const [file, ...first] = command;
    const path = join(this.folder, `${name}.qmp`);
    const machine = ["-M", "virt", "-m", "64M", "-display", "none", "-serial", "null", "-bios", this.#firmware];
    const monitor = ["-qmp", `unix:${path},server=on,wait=off`];
    this.#children.push(spawn(file!, [...first, ...machine, ...monitor, ...more], { stdio: "ignore", env }));
    const client = await QmpClient.connect(path);
    await client.negotiate();
    return client;
  }

  /** Ends all of them and removes the folder. */
  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
