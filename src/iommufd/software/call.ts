// One ioctl in progress: who calls, the decoded request, and how the reply goes back.
import type { Caller, HostFile } from "../port.ts";
import { Errno, type AnyLayout } from "../uapi/index.ts";
import type { IommufdContext } from "./context.ts";

export class Call<F extends object = object> {
  readonly context: IommufdContext;
  readonly caller: Caller;
  readonly argument: bigint;
  readonly request: F;
  readonly #layout: AnyLayout;
  readonly #callerBytes: number;

  constructor(
    context: IommufdContext,
    caller: Caller,
    argument: bigint,
    request: F,
    layout: AnyLayout,
    callerBytes: number,
  ) {
    this.context = context;
    this.caller = caller;
    this.argument = argument;
    this.request = request;
    this.#layout = layout;
    this.#callerBytes = callerBytes;
  }

  /** Gives the caller a descriptor of a new file: its number, or a negative errno. */
  installFile(file: HostFile): number {
    return this.context.memory.failAt("descriptor") ? -Errno.EMFILE : this.caller.files.install(file);
  }

  /** Writes the request back with its out fields, as much as the caller knows of. Zero or -EFAULT. */
  respond(): number {
    if (this.context.memory.failAt("reply")) return -Errno.EFAULT;
    const bytes = this.#layout.encode(this.request);
    const known = Math.min(this.#callerBytes, bytes.length);
    return this.caller.memory.write(this.argument, known === bytes.length ? bytes : bytes.subarray(0, known))
      ? 0
      : -Errno.EFAULT;
  }
}
