// GNU-style arguments of `ratite`: `--name VALUE`, `--name=VALUE`, words, and what follows `--`.
import { CliError } from "./errors.ts";
import { nearestName } from "../base/index.ts";

/** Long name to its kind: `text` takes a value (the last one counts), `list` takes one each time, `flag` takes none. */
export type ArgumentSpec = Readonly<Record<string, "text" | "list" | "flag">>;

export interface Arguments {
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  flag(name: string): boolean;
  readonly words: readonly string[];
  /** What stood after `--`. */
  readonly rest: readonly string[];
}

/** Throws CliError `badUsage` for an option that `spec` does not have, with the nearest one that it has. */
export function parseArguments(args: readonly string[], spec: ArgumentSpec): Arguments {
  const separator = args.indexOf("--");
  const own = separator < 0 ? args : args.slice(0, separator);
  const values = new Map<string, string[]>();
  const words: string[] = [];
  for (let at = 0; at < own.length; at++) {
    const word = own[at] ?? "";
    if (!word.startsWith("-")) {
      words.push(word);
      continue;
    }
    const [, name = "", joined] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const kind = Object.hasOwn(spec, name) && word.startsWith("--") ? spec[name] : undefined;
    if (kind === undefined) throw unknownOption(word, name, Object.keys(spec));
    const value = kind === "flag" ? joined : (joined ?? own[++at]);
    if (kind === "flag" && joined !== undefined) throw new CliError("badUsage", "takes no value", { subject: word });
    if (kind !== "flag" && value === undefined) throw new CliError("badUsage", "requires a value", { subject: word });
    values.set(name, [...(values.get(name) ?? []), value ?? ""]);
  }
  return {
    text: (name) => values.get(name)?.at(-1),
    list: (name) => values.get(name) ?? [],
    flag: (name) => values.has(name),
    words,
    rest: separator < 0 ? [] : args.slice(separator + 1),
  };
}

function unknownOption(word: string, name: string, names: readonly string[]): CliError {
  const nearest = nearestName(name, names);
  const would = nearest === undefined ? "--help lists the options" : `did you mean --${nearest}?`;
  const qemu = word.startsWith("--") ? "" : "; QEMU's options go after --";
  return new CliError("badUsage", `invalid option; ${would}${qemu}`, { subject: word });
}
