// What an operator can get wrong on a command line; printed as `program: subject: message`.
import { VmError } from "../base/index.ts";

export type CliErrorCode =
  | "badUsage"
  | "unknownCommand"
  | "badFile"
  | "unsupported"
  /** A machine that this program started has gone, or refuses a command. */
  | "machineFailed"
  /** The guest has not what it should have. */
  | "guestFailed";

export class CliError extends VmError<CliErrorCode> {
  override readonly room = "cli";
}

/** `program: -kernel x: Could not open 'x': No such file or directory`; the stack too when it is our own mistake. */
export function errorLine(program: string, error: unknown): string {
  if (error instanceof VmError) {
    const subject =
      error.subject === undefined || error.message.includes(`'${error.subject}'`) ? "" : `${error.subject}: `;
    return `${program}: ${subject}${error.message}`;
  }
  if (error instanceof Error) return `${program}: internal error: ${error.stack ?? error.message}`;
  return `${program}: internal error: ${String(error)}`;
}

/** Runs `open`; an operator's or host's error in it is told as one about `subject`, the option that asked for it. */
export function withSubject<T>(subject: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw aboutSubject(subject, error);
  }
}

/** `error` as one about `subject`; our own mistakes stay what they are. */
export function aboutSubject(subject: string, error: unknown): unknown {
  if (!(error instanceof VmError)) return error;
  return new CliError("badFile", error.message, { subject, cause: error });
}
