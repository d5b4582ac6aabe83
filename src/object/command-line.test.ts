import { describe, expect, test } from "vitest";
import { commandLineHelp, splitCommandLine, type CommandLineOption } from "./command-line.ts";

const table: readonly CommandLineOption[] = [
  {
    name: "machine",
    aliases: ["M"],
    argument: { impliedKey: "type", grammar: "keyval" },
    synopsis: "[type=]name[,prop=value]",
    description: "selects the board",
  },
  { name: "append", argument: "text", synopsis: "text", description: "the kernel's command line" },
  { name: "nographic", description: "no window" },
  { name: "accel", argument: { impliedKey: "accel" }, description: "", refused: "there is one accelerator" },
];

describe("a command line", () => {
  test("keeps the order and knows aliases and double dashes", () => {
    const { options, words } = splitCommandLine(table, ["-M", "virt", "--nographic", "-machine", "aclint=on", "disk"]);
    expect(options.map(({ option, subject }) => [option.name, subject])).toEqual([
      ["machine", "-M virt"],
      ["nographic", "--nographic"],
      ["machine", "-machine aclint=on"],
    ]);
    expect(options[0]!.parsed?.get("type")).toBe("virt");
    expect(options[2]!.parsed?.get("aclint")).toBe("on");
    expect(words).toEqual(["disk"]);
  });

  test("an argument may start with a dash and is not taken apart when it is text", () => {
    const { options } = splitCommandLine(table, ["-append", "-x a=b,c"]);
    expect(options[0]).toMatchObject({ argument: "-x a=b,c", subject: "-append -x a=b,c" });
    expect(options[0]!.parsed).toBeUndefined();
  });

  test("an unknown option is refused as it was written", () => {
    expect(() => splitCommandLine(table, ["--nosuch"])).toThrow(
      expect.objectContaining({ code: "unknownOption", subject: "--nosuch", message: "invalid option" }),
    );
    expect(() => splitCommandLine(table, ["-"])).toThrow("invalid option");
  });

  test("a missing argument is refused", () => {
    expect(() => splitCommandLine(table, ["-append"])).toThrow(
      expect.objectContaining({ code: "missingArgument", subject: "-append", message: "requires an argument" }),
    );
  });

  test("a refused option gives its reason", () => {
    expect(() => splitCommandLine(table, ["-accel", "kvm"])).toThrow(
      expect.objectContaining({
        code: "unsupported",
        subject: "-accel kvm",
        message: "This option is not supported: there is one accelerator",
      }),
    );
  });

  test("a mistake inside an argument names the option", () => {
    expect(() => splitCommandLine(table, ["-M", "virt,x"])).toThrow(
      expect.objectContaining({ subject: "-M virt,x", message: "Expected '=' after parameter 'x'" }),
    );
  });
});

test("help lists what works", () => {
  expect(commandLineHelp(table)).toBe(
    [
      "-machine or -M [type=]name[,prop=value]",
      "        selects the board",
      "-append text",
      "        the kernel's command line",
      "-nographic",
      "        no window",
      "",
    ].join("\n"),
  );
});
