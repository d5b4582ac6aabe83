// Machines in processes of their own, and the folder that they share: all of it is gone in the end, however that comes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MachineProcess } from "./machine-process.ts";

export interface LaboratoryOptions {
  readonly signal: AbortSignal;
  /** Default: the package's own. */
  readonly program?: string;
}

export class Laboratory {
  readonly folder: string = mkdtempSync(join(tmpdir(), "ratite-lab-"));
  readonly #options: LaboratoryOptions;
  readonly #running = new Set<MachineProcess>();

  private constructor(options: LaboratoryOptions) {
    this.#options = options;
  }

  /** Settles as `work` does, when everything has been cleaned up. */
  static async use<T>(options: LaboratoryOptions, work: (laboratory: Laboratory) => Promise<T>): Promise<T> {
    const laboratory = new Laboratory(options);
    const abort = (): void => laboratory.#kill();
    // A second Ctrl-C does not wait for the first one's end.
    const exit = (): void => {
      laboratory.#kill();
      laboratory.#removeFolder();
    };
    options.signal.addEventListener("abort", abort);
    process.once("exit", exit);
    try {
      return await work(laboratory);
    } finally {
      options.signal.removeEventListener("abort", abort);
      for (const machine of laboratory.#running) await machine.end();
      process.off("exit", exit);
      laboratory.#removeFolder();
    }
  }

  /** `options` are QEMU's. Rejects with CliError that has what the machine said, when it does not come up. */
  async start(name: string, options: readonly string[]): Promise<MachineProcess> {
    const machine = await MachineProcess.start({ name, folder: this.folder, options, ...this.#options });
    this.#running.add(machine);
    return machine;
  }

  async end(machine: MachineProcess): Promise<void> {
    await machine.end();
    this.#running.delete(machine);
  }

  #kill(): void {
    for (const machine of this.#running) machine.kill();
  }

  #removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
