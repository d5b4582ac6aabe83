// Ends the process when one program runs too long, and leaves the program in a file: a hang cannot report itself.
import { Worker } from "node:worker_threads";

const CHECK_MS = 500;

/** Plain JavaScript: a worker of its own has no loader for TypeScript. */
const CODE = `
const { workerData } = require("node:worker_threads");
const { writeFileSync } = require("node:fs");
const { shared, path, mostMs } = workerData;
const head = new Int32Array(shared, 0, 2);
const bytes = new Uint8Array(shared, 8);
let last = 0;
let since = performance.now();
for (;;) {
  Atomics.wait(head, 0, Atomics.load(head, 0), ${CHECK_MS});
  const run = Atomics.load(head, 0);
  if (run !== last || run % 2 === 0) {
    last = run;
    since = performance.now();
  } else if (performance.now() - since > mostMs) {
    writeFileSync(path, bytes.slice(0, head[1]));
    process.stderr.write("a program runs for more than " + mostMs + " ms; it is in " + path + "\\n");
    process.kill(process.pid, "SIGKILL");
  }
}`;

export class Watchdog {
  readonly #head: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #worker: Worker;

  constructor(path: string, mostMs: number, mostBytes: number) {
    const shared = new SharedArrayBuffer(8 + mostBytes);
    this.#head = new Int32Array(shared, 0, 2);
    this.#bytes = new Uint8Array(shared, 8);
    this.#worker = new Worker(CODE, { eval: true, workerData: { shared, path, mostMs } });
    this.#worker.unref();
  }

  /** Watches while `run` works on the program. */
  watch<T>(program: Uint8Array, run: () => T): T {
    this.#bytes.set(program);
    this.#head[1] = program.length;
    Atomics.add(this.#head, 0, 1);
    try {
      return run();
    } finally {
      Atomics.add(this.#head, 0, 1);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
