// A measured program: its output as it comes, with the wall time and the CPU time used up to that moment.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Emulator } from "./emulators.ts";

export interface Moment {
  /** Since the process was started. */
  readonly wallMs: number;
  /** User and system time of all its threads, as the scheduler counts them; NaN where there is no /proc. */
  readonly cpuMs: number;
  /** Largest resident set so far; NaN where there is no /proc. */
  readonly peakBytes: number;
}

export interface Watched {
  now(): Moment;
  /** Types `text` on the console. */
  type(text: string): void;
}

export interface Watch {
  /** Gets all output so far; true ends the program. */
  readonly output: (text: string, program: Watched) => boolean;
  readonly timeoutMs: number;
}

/** Resolves with the exit status, or undefined when `output` ended it. Rejects with an Error that shows the last output. */
export function watch(
  emulator: Emulator,
  args: readonly string[],
  { output, timeoutMs }: Watch,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    // Standard input stays open: its end would be the end of the console.
    const child = spawn(emulator.program, [...emulator.options, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    const watched: Watched = {
      now: () => ({ wallMs: performance.now() - startMs, ...usage(child.pid) }),
      type: (text) => void child.stdin.write(text),
    };
    let text = "";
    let done = false;
    const timer = setTimeout(() => fail(`said nothing decisive for ${timeoutMs / 1000} s`), timeoutMs);
    const fail = (what: string): void => {
      done = true;
      child.kill("SIGKILL");
      reject(new Error(`${emulator.name} ${what}; its last output:\n${text.slice(-500)}`));
    };
    child.stdout.setEncoding("latin1");
    child.stdout.on("data", (chunk: string) => {
      if (done) return;
      text += chunk;
      try {
        done = output(text, watched);
      } catch (error) {
        fail(String(error));
      }
      if (done) child.kill("SIGKILL");
    });
    // A program that has ended says so by its status.
    child.stdin.on("error", () => {});
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (done) resolve(undefined);
      else if (code === null) reject(new Error(`${emulator.name} was ended by ${signal}`));
      else resolve(code);
    });
  });
}

/** User and system time of all threads so far; throws where there is no /proc. */
export function processCpuMs(pid: number | undefined): number {
  let ns = 0;
  // schedstat: nanoseconds on a CPU, then waiting for one, then time slices (Linux, Documentation/scheduler/sched-stats).
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ")[0]);
  }
  return ns / 1e6;
}

function usage(pid: number | undefined): { cpuMs: number; peakBytes: number } {
  try {
    const cpuMs = processCpuMs(pid);
    const peakKiB = /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return { cpuMs, peakBytes: Number(peakKiB ?? NaN) * 1024 };
  } catch {
    return { cpuMs: NaN, peakBytes: NaN };
  }
}
