// The host's mistakes as typed errors, with the C library's wording for errno so that messages read like other tools'.
import { getSystemErrorMap } from "node:util";
import { VmError } from "../../base/index.ts";

export type HostErrorCode =
  | "cannotOpen"
  | "cannotWrite"
  | "cannotConnect"
  | "cannotListen"
  | "busy"
  | "badFile"
  | "noEntropy"
  | "aborted";

/** A file, socket or terminal of the host that did not do what it was asked. */
export class HostError extends VmError<HostErrorCode> {
  override readonly room = "host/node";
}

/** `No such file or directory` for an ENOENT; the error's own message when it has no errno. */
export function errnoText(error: unknown): string {
  const { errno, message } = error as { errno?: unknown; message?: unknown };
  const known = typeof errno === "number" ? getSystemErrorMap().get(errno)?.[1] : undefined;
  if (known !== undefined) return known.charAt(0).toUpperCase() + known.slice(1);
  return typeof message === "string" ? message : String(error);
}
