// QEMU's option grammar: `virt,accel=tcg,share`, `a.b.0=c`, `{"driver":"x"}`.
// Two dialects exist there and here: "opts" (QemuOpts: flags `x` and `nox`) and "keyval" (dotted keys, no flags).
import { about, OptionError } from "./errors.ts";
import { nestKeys, parseJsonObject, type OptionTree } from "./nested-keys.ts";

export type OptionGrammar = "opts" | "keyval";

export interface OptionRules {
  /** Key of a first value that stands without one: `type` for `-machine virt`. */
  readonly impliedKey?: string;
  /** Default `opts`. */
  readonly grammar?: OptionGrammar;
  /** Accept a text that starts with `{` as JSON. */
  readonly json?: boolean;
  /** Keys that may be given; another one is refused. Left out: any key (the reader checks). */
  readonly keys?: readonly string[];
}

export interface OptionEntry {
  readonly key: string;
  /** As written, `,,` resolved. Flags are `on` and `off`. */
  readonly value: string;
  readonly form: "pair" | "flag" | "implied";
}

/** One option's argument, taken apart. */
export interface ParsedOptions {
  /** The option as given, for errors: `-device virtio-blk-device,drive=d0`. */
  readonly subject: string;
  /** In the order given; empty for the JSON form. */
  readonly entries: readonly OptionEntry[];
  /** `help` or `?` stood where a flag or the implied value may stand. */
  readonly helpWanted: boolean;
  /** Dotted keys made into objects and lists; for JSON the typed data itself. */
  readonly tree: OptionTree;
  /** True for the JSON form: scalars of `tree` are typed then, otherwise they are strings. */
  readonly isJson: boolean;
  /** The last value of a key, as text. Undefined for keys that were not given. */
  get(key: string): string | undefined;
  /** Every value of a key in order (`guestfwd=…,guestfwd=…`). */
  getAll(key: string): readonly string[];
}

/**
 * Takes an option's argument apart. Throws OptionError `badSyntax`, or `unknownParameter` when `rules.keys` is there.
 *
 *     parseOptions("-machine", "virt,aclint=on", { impliedKey: "type", grammar: "keyval" }).get("type") === "virt"
 */
export function parseOptions(option: string, text: string, rules: OptionRules = {}): ParsedOptions {
  const subject = `${option} ${text}`.trim();
  const isJson = rules.json === true && text.startsWith("{");
  const { entries, helpWanted } = isJson
    ? { entries: [], helpWanted: false }
    : rules.grammar === "keyval"
      ? splitKeyval(text, rules.impliedKey, subject)
      : splitOpts(text, rules.impliedKey);
  const given = isJson ? parseJsonObject(text, subject) : undefined;
  checkKeys(given === undefined ? entries.map((entry) => entry.key) : Object.keys(given), rules.keys, subject);
  let nested = given;
  return {
    subject,
    entries,
    helpWanted,
    isJson,
    get tree() {
      nested ??= nestKeys(entries, subject);
      return nested;
    },
    get: (key) =>
      given === undefined ? entries.filter((entry) => entry.key === key).at(-1)?.value : asText(given[key]),
    getAll: (key) => {
      if (given === undefined) return entries.filter((entry) => entry.key === key).map((entry) => entry.value);
      const value = asText(given[key]);
      return value === undefined ? [] : [value];
    },
  };
}

/** Splits at single commas and resolves `,,`; for options whose argument is a plain list. */
export function splitCommas(text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at <= text.length;) {
    const [value, next] = takeValue(text, at);
    parts.push(value);
    at = next + 1;
  }
  return parts;
}

/** Writes a value so that `parseOptions` reads it back: commas are doubled. */
export function escapeValue(value: string): string {
  return value.replaceAll(",", ",,");
}

export function isHelp(word: string): boolean {
  return word === "help" || word === "?";
}

interface Split {
  readonly entries: OptionEntry[];
  readonly helpWanted: boolean;
}

