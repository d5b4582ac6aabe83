// Operator and host errors: typed, with a stable code and what would do instead.

export interface VmErrorOptions {
  /** What the error is about (an option's text, a path, a device id), shown by front ends beside the message. */
  readonly subject?: string;
  readonly cause?: unknown;
}

/**
 * Base of every error that an operator or a host can cause. Each room derives one class with its own codes:
 *
 *     export class BlockError extends VmError<"readOnly" | "badHeader"> { override readonly room = "block"; }
 *
 * The message is a sentence without a final period: what was found, and what would do.
 */
export abstract class VmError<Code extends string = string> extends Error {
  abstract readonly room: string;
  readonly code: Code;
  readonly subject: string | undefined;

  constructor(code: Code, message: string, options: VmErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.subject = options.subject;
  }

  override get name(): string {
    return `${this.constructor.name}[${this.code}]`;
  }
}
