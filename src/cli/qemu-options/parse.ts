// A command line in QEMU's grammar: to a plan, or to a text to print.
import { splitCommandLine } from "../../object/index.ts";
import { CliError } from "../errors.ts";
import type { ProgramPlan } from "../plan.ts";
import { buildPlan } from "./build-plan.ts";
import { ConfigDraft } from "./draft.ts";
import { optionHelp } from "./help.ts";
import { allOptions, workingOptions } from "./table.ts";

export type Parsed =
  | { readonly kind: "information"; readonly text: string }
  | { readonly kind: "run"; readonly plan: ProgramPlan };

/**
 * Throws OptionError or CliError with the option at fault as subject. `prepare` puts defaults below what the options say.
 */
export function parseQemuOptions(args: readonly string[], prepare?: (draft: ConfigDraft) => void): Parsed {
  const { options, words } = splitCommandLine(allOptions, args);
  const draft = new ConfigDraft();
  prepare?.(draft);
  for (const given of options) {
    workingOptions.find(({ name }) => name === given.option.name)?.apply(draft, given);
    if (draft.helpWanted) return { kind: "information", text: optionHelp() };
    if (draft.information !== undefined) return { kind: "information", text: draft.information };
  }
  const word = words[0];
  if (word !== undefined) {
    const message =
      "A disk without an option would be an IDE disk, which the board has not; use -drive file=FILE,format=raw,if=virtio";
    throw new CliError("badUsage", message, { subject: word });
  }
  return { kind: "run", plan: buildPlan(draft) };
}