// QemuOpts (util/qemu-option.c): a first value without `=` belongs to the implied key, commas doubled in it too; a
// later word without `=` is a flag, with the prefix `no` meaning off; the last of equal keys counts.
function splitOpts(text: string, impliedKey: string | undefined): Split {
  const entries: OptionEntry[] = [];
  let helpWanted = false;
  for (let at = 0; at < text.length;) {
    const end = endOfKey(text, at);
    if (text[end] === "=") {
      const [value, next] = takeValue(text, end + 1);
      entries.push({ key: text.slice(at, end), value, form: "pair" });
      at = next + 1;
    } else if (at === 0 && impliedKey !== undefined) {
      const [value, next] = takeValue(text, 0);
      if (isHelp(value)) helpWanted = true;
      else entries.push({ key: impliedKey, value, form: "implied" });
      at = next + 1;
    } else {
      const word = text.slice(at, end);
      if (isHelp(word)) helpWanted = true;
      else if (word.startsWith("no")) entries.push({ key: word.slice(2), value: "off", form: "flag" });
      else entries.push({ key: word, value: "on", form: "flag" });
      at = end + 1;
    }
  }
  return { entries, helpWanted };
}

const KEY_FRAGMENT = /^(?:[0-9]+|(?:__[a-z0-9.-]+_)?[A-Za-z][A-Za-z0-9_-]*)$/;
const FRAGMENT_LIMIT = 127;

// util/keyval.c: every entry is key=value; keys are dotted paths of QAPI names and list indexes.
function splitKeyval(text: string, impliedKey: string | undefined, subject: string): Split {
  const entries: OptionEntry[] = [];
  let helpWanted = false;
  for (let at = 0; at < text.length;) {
    const end = endOfKey(text, at);
    const word = text.slice(at, end);
    if (text[end] !== "=" && isHelp(word)) {
      helpWanted = true;
      at = end + 1;
    } else if (at === 0 && impliedKey !== undefined && end > 0 && text[end] !== "=") {
      entries.push({ key: impliedKey, value: word, form: "implied" });
      at = end + 1;
    } else {
      checkKey(word, subject);
      if (text[end] !== "=") throw new OptionError("badSyntax", `Expected '=' after parameter '${word}'`, { subject });
      const [value, next] = takeValue(text, end + 1);
      entries.push({ key: word, value, form: "pair" });
      at = next + 1;
    }
  }
  return { entries, helpWanted };
}

function checkKey(key: string, subject: string): void {
  for (const [index, fragment] of key.split(".").entries()) {
    if (!KEY_FRAGMENT.test(fragment) || (index === 0 && /^[0-9]/.test(fragment))) {
      throw new OptionError("badSyntax", `Invalid parameter '${key}'`, { subject });
    }
    if (fragment.length > FRAGMENT_LIMIT) {
      throw new OptionError("badSyntax", `Parameter fragment '${fragment}' is too long`, { subject });
    }
  }
}

function checkKeys(given: readonly string[], known: readonly string[] | undefined, subject: string): void {
  if (known === undefined) return;
  const stranger = given.find((key) => !known.includes(key.split(".")[0]!));
  if (stranger !== undefined) throw unknownParameter(stranger, known, subject);
}

/** The error for a key that an option does not have, with what would do. */
export function unknownParameter(key: string, known: readonly string[], subject?: string): OptionError {
  const would = known.length === 0 ? "it takes no parameters" : `known are ${known.join(", ")}`;
  return new OptionError("unknownParameter", `Invalid parameter '${key}'; ${would}`, about(subject));
}

function endOfKey(text: string, from: number): number {
  let end = from;
  while (end < text.length && text[end] !== "=" && text[end] !== ",") end++;
  return end;
}

/** Reads to the next single comma; returns the value with `,,` resolved and the comma's index (or the length). */
function takeValue(text: string, from: number): readonly [string, number] {
  let value = "";
  let at = from;
  for (;;) {
    const comma = text.indexOf(",", at);
    if (comma < 0) return [value + text.slice(at), text.length];
    value += text.slice(at, comma);
    if (text[comma + 1] !== ",") return [value, comma];
    value += ",";
    at = comma + 2;
  }
}

function asText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "on" : "off";
  return typeof value === "number" ? String(value) : undefined;
}
