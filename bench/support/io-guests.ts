// Guests that do I/O as they are told by lines on their consoles: one in this process, one of another program.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { CharBackend, CharFront } from "../../src/chardev/port.ts";
import type { Machine } from "../../src/machine/index.ts";
import type { Emulator } from "./emulators.ts";
import { processCpuMs } from "./processes.ts";

// What is measured is what is shipped.
const dist = new URL("../../dist/", import.meta.url).href;
const { makeMachine } = (await import(`${dist}cli/make-machine.js`)) as typeof import("../../src/cli/make-machine.ts");
const { openPlan } = (await import(`${dist}cli/open-plan.js`)) as typeof import("../../src/cli/open-plan.ts");
const { parseQemuOptions } = (await import(
  `${dist}cli/qemu-options/parse.js`
)) as typeof import("../../src/cli/qemu-options/parse.ts");
const { createNodeHost, silentTrace } = (await import(
  `${dist}host/node/index.js`
)) as typeof import("../../src/host/node/index.ts");

const BOOT_LIMIT_MS = 600_000;
const WORK_LIMIT_MS = 300_000;

/** The guest's script: what disks there are, then a run of nvme-io for each line, until the input ends. */
export const IO_SCRIPT = `stty -echo
for n in /sys/class/nvme/nvme*; do echo "disk \${n##*/}n1 $(cat $n/serial)"; done
echo ready
while read -r disk mode count; do nvme-io /dev/$disk $mode $count; done
poweroff
`;

export interface Work {
  readonly wallMs: number;
  /** Of all threads of the emulator's process. */
  readonly cpuMs: number;
}

/** A text that grows, and somebody who waits for a pattern in it. */
class Transcript {
  #text = "";
  #waiting: { readonly pattern: RegExp; readonly found: (match: RegExpExecArray) => void } | undefined;

  add(text: string): void {
    this.#text += text;
    this.#look();
  }

  expect(pattern: RegExp, limitMs: number): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#waiting = undefined;
        reject(
          new Error(`No ${String(pattern)} within ${limitMs / 1000} s; the last output:\n${this.#text.slice(-800)}`),
        );
      };
      const timer = setTimeout(late, limitMs);
      const found = (match: RegExpExecArray): void => {
        clearTimeout(timer);
        resolve(match);
      };
      this.#waiting = { pattern, found };
      this.#look();
    });
  }

  #look(): void {
    const match = this.#waiting?.pattern.exec(this.#text);
    if (match === null || match === undefined) return;
    const { found } = this.#waiting!;
    this.#waiting = undefined;
    this.#text = this.#text.slice(match.index + match[0].length);
    found(match);
  }
}

export abstract class IoGuest {
  protected readonly transcript: Transcript = new Transcript();
  readonly #disks = new Map<string, string>();

  protected abstract type(line: string): void;
  protected abstract cpuMs(): number;

  /** Resolves when the guest waits for work. */
  async booted(): Promise<void> {
    for (;;) {
      const [, disk, serial] = await this.transcript.expect(/disk (nvme\d+n1) (\w+)|\nready/, BOOT_LIMIT_MS);
      if (disk === undefined) return;
      this.#disks.set(serial!, disk);
    }
  }

  /** Does `count` requests on the disk with this serial number. */
  async work(serial: string, mode: string, count: number): Promise<Work> {
    const disk = this.#disks.get(serial);
    if (disk === undefined) throw new Error(`The guest has no disk "${serial}"`);
    this.type(`${disk} ${mode} ${count}\n`);
    await this.transcript.expect(/begin\r?\n/, WORK_LIMIT_MS);
    const beginCpuMs = this.cpuMs();
    const beginMs = performance.now();
    await this.transcript.expect(/done \d+ ns\r?\n/, WORK_LIMIT_MS);
    return { wallMs: performance.now() - beginMs, cpuMs: this.cpuMs() - beginCpuMs };
  }
}

/** A guest of another program. */
export class ForeignGuest extends IoGuest implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  constructor({ program, options }: Emulator, args: readonly string[]) {
    super();
    this.#child = spawn(program, [...options, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout.setEncoding("latin1").on("data", (text: string) => this.transcript.add(text));
  }

  protected override type(line: string): void {
    this.#child.stdin.write(line);
  }

  protected override cpuMs(): number {
    return processCpuMs(this.#child.pid);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

class ScriptedChar implements CharBackend {
  readonly label = "console";
  #front: CharFront | undefined;
  #input: readonly number[] = [];
  readonly #told: (text: string) => void;

  constructor(told: (text: string) => void) {
    this.#told = told;
  }

  write(bytes: Uint8Array): number {
    this.#told(Buffer.from(bytes).toString("latin1"));
    return bytes.length;
  }

  attach(front: CharFront | undefined): void {
    this.#front = front;
    this.frontReady();
  }

  frontReady(): void {
    const room = Math.min(this.#front?.room() ?? 0, this.#input.length);
    if (room <= 0) return;
    const part = Uint8Array.from(this.#input.slice(0, room));
    this.#input = this.#input.slice(room);
    this.#front!.receive(part);
  }

  type(text: string): void {
    this.#input = [...this.#input, ...Buffer.from(text)];
    this.frontReady();
  }

  close(): void {
    this.#front = undefined;
  }
}

/** A guest of this process, so that its dirty tracking can be begun and ended. */
export class OwnGuest extends IoGuest implements AsyncDisposable {
  readonly machine: Machine;
  readonly #console: ScriptedChar;
  readonly #close: () => Promise<void>;

  static async make(args: readonly string[]): Promise<OwnGuest> {
    const parsed = parseQemuOptions([...args, "-display", "none", "-serial", "null"]);
    if (parsed.kind !== "run") throw new Error(parsed.text);
    const { machine: plan } = parsed.plan;
    const heard: { by?: OwnGuest } = {};
    const console = new ScriptedChar((text) => heard.by?.transcript.add(text));
    const lent = { id: "console", subject: "console", mux: false, backend: { kind: "lent" } } as const;
    const opened = await openPlan(
      { ...plan, chardevs: [lent], serials: ["console"] },
      { warn: () => {}, onQuit: () => {}, onWaiting: () => {}, lent: new Map([["console", console]]) },
    );
    const host = createNodeHost({ trace: silentTrace });
    const machine = makeMachine(plan, opened, host, () => {});
    const close = async (): Promise<void> => {
      await machine.close();
      await opened.close();
      host.close();
    };
    const guest = new OwnGuest(machine, console, close);
    heard.by = guest;
    machine.start();
    return guest;
  }

  private constructor(machine: Machine, console: ScriptedChar, close: () => Promise<void>) {
    super();
    this.machine = machine;
    this.#console = console;
    this.#close = close;
  }

  protected override type(line: string): void {
    this.#console.type(line);
  }

  protected override cpuMs(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }

  /** Asks every `intervalMs` for the pages that were written, as a migration or a meter does. */
  async tracked(intervalMs: number, during: () => Promise<Work>): Promise<Work> {
    const epoch = this.machine.movable.notes.openEpoch("bench");
    const timer = setInterval(() => epoch.read(), intervalMs);
    try {
      return await during();
    } finally {
      clearInterval(timer);
      epoch.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
