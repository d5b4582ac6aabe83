// Base extension (SBI 2.0, chapter 4): what this SBI is and which extensions it has.
import { Csr } from "./csr.ts";
import { notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { Eid, IMPLEMENTATION_ID, IMPLEMENTATION_VERSION, SPEC_VERSION } from "./spec.ts";

export class BaseExtension implements SbiExtension {
  readonly eid: number = Eid.base;
  readonly #has: (eid: bigint) => boolean;

  constructor(has: (eid: bigint) => boolean) {
    this.#has = has;
  }

  call({ hart, functionId, args }: SbiCall): SbiAnswer {
    switch (functionId) {
      case 0n:
        return success(SPEC_VERSION);
      case 1n:
        return success(IMPLEMENTATION_ID);
      case 2n:
        return success(IMPLEMENTATION_VERSION);
      case 3n:
        return success(this.#has(args[0]) ? 1n : 0n);
      case 4n:
        return success(hart.readCsr(Csr.mvendorid) ?? 0n);
      case 5n:
        return success(hart.readCsr(Csr.marchid) ?? 0n);
      case 6n:
        return success(hart.readCsr(Csr.mimpid) ?? 0n);
      default:
        return notSupported;
    }
  }
}
