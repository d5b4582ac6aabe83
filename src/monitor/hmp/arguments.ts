// The words after a command's name, by QEMU's description of them: `detach:-d,uri:s` (monitor/hmp.c:
// monitor_parse_arguments, with its messages).

export type HmpValue = string | number | boolean;
export type HmpArguments = Readonly<Record<string, HmpValue | undefined>>;

/** The line is no call of its command. */
export class HmpSyntaxError extends Error {}

interface Parameter {
  readonly name: string;
  /** `-x` a flag, `s` a word, `S` the rest of the line, `i` a number, `b` on or off. */
  readonly kind: string;
  readonly isOptional: boolean;
}

export function parametersOf(description: string): readonly Parameter[] {
  if (description === "") return [];
  return description.split(",").map((each) => {
    const [name = "", kind = ""] = each.split(":");
    return { name, kind: kind.replace("?", ""), isOptional: kind.endsWith("?") };
  });
}

/** Throws HmpSyntaxError. `name` is the command's as its help has it. */
export function readArguments(name: string, description: string, text: string): HmpArguments {
  const words = new Words(text);
  const values: Record<string, HmpValue> = {};
  const parameters = parametersOf(description);
  const flags = parameters.filter(({ kind }) => kind.startsWith("-")).map(({ kind }) => kind);
  for (const parameter of parameters) {
    const { kind } = parameter;
    const value = kind.startsWith("-") ? readFlag(name, kind, flags, words) : readOne(name, parameter, words);
    if (value !== undefined) values[parameter.name] = value;
  }
  if (!words.isAtEnd) throw new HmpSyntaxError(`${name}: extraneous characters at the end of line`);
  return values;
}

function readOne(name: string, { kind, isOptional }: Parameter, words: Words): HmpValue | undefined {
  if (words.isAtEnd && isOptional) return undefined;
  switch (kind) {
    case "S":
      if (words.isAtEnd) throw new HmpSyntaxError(`${name}: string expected`);
      return words.rest();
    case "i":
      return readInteger(words);
    case "b": {
      const word = words.next();
      if (word === "on") return true;
      if (word === "off") return false;
      throw new HmpSyntaxError("Expected 'on' or 'off'");
    }
    default: {
      const word = words.next();
      if (word === undefined) throw new HmpSyntaxError(`${name}: string expected`);
      return word;
    }
  }
}

function readFlag(name: string, flag: string, flags: readonly string[], words: Words): boolean {
  const next = words.peek();
  if (next === flag) {
    words.next();
    return true;
  }
  // One of the others has its turn later.
  if (next !== undefined && /^-[^\d]/.test(next) && !flags.includes(next)) {
    throw new HmpSyntaxError(`${name}: unsupported option ${next}`);
  }
  return false;
}

function readInteger(words: Words): number {
  const word = words.next();
  if (word === undefined) throw new HmpSyntaxError("unexpected end of expression");
  const digits = /^-?(0x[0-9a-f]+|\d+)$/i.exec(word);
  const value = digits === null ? NaN : Number(word.replace("-", "")) * (word.startsWith("-") ? -1 : 1);
  if (Number.isSafeInteger(value)) return value;
  const odd = /[^\d]/.exec(word)?.[0] ?? word;
  throw new HmpSyntaxError(`invalid char '${odd}' in expression`);
}

/** Words between blanks; one in quotes may have blanks. */
class Words {
  #text: string;

  constructor(text: string) {
    this.#text = text.trim();
  }

  get isAtEnd(): boolean {
    return this.#text === "";
  }

  peek(): string | undefined {
    return this.#split()[0];
  }

  next(): string | undefined {
    const [word, rest] = this.#split();
    this.#text = rest;
    return word;
  }

  rest(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #split(): [string | undefined, string] {
    const [whole, quoted, bare] = /^(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*/.exec(this.#text) ?? [];
    if (whole === undefined) return [undefined, ""];
    return [quoted?.replaceAll(/\\(.)/g, "$1") ?? bare, this.#text.slice(whole.length)];
  }
}
