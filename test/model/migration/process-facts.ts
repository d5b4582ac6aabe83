// What a process holds, as Linux tells: descriptors by what they are, children, and who has an image's lock.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** The process whose command line has this text; undefined when there is none. */
export function pidOf(text: string): number | undefined {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    if (read(`/proc/${name}/cmdline`).includes(text)) return Number(name);
  }
  return undefined;
}

/** Its descriptors by kind, and its children: equal texts mean that nothing was left or lost. */
export function holdingsOf(pid: number): string {
  const counts = new Map<string, number>();
  for (const target of targetsOf(pid)) {
    const kind = target
      .replace(/:\[\d+\]$/, "")
      .replace(/ \(deleted\)$/, "")
      .replace(/machine\d+/, "machine");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const children = read(`/proc/${pid}/task/${pid}/children`)
    .trim()
    .split(/\s+/)
    .filter((child) => child !== "");
  return JSON.stringify({
    descriptors: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    children: children.length,
  });
}

/** Of these processes, the ones that hold the lock of an image (`host/node/image-lock.ts`). */
export function holdersOf(image: string, pids: readonly number[]): number[] {
  const { dev, ino } = statSync(image);
  const line = read("/proc/net/unix")
    .split("\n")
    .find((each) => each.includes(`@ratite-image-${dev}-${ino}`));
  const inode = line?.trim().split(/\s+/)[6];
  return inode === undefined ? [] : pids.filter((pid) => targetsOf(pid).includes(`socket:[${inode}]`));
}

function targetsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
