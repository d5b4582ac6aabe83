// Typed errors across threads: the same class, code and subject come out on the other side.
import { VmError, type VmErrorOptions } from "../../base/index.ts";
import { HostError } from "../../host/node/index.ts";
import { MachineError } from "../../machine/index.ts";
import { OptionError } from "../../object/index.ts";
import { CliError } from "../errors.ts";
import type { ErrorData } from "./protocol.ts";

type ErrorClass = new (code: never, message: string, options?: VmErrorOptions) => VmError;

const CLASSES: Readonly<Record<string, ErrorClass>> = {
  machine: MachineError,
  "host/node": HostError,
  object: OptionError,
  cli: CliError,
};

/** A typed error of a room whose class is not carried across. */
class RemoteError extends VmError {
  override readonly room: string;

  constructor(room: string, code: string, message: string, options: VmErrorOptions) {
    super(code, message, options);
    this.room = room;
  }
}

export function errorToData(error: unknown): ErrorData {
  if (error instanceof VmError) {
    const { room, code, subject, message } = error;
    return subject === undefined ? { room, code, message } : { room, code, subject, message };
  }
  if (!(error instanceof Error)) return { message: String(error) };
  return error.stack === undefined ? { message: error.message } : { message: error.message, stack: error.stack };
}

export function errorFromData({ room, code, subject, message, stack }: ErrorData): Error {
  if (room !== undefined && code !== undefined) {
    const options = subject === undefined ? {} : { subject };
    const known = CLASSES[room];
    return known === undefined
      ? new RemoteError(room, code, message, options)
      : new known(code as never, message, options);
  }
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
