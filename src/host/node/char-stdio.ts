// Standard input and output: a terminal in raw mode, or pipes and files.
import type { Readable, Writable } from "node:stream";
import type { CharFront } from "../../chardev/port.ts";
import type { CharErrorSink, HostCharBackend } from "./char-port.ts";
import { errnoText } from "./errors.ts";
import { StreamInput } from "./stream-input.ts";
import { StreamOutput } from "./stream-output.ts";
import { enterRawMode } from "./terminal.ts";

export interface StdioOptions {
  readonly label: string;
  /** True: Ctrl-C, Ctrl-\ and Ctrl-Z of a terminal act on this process. False: the guest gets them. */
  readonly signal: boolean;
  readonly onError: CharErrorSink;
  /** Default: those of this process. */
  readonly stdin?: Readable & { readonly isTTY?: boolean; unref?(): unknown };
  readonly stdout?: Writable;
}

/** Keys that a terminal turns into signals when it is not raw. */
const SIGNAL_KEYS: ReadonlyMap<number, NodeJS.Signals> = new Map([
  [0x03, "SIGINT"],
  [0x1c, "SIGQUIT"],
  [0x1a, "SIGTSTP"],
]);

/** At most one in a process. A terminal is made raw here and restored by `close` and at exit. */
export function openStdio(options: StdioOptions): HostCharBackend {
  const { label, signal, onError, stdin = process.stdin, stdout = process.stdout } = options;
  let front: CharFront | undefined;
  const isTerminal = stdin.isTTY === true;
  const terminal = isTerminal ? enterRawMode(process.stdin) : undefined;
  const output = new StreamOutput(stdout, {
    onRoom: () => front?.writable?.(),
    onError: (error) => onError(`Could not write to standard output: ${errnoText(error)}`),
  });
  const filter = isTerminal && signal ? takeSignalKeys : undefined;
  const input = new StreamInput(stdin, () => front?.event?.("closed"), filter);
  // The last words of a crash reach a terminal, whose writes are synchronous.
  const flushAtExit = (): void => output.flush();
  process.on("exit", flushAtExit);
  return {
    label,
    write: (bytes) => output.write(bytes),
    attach(next) {
      front = next;
      if (next !== undefined) next.event?.("opened");
      input.attach(next);
    },
    frontReady: () => input.deliver(),
    drained: () => output.drained(),
    close() {
      front = undefined;
      input.detach();
      output.detach();
      terminal?.restore();
      process.off("exit", flushAtExit);
      // A paused pipe or terminal would still keep the process alive.
      stdin.unref?.();
    },
  };
}

function takeSignalKeys(bytes: Uint8Array): Uint8Array {
  const kept = bytes.filter((byte) => !SIGNAL_KEYS.has(byte));
  if (kept.length === bytes.length) return bytes;
  for (const byte of bytes) {
    const name = SIGNAL_KEYS.get(byte);
    if (name !== undefined) process.kill(process.pid, name);
  }
  return kept;
}
