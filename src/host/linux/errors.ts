import { VmError } from "../../base/index.ts";

/** The host cannot be served, or its client library cannot be made. */
export class HostServerError extends VmError<
  "cannotListen" | "openFolder" | "noCompiler" | "compileFailed" | "noSource" | "cannotStart"
> {
  override readonly room = "host/linux";
}
