// Runs batches on QEMU: a process for each, its RAM a file that both see.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReferenceQemu } from "../support/reference-qemu.ts";
import { placeBatch, programsBegun, readOutcome } from "./batch.ts";
import type { LockstepCpu } from "./cpu.ts";
import type { Keeper } from "./keeper.ts";
import * as map from "./memory-map.ts";
import { qemuCpu } from "./qemu-cpu.ts";
import type { BatchRun, Runner } from "./runner.ts";

/** A program that takes longer does not come to its end. */
const PROGRAM_MS = 20_000;
const POLL_MS = 500;

export class QemuRunner implements Runner {
  readonly name: string;
  readonly countsInstructions = false;
  readonly #qemu: ReferenceQemu;
  readonly #cpu: LockstepCpu;
  readonly #keeper: Keeper;
  readonly #folder: string;
  readonly #ram = new Uint8Array(map.RAM_BYTES);

  constructor(qemu: ReferenceQemu, cpu: LockstepCpu, keeper: Keeper) {
    this.name = `QEMU ${qemu.version}`;
    this.#qemu = qemu;
    this.#cpu = cpu;
    this.#keeper = keeper;
    // Memory where there is such a file system.
    this.#folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "ratite-lockstep-"));
  }

  async run(images: readonly Uint8Array[]): Promise<BatchRun> {
    const ramFile = join(this.#folder, "ram");
    const firmware = join(this.#folder, "keeper");
    const before = this.#ram;
    placeBatch(before, this.#keeper.image, images);
    writeFileSync(ramFile, before);
    writeFileSync(firmware, this.#keeper.image);
    const isEnded = await this.#finish(await this.#start(ramFile, firmware), ramFile);
    const ram = new Uint8Array(readFileSync(ramFile));
    return { outcomes: images.map((_, i) => readOutcome(ram, i)), ram, isEnded };
  }

  close(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    return Promise.resolve();
  }

  async #start(ramFile: string, firmware: string): Promise<ChildProcess> {
    const [program, ...leading] = this.#qemu.command;
    const size = `${map.RAM_BYTES >> 20}M`;
    const args = [
      ...["-M", "virt,memory-backend=ram", "-cpu", await qemuCpu(this.#qemu, this.#cpu), "-m", size],
      ...["-object", `memory-backend-file,id=ram,size=${size},mem-path=${ramFile},share=on`],
      ...["-bios", firmware, "-icount", "shift=0,sleep=off"],
      ...["-display", "none", "-serial", "none", "-monitor", "none", "-nic", "none"],
    ];
    return spawn(program, [...leading, ...args], { env: this.#qemu.env, stdio: ["ignore", "ignore", "pipe"] });
  }

  /** False when a program did not come to its end. Throws an Error with QEMU's words when QEMU did not run. */
  async #finish(child: ChildProcess, ramFile: string): Promise<boolean> {
    let words = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (words += text));
    let isLate = false;
    let begun = -1;
    let since = performance.now();
    const poll = setInterval(() => {
      const now = programsBegun(readFileSync(ramFile));
      if (now !== begun) since = performance.now();
      begun = now;
      if (performance.now() - since < PROGRAM_MS) return;
      isLate = true;
      child.kill("SIGKILL");
    }, POLL_MS);
    try {
      const end = await new Promise<string>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => resolve(signal ?? String(code)));
      });
      if (end === "0") return true;
      // A program that QEMU does not survive is one that does not come to its end.
      if (!isLate && programsBegun(readFileSync(ramFile)) === 0) {
        throw new Error(`QEMU ended with ${end}: ${words.trim()}`);
      }
      return false;
    } finally {
      clearInterval(poll);
    }
  }
}
