import { VmError } from "../base/index.ts";

/** The classes that QMP errors have; everything but these is GenericError. */
export type QmpErrorClass = "GenericError" | "CommandNotFound" | "DeviceNotFound" | "DeviceNotActive" | "KVMMissingCap";

/** What a command answers instead of a result. The message is QEMU's. */
export class QmpError extends VmError<QmpErrorClass> {
  override readonly room = "monitor";

  constructor(message: string, code: QmpErrorClass = "GenericError", options: { readonly cause?: unknown } = {}) {
    super(code, message, options);
  }
}
