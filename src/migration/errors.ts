import { VmError } from "../base/index.ts";

export class MigrationError extends VmError<
  /** The stream is no stream, is damaged, or breaks its own rules. */
  | "badStream"
  /** It is of another version, or has a part that must be understood and is not. */
  | "unknownPart"
  /** The machine here is not the machine there. */
  | "otherMachine"
  /** The channel broke, or its other end went. */
  | "channelLost"
  /** A device, or what keeps track of its writes, refused a call. */
  | "deviceFailed"
  /** The other side said no. */
  | "refused"
  | "cancelled"
  /** Something of the machine cannot be moved. */
  | "blocked"
> {
  override readonly room = "migration";
}

/** What a refused call of the machine becomes; our own broken invariants stay what they are. */
export function refusedBy(what: string, cause: unknown): unknown {
  if (!(cause instanceof VmError)) return cause;
  return new MigrationError("deviceFailed", `${what}: ${cause.message}`, { cause });
}
