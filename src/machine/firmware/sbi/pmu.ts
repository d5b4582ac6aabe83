// Performance monitoring extension (SBI 2.0, chapter 11) over no counters at all: cycle, time and instret are read
// without it, and nothing else counts.
import { failure, notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { Eid, SbiError } from "./spec.ts";

export class PmuExtension implements SbiExtension {
  readonly eid: number = Eid.pmu;

  call({ functionId, args }: SbiCall): SbiAnswer {
    switch (functionId) {
      case 0n: // num_counters
        return success(0n);
      case 1n: // counter_get_info: no index exists
      case 5n: // counter_fw_read
      case 6n: // counter_fw_read_hi
        return failure(SbiError.invalidParam);
      case 2n: // counter_config_matching: a set that names a counter is invalid, an empty one matches nothing
        return failure(args[1] === 0n ? SbiError.notSupported : SbiError.invalidParam);
      case 3n: // counter_start
      case 4n: // counter_stop
        return args[1] === 0n ? success() : failure(SbiError.invalidParam);
      default: // 7n, snapshot_set_shmem, is optional
        return notSupported;
    }
  }
}
