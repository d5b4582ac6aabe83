// A command line by table: which options exist, whether each takes an argument, and in which grammar that is written.
import { OptionError } from "./errors.ts";
import { parseOptions, type OptionRules, type ParsedOptions } from "./options.ts";

export interface CommandLineOption {
  /** Without dashes: `machine`. */
  readonly name: string;
  /** Other spellings: `M`. */
  readonly aliases?: readonly string[];
  /** `none`, plain `text`, or a grammar. Left out: none. */
  readonly argument?: "none" | "text" | OptionRules;
  /** The argument in help texts: `[type=]name[,prop=value]`. */
  readonly synopsis?: string;
  readonly description: string;
  /** Refused when given, with this reason: a sentence without capital or period that continues "is not supported: ". */
  readonly refused?: string;
}

/** One option as it stood on the command line. */
export interface GivenOption {
  readonly option: CommandLineOption;
  /** As given, for errors: `-M virt,foo=1`. */
  readonly subject: string;
  /** Empty when the option takes none. */
  readonly argument: string;
  /** There when the option has a grammar. */
  readonly parsed?: ParsedOptions;
}

export interface CommandLine {
  /** In the order given; order matters to QEMU (`-drive` before the `-device` that uses it need not be, but ids do). */
  readonly options: readonly GivenOption[];
  /** Words that are no options. */
  readonly words: readonly string[];
}

/**
 * Splits arguments by `table`. `--name` is the same as `-name`; an argument may start with a dash.
 * Throws OptionError `unknownOption`, `missingArgument`, `unsupported`, or what `parseOptions` throws.
 */
export function splitCommandLine(table: readonly CommandLineOption[], args: readonly string[]): CommandLine {
  const byName = indexOptions(table);
  const options: GivenOption[] = [];
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (!word.startsWith("-")) {
      words.push(word);
      continue;
    }
    const option = byName.get(word.replace(/^--?/, ""));
    if (option === undefined) throw new OptionError("unknownOption", "invalid option", { subject: word });
    const takesArgument = (option.argument ?? "none") !== "none";
    const argument = takesArgument ? args[++at] : "";
    if (argument === undefined) throw new OptionError("missingArgument", "requires an argument", { subject: word });
    options.push(takeOption(option, word, argument));
  }
  return { options, words };
}

function takeOption(option: CommandLineOption, spelling: string, argument: string): GivenOption {
  const subject = `${spelling} ${argument}`.trim();
  if (option.refused !== undefined) {
    throw new OptionError("unsupported", `This option is not supported: ${option.refused}`, { subject });
  }
  const given = { option, subject, argument };
  if (typeof option.argument !== "object") return given;
  return { ...given, parsed: parseOptions(spelling, argument, option.argument) };
}

function indexOptions(table: readonly CommandLineOption[]): Map<string, CommandLineOption> {
  return new Map(table.flatMap((option) => [option.name, ...(option.aliases ?? [])].map((name) => [name, option])));
}

/** Help text of a table, one paragraph per option, refused ones left out. */
export function commandLineHelp(table: readonly CommandLineOption[]): string {
  return table
    .filter((option) => option.refused === undefined)
    .map((option) => {
      const spellings = [option.name, ...(option.aliases ?? [])].map((name) => `-${name}`).join(" or ");
      return `${spellings}${option.synopsis === undefined ? "" : ` ${option.synopsis}`}\n        ${option.description}\n`;
    })
    .join("");
}
