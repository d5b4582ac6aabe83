import { VmError } from "../../../base/index.ts";

/** `badConfig`: properties that do not fit together or to the disk. `badState`: saved state of another controller. */
export type NvmeErrorCode = "badConfig" | "badState";

export class NvmeError extends VmError<NvmeErrorCode> {
  override readonly room = "device/storage/nvme";
}
