// Options that say that something is not there, which is the case: -display none, -net none, -nodefaults.
import { OptionError } from "../../object/index.ts";
import type { ConfigDraft } from "./draft.ts";
import type { QemuOption } from "./option.ts";

/** An option whose only values are words that mean "none". */
function noneOnly(
  name: string,
  refusal: string,
  description: string,
  apply?: (draft: ConfigDraft) => void,
): QemuOption {
  return {
    name,
    section: "Absent hardware",
    argument: "text",
    synopsis: "none",
    description,
    example: `-${name} none`,
    differs: "`none` only",
    apply(draft, given) {
      if (given.argument === "none") return apply?.(draft);
      throw new OptionError("unsupported", `${refusal}; use -${name} none`, given);
    },
  };
}

const nographic: QemuOption = {
  name: "nographic",
  section: "Absent hardware",
  description: "No display; the serial port on the terminal (mon:stdio): Ctrl-C goes to the guest, Ctrl-A X ends",
  example: "-nographic",
  apply(draft) {
    draft.nographic = true;
  },
};

const noDefaults: QemuOption = {
  name: "nodefaults",
  section: "Absent hardware",
  description: "No default devices: the serial port is connected to nothing unless -serial says so",
  example: "-nodefaults -serial stdio",
  apply(draft) {
    draft.noDefaults = true;
  },
};

const noUserConfig: QemuOption = {
  name: "no-user-config",
  section: "Absent hardware",
  description: "Read no configuration files; Ratite reads none anyway",
  example: "-no-user-config",
  apply() {},
};

const display = noneOnly(
  "display",
  "Ratite has no display yet",
  "There is no display; without -serial the serial port is connected to nothing",
  (draft) => {
    draft.displayNone = true;
  },
);

export const absentOptions: readonly QemuOption[] = [
  nographic,
  display,
  noneOnly("vga", "Ratite has no display yet", "There is no graphics card"),
  noneOnly("audio", "Ratite has no sound yet", "There is no sound"),
  noneOnly("net", "Ratite has no network yet", "There is no network"),
  noneOnly("nic", "Ratite has no network yet", "There is no network card"),
  noneOnly("parallel", "The board has no parallel port", "There is no parallel port"),
  noDefaults,
  noUserConfig,
];
