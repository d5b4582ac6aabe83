import { describe, expect, test } from "vitest";
import { bool, onOffAuto, property, str, uint16, uint64 } from "./properties.ts";
import { nearest, propertyHelp, TypeRegistry } from "./types.ts";

const types = new TypeRegistry([
  {
    typeName: "virtio-device",
    description: "any virtio device",
    isAbstract: true,
    properties: { packed: property(bool, { default: false, description: "on/off" }) },
  },
  {
    typeName: "virtio-rng-device",
    description: "entropy source",
    parent: "virtio-device",
    properties: { "max-bytes": property(uint64, { default: (1n << 63n) - 1n }), rng: property(str) },
  },
  { typeName: "serial-mm", description: "UART", properties: {} },
]);

describe("types", () => {
  test("inherit their parent's properties", () => {
    expect(types.readProperties("virtio-rng-device", { packed: "on" })).toEqual({
      packed: true,
      "max-bytes": (1n << 63n) - 1n,
      rng: undefined,
    });
  });

  test("know what they are a kind of", () => {
    expect(types.isKindOf("virtio-rng-device", "virtio-device")).toBe(true);
    expect(types.isKindOf("serial-mm", "virtio-device")).toBe(false);
    expect(types.names("virtio-device")).toEqual(["virtio-rng-device"]);
    expect(types.names()).toEqual(["serial-mm", "virtio-rng-device"]);
  });

  test("a name that is nearly one is answered with it", () => {
    expect(() => types.get("virtio-rng-devcie", "-device virtio-rng-devcie")).toThrow(
      expect.objectContaining({
        code: "unknownType",
        message: "'virtio-rng-devcie' is not a known type; did you mean virtio-rng-device?",
      }),
    );
    expect(() => types.get("e1000")).toThrow(/^'e1000' is not a known type$/);
  });

  test("an abstract one cannot be made", () => {
    expect(() => types.readProperties("virtio-device", {})).toThrow(
      "'virtio-device' is abstract; its kinds are virtio-rng-device",
    );
  });

  test("an unknown property is refused as QEMU does", () => {
    expect(() => types.readProperties("virtio-rng-device", { foo: 1 })).toThrow(
      "Property 'virtio-rng-device.foo' not found",
    );
  });

  test("list their properties by name, as JSON data", () => {
    expect(types.listProperties("virtio-rng-device")).toEqual([
      { name: "max-bytes", type: "uint64", default: "9223372036854775807" },
      { name: "packed", type: "bool", description: "on/off", default: false },
      { name: "rng", type: "str" },
    ]);
  });
});

test("help has QEMU's form", () => {
  const table = {
    packed: property(bool, { default: false, description: "on/off" }),
    "queue-size": property(uint16, { default: 256 }),
    serial: property(str),
    "account-failed": property(onOffAuto, { default: "auto", description: "on/off/auto" }),
  };
  expect(propertyHelp("virtio-blk-device", table)).toBe(
    [
      "virtio-blk-device options:",
      "  account-failed=<OnOffAuto> - on/off/auto (default: auto)",
      "  packed=<bool>          - on/off (default: off)",
      "  queue-size=<uint16>    - (default: 256)",
      "  serial=<str>",
      "",
    ].join("\n"),
  );
});

test("nearest names differ by a quarter of the word at most", () => {
  expect(nearest("virt-1.1", ["virt-1.0", "virt", "none"])).toEqual(["virt-1.0"]);
  expect(nearest("", ["virt"])).toEqual([]);
});
