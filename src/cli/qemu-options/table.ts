// Every option: what works, by section, and what is refused. The parser, -help and COMPATIBILITY.md read this.
import { absentOptions } from "./absent.ts";
import { bootOptions } from "./boot.ts";
import { characterOptions } from "./character.ts";
import { diskOptions } from "./disk.ts";
import { machineOptions } from "./machine.ts";
import { monitorOptions } from "./monitor.ts";
import { objectOptions } from "./object.ts";
import type { QemuOption, RefusedOption } from "./option.ts";
import { refusedOptions } from "./refused.ts";
import { runOptions } from "./run.ts";
import { timeOptions } from "./time.ts";

export const workingOptions: readonly QemuOption[] = [
  ...machineOptions,
  ...bootOptions,
  ...diskOptions,
  ...objectOptions,
  ...characterOptions,
  ...monitorOptions,
  ...timeOptions,
  ...runOptions,
  ...absentOptions,
];

export const allOptions: readonly (QemuOption | RefusedOption)[] = [...workingOptions, ...refusedOptions];

export function isRefused(option: QemuOption | RefusedOption): option is RefusedOption {
  return option.refused !== undefined;
}
