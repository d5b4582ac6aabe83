// What the host refuses, as the operator hears of it.
import { Errno, refusalOf, type IommufdError, type Refusal } from "../iommufd/index.ts";
import { VfioError, type VfioErrorCode } from "./errors.ts";
import { explain, reasonText, type Reason } from "./explain.ts";

type What = Exclude<Reason["what"], "migration">;

/** A call that the host refused. `detail`: what of the device it was about. */
export function refused(code: VfioErrorCode, what: What, device: string, cause: IommufdError, detail = ""): VfioError {
  const refusal = refusalOf(cause);
  const because = detail === "" ? refusal.because : `${refusal.because} (${detail})`;
  return errorOf(code, { what, device, refusal: { ...refusal, because } }, cause);
}

/** What the host would refuse in other words: it does not know who has the device. */
export function assignedAlready(device: string): VfioError {
  const refusal = {
    call: "VFIO_DEVICE_BIND_IOMMUFD",
    errno: Errno.EINVAL,
    because: "this machine has it already",
    remedy: "taking it out first (device_del), or another device",
  };
  return errorOf("cannotOpen", { what: "attachment", device, refusal });
}

function errorOf(
  code: VfioErrorCode,
  about: { readonly what: What; readonly device: string; readonly refusal: Refusal },
  cause?: IommufdError,
): VfioError {
  const reasons = explain({ refused: [about], migrating: [] });
  return new VfioError(code, reasonText(reasons[0]!), { subject: about.device, cause, reasons });
}
