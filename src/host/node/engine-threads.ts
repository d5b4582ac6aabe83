// The engine optimizes generated code on threads of its own. Where processors are few they take turns with the thread that
// runs the guest, which is the one that somebody waits for.
import { readdirSync } from "node:fs";
import { setPriority } from "node:os";
import { isMainThread } from "node:worker_threads";

/** As `nice` counts: about a tenth of the guest's share, and all that the guest leaves. */
const niceness = 10;
/** Node makes one for delayed tasks and four for work, before any other thread. */
const engineThreads = 5;

/** Lets the engine's threads step back, on Linux and from the main thread; elsewhere they stay as they are. */
export function makeEngineThreadsYield(): void {
  if (process.platform !== "linux" || !isMainThread) return;
  try {
    const threads = readdirSync("/proc/self/task").map(Number);
    const others = threads.filter((id) => id !== process.pid).sort((a, b) => a - b);
    for (const id of others.slice(0, engineThreads)) setPriority(id, niceness);
  } catch {
    // Without /proc, or where priorities may not be changed, the guest is only slower.
  }
}
