// SiFive test finisher: how a guest ends or resets the machine. Source: SiFive's `sifive,test1`, QEMU's `riscv.sifive.test`.
import { bits, getField, openEnum, type OpenEnum, type TracePort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { describeState, type StateDescription, type StateOf } from "../../state/index.ts";
import type { MmioDevice } from "../port.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

export type Finish =
  | { readonly kind: "pass" }
  | { readonly kind: "reset" }
  /** `code` is 0 to 65535. */
  | { readonly kind: "fail"; readonly code: number };

export interface SifiveTestOptions {
  /** Called during the guest's store: note it and stop the harts, do not tear down. */
  readonly finish: (finish: Finish) => void;
  readonly trace: TracePort;
}

export const sifiveTestInfo: DeviceTypeInfo = {
  typeName: "riscv.sifive.test",
  description: "Test finisher: power off, reset, exit with a code",
  properties: {},
};

/** What the low half of the register asks for. */
export const FinisherCommand: OpenEnum<{ fail: number; pass: number; reset: number }> = openEnum("FinisherCommand", {
  fail: 0x3333,
  pass: 0x5555,
  reset: 0x7777,
});
const COMMAND = bits(15, 0);
const CODE = bits(31, 16);

export class SifiveTest implements MmioDevice {
  readonly typeName: string = sifiveTestInfo.typeName;
  readonly mmioLengthBytes: number = 0x1000;
  readonly stateDescription: StateDescription = describeState("riscv.sifive.test", 1, []);
  readonly #options: SifiveTestOptions;
  readonly mmio: MmioHandler = {
    valid: { min: 2, max: 4 },
    impl: { min: 2, max: 4 },
    read: () => 0,
    write: (offset, _width, value) => this.#write(offset, value),
  };

  constructor(options: SifiveTestOptions) {
    this.#options = options;
  }

  reset(): void {}

  saveState(): StateOf<StateDescription> {
    return {};
  }

  loadState(): void {}

  #write(offset: number, value: number): void {
    const { finish, trace } = this.#options;
    const command = getField(value, COMMAND);
    if (offset === 0 && command === FinisherCommand.pass) finish({ kind: "pass" });
    else if (offset === 0 && command === FinisherCommand.reset) finish({ kind: "reset" });
    else if (offset === 0 && command === FinisherCommand.fail) finish({ kind: "fail", code: getField(value, CODE) });
    else
      trace.guestError("sifive_test", `write of ${FinisherCommand.name(command)} to offset 0x${offset.toString(16)}`);
  }
}
