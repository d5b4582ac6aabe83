// A file that receives what the guest writes; it gives no input.
import { createWriteStream, fstatSync, openSync, closeSync, constants } from "node:fs";
import type { CharFront } from "../../chardev/port.ts";
import type { CharErrorSink, HostCharBackend } from "./char-port.ts";
import { errnoText, HostError } from "./errors.ts";
import { StreamOutput } from "./stream-output.ts";

export interface FileCharOptions {
  readonly label: string;
  readonly path: string;
  /** Write after what is there instead of emptying the file first. */
  readonly append: boolean;
  readonly onError: CharErrorSink;
}

/** Throws HostError when the file cannot be opened for writing. */
export function openFileChar({ label, path, append, onError }: FileCharOptions): HostCharBackend {
  const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC, O_NONBLOCK } = constants;
  let fd: number;
  try {
    // O_NONBLOCK: opening a FIFO must not wait for its reader.
    fd = openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK | (append ? O_APPEND : O_TRUNC), 0o666);
  } catch (cause) {
    throw new HostError("cannotOpen", `Could not open '${path}': ${errnoText(cause)}`, { subject: path, cause });
  }
  if (fstatSync(fd).isFIFO()) {
    closeSync(fd);
    throw new HostError("badFile", `'${path}' is a FIFO; a regular file or a device would do`, { subject: path });
  }
  const stream = createWriteStream(path, { fd });
  let front: CharFront | undefined;
  const output = new StreamOutput(stream, {
    onRoom: () => front?.writable?.(),
    onError: (error) => onError(`Could not write to '${path}': ${errnoText(error)}`),
  });
  return {
    label,
    write: (bytes) => output.write(bytes),
    attach(next) {
      front = next;
      next?.event?.("opened");
    },
    frontReady: () => {},
    drained: () => output.drained(),
    close() {
      front = undefined;
      output.detach();
      stream.end();
    },
  };
}
