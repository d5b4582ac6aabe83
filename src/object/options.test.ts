import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OptionError } from "./errors.ts";
import { escapeValue, parseOptions, splitCommas } from "./options.ts";

const machine = { impliedKey: "type", grammar: "keyval" } as const;

function outcome(parse: () => unknown): string {
  try {
    parse();
    return "parsed";
  } catch (error) {
    return error instanceof OptionError ? `refused ${error.code}` : String(error);
  }
}
const device = { impliedKey: "driver", json: true } as const;

describe("the opts grammar", () => {
  test("a first value without a key belongs to the implied key", () => {
    expect(parseOptions("-device", "virtio-rng-device,id=r0", device).entries).toEqual([
      { key: "driver", value: "virtio-rng-device", form: "implied" },
      { key: "id", value: "r0", form: "pair" },
    ]);
  });

  test("doubled commas are one comma of the value", () => {
    expect(parseOptions("-drive", "file=a,,b,,,if=none").entries).toEqual([
      { key: "file", value: "a,b,", form: "pair" },
      { key: "if", value: "none", form: "pair" },
    ]);
  });

  test("a comma at the end is harmless", () => {
    expect(parseOptions("-drive", "if=none,").entries).toHaveLength(1);
  });

  test("a word without a value is a flag, and with the prefix no it is off", () => {
    expect(parseOptions("-chardev", "socket,server,nowait", { impliedKey: "backend" }).entries.slice(1)).toEqual([
      { key: "server", value: "on", form: "flag" },
      { key: "wait", value: "off", form: "flag" },
    ]);
  });

  test("the last of equal keys counts, and all can be had", () => {
    const parsed = parseOptions("-nic", "user,hostfwd=a,hostfwd=b", { impliedKey: "type" });
    expect(parsed.get("hostfwd")).toBe("b");
    expect(parsed.getAll("hostfwd")).toEqual(["a", "b"]);
  });

  test("help and ? ask for help, also as the implied value", () => {
    expect(parseOptions("-device", "virtio-rng-device,help", device).helpWanted).toBe(true);
    expect(parseOptions("-device", "?", device).helpWanted).toBe(true);
    expect(parseOptions("-device", "virtio-rng-device,help=1", device).helpWanted).toBe(false);
  });

  test("values may contain equals signs", () => {
    expect(parseOptions("-drive", "file=a=b").get("file")).toBe("a=b");
  });

  test("a key that the option does not have is refused with those that it has", () => {
    expect(() => parseOptions("-name", "a,b=1", { impliedKey: "guest", keys: ["guest", "process"] })).toThrow(
      "Invalid parameter 'b'; known are guest, process",
    );
  });

  test("any values survive being escaped and parsed", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 6 }), (values) => {
        const text = values.map((value, index) => `k${index}=${escapeValue(value)}`).join(",");
        expect(parseOptions("-x", text).entries.map((entry) => entry.value)).toEqual(values);
      }),
    );
  });

  test("any text whatever parses or is refused with a typed error", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "0", ".", ",", "=", "{", "n", "o", "?", '"', ":") }),
        (text) => {
          for (const rules of [machine, device, {}]) {
            expect(outcome(() => parseOptions("-x", text, rules).tree)).toMatch(/^(?:parsed|refused badSyntax)$/);
          }
        },
      ),
    );
  });
});

describe("the keyval grammar", () => {
  test("dotted keys make objects and lists", () => {
    const text = "driver=raw,file.driver=host,file.servers.1.host=b,file.servers.0.host=a";
    expect(parseOptions("-blockdev", text, { grammar: "keyval" }).tree).toEqual({
      driver: "raw",
      file: { driver: "host", servers: [{ host: "a" }, { host: "b" }] },
    });
  });

  test("a word without a value is refused by name", () => {
    expect(() => parseOptions("-M", "virt,aclint", machine)).toThrow("Expected '=' after parameter 'aclint'");
  });

  test("a key that is a value and a prefix is refused", () => {
    expect(() => parseOptions("-blockdev", "a.b=1,a=2", { grammar: "keyval" }).tree).toThrow(
      "Parameters 'a.*' used inconsistently",
    );
  });

  test("a list with a gap is refused with the missing index", () => {
    expect(() => parseOptions("-blockdev", "a.1=2", { grammar: "keyval" }).tree).toThrow("Parameter 'a.0' missing");
  });

  test("an index that nobody can mean allocates nothing", () => {
    expect(() => parseOptions("-blockdev", "a.4294967295=2", { grammar: "keyval" }).tree).toThrow("'a.0' missing");
  });

  test("indexes beside names are refused", () => {
    expect(() => parseOptions("-blockdev", "a.0=1,a.b=2", { grammar: "keyval" }).tree).toThrow(
      "Parameters 'a.*' used inconsistently",
    );
  });

  test("a key that is no QAPI name is refused", () => {
    expect(() => parseOptions("-M", "virt,+x=1", machine)).toThrow("Invalid parameter '+x'");
  });

  test("the error's subject is the option as it was given", () => {
    expect(() => parseOptions("-M", "virt,aclint", machine)).toThrow(
      expect.objectContaining({ code: "badSyntax", subject: "-M virt,aclint" }),
    );
  });

  test("keys that name parts of JavaScript are plain keys", () => {
    const { tree } = parseOptions("-M", "constructor.prototype=1", machine);
    expect(tree).toEqual({ constructor: { prototype: "1" } });
  });
});

describe("the JSON form", () => {
  test("keeps the types of its values", () => {
    const parsed = parseOptions("-device", '{"driver":"virtio-blk-device","packed":true,"queue-size":64}', device);
    expect(parsed.tree).toEqual({ driver: "virtio-blk-device", packed: true, "queue-size": 64 });
    expect(parsed.get("queue-size")).toBe("64");
  });

  test("broken JSON is refused with the parser's reason", () => {
    expect(() => parseOptions("-device", '{"driver":', device)).toThrow(/^JSON parse error: /);
  });

  test("is text like any other where an option does not take JSON", () => {
    expect(parseOptions("-name", "{x}", { impliedKey: "guest" }).get("guest")).toBe("{x}");
  });
});

test("a list splits at single commas only", () => {
  expect(splitCommas("a,,b,c,")).toEqual(["a,b", "c", ""]);
});
