// The terminal in raw mode, so that the guest sees every key, and its undoing however this process ends.
import type { ReadStream } from "node:tty";

/** Puts `stdin` into raw mode; `restore` is idempotent and also runs when the process exits or is suspended. */
export function enterRawMode(stdin: ReadStream): { restore: () => void } {
  let active = true;
  const set = (raw: boolean): void => {
    try {
      stdin.setRawMode(raw);
    } catch {
      // The terminal has gone away; there is nothing left to restore.
    }
  };
  const leave = (): void => set(false);
  const suspend = (): void => {
    leave();
    process.once("SIGTSTP", suspend);
    process.kill(process.pid, "SIGSTOP");
  };
  const resume = (): void => set(true);
  const restore = (): void => {
    if (!active) return;
    active = false;
    leave();
    process.off("exit", restore);
    process.off("SIGTSTP", suspend);
    process.off("SIGCONT", resume);
  };
  set(true);
  process.once("SIGTSTP", suspend);
  process.on("SIGCONT", resume);
  // `exit` also comes after an uncaught exception and a rejected promise; signals that end us must lead to it.
  process.on("exit", restore);
  return { restore };
}
