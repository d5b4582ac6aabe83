// A call that the host refused, as the operator hears of it.
import { refusalOf, type IommufdError } from "../iommufd/index.ts";
import { VfioError, type VfioErrorCode } from "./errors.ts";
import { explain, reasonText, type Reason } from "./explain.ts";

/** `detail`: what of the device it was about. */
export function refused(
  code: VfioErrorCode,
  what: Exclude<Reason["what"], "migration">,
  device: string,
  cause: IommufdError,
  detail = "",
): VfioError {
  const refusal = refusalOf(cause);
  const because = detail === "" ? refusal.because : `${refusal.because} (${detail})`;
  const reasons = explain({ refused: [{ what, device, refusal: { ...refusal, because } }], migrating: [] });
  return new VfioError(code, reasonText(reasons[0]!), { subject: device, cause, reasons });
}
