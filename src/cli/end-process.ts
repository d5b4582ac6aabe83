// The end of a program: everything printed has left, then the process ends, whatever handle is still open.
import type { Writable } from "node:stream";

// A terminal that has gone (EIO) must not keep what it has ended from cleaning up.
process.stderr.on("error", () => undefined);

/** Waits for the status and for standard output and error to drain. */
export async function endProcess(main: Promise<number>): Promise<never> {
  const status = await main;
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(status);
}

function flushed(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) return resolve();
    stream.once("error", () => resolve());
    stream.write("", () => resolve());
  });
}
