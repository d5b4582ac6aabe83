import { describe, expect, test } from "vitest";
import { bool, property, uint16, uint64 } from "./properties.ts";
import { ObjectNode, resolvePath } from "./tree.ts";

function makeMachine(): { root: ObjectNode; disk: ObjectNode } {
  const root = new ObjectNode("container");
  const machine = root.addChild("machine", new ObjectNode("virt-machine"));
  const disk = machine.container("peripheral").addChild("disk0", new ObjectNode("virtio-blk-device"));
  machine.container("peripheral-anon").addChild("device[0]", new ObjectNode("virtio-rng-device"));
  return { root, disk };
}

describe("paths", () => {
  test("name an object from the root", () => {
    const { root, disk } = makeMachine();
    expect(disk.path).toBe("/machine/peripheral/disk0");
    expect(root.path).toBe("/");
    expect(resolvePath(root, disk.path)).toBe(disk);
    expect(resolvePath(root, "/")).toBe(root);
  });

  test("may be an end that only one object has", () => {
    const { root, disk } = makeMachine();
    expect(resolvePath(root, "disk0")).toBe(disk);
    expect(resolvePath(root, "peripheral/disk0")).toBe(disk);
  });

  test("an ambiguous end is refused with the candidates", () => {
    const { root } = makeMachine();
    root.container("backup").addChild("disk0", new ObjectNode("file"));
    expect(() => resolvePath(root, "disk0")).toThrow(
      "Path 'disk0' is ambiguous: /machine/peripheral/disk0, /backup/disk0",
    );
  });

  test("of nothing are refused", () => {
    const { root } = makeMachine();
    expect(() => resolvePath(root, "/machine/none", "qom-get")).toThrow(
      expect.objectContaining({
        code: "unknownObject",
        subject: "qom-get",
        message: "Object '/machine/none' not found",
      }),
    );
    expect(() => resolvePath(root, "none")).toThrow("Object 'none' not found");
    expect(() => resolvePath(root, "")).toThrow("Object '' not found");
  });

  test("end when an object is removed", () => {
    const { root, disk } = makeMachine();
    disk.remove();
    expect(() => resolvePath(root, "disk0")).toThrow("not found");
    expect(disk.parent).toBeUndefined();
  });
});

describe("children", () => {
  test("a name is taken once", () => {
    const { root } = makeMachine();
    expect(() => root.addChild("machine", new ObjectNode("x"), "-device x,id=machine")).toThrow(
      expect.objectContaining({ code: "duplicate", message: "Duplicate ID 'machine' in /" }),
    );
  });

  test("an object is in one place", () => {
    const { root, disk } = makeMachine();
    expect(() => root.addChild("again", disk)).toThrow("an object is in one place");
  });

  test("are walked parents first", () => {
    expect([...makeMachine().root.walk()].map((node) => node.name)).toEqual([
      "",
      "machine",
      "peripheral",
      "disk0",
      "peripheral-anon",
      "device[0]",
    ]);
  });
});

describe("live properties", () => {
  test("are read when asked for and set with conversion", () => {
    let level = 3;
    const node = new ObjectNode("pulse").define("level", { type: uint16, get: () => level, set: (to) => (level = to) });
    node.set("level", "0x10");
    expect(level).toBe(16);
    level = 17;
    expect(node.get("level")).toBe(17);
    expect(node.getText("level")).toBe("17");
  });

  test("without setter are read-only", () => {
    const node = new ObjectNode("pulse").define("on", { type: bool, get: () => true });
    expect(() => node.set("on", "off")).toThrow("Property 'pulse.on' is read-only");
    expect(node.getText("on")).toBe("on");
  });

  test("refuse a value of another type by name", () => {
    const node = new ObjectNode("pulse").define("on", { type: bool, get: () => true, set: () => {} });
    expect(() => node.set("on", "maybe")).toThrow("Parameter 'on' expects 'on' or 'off'; given was 'maybe'");
  });

  test("that do not exist are refused by name", () => {
    expect(() => new ObjectNode("pulse").get("off")).toThrow("Property 'pulse.off' not found");
  });

  test("come from the values an object was made with, unset ones too", () => {
    const table = { "queue-size": property(uint16, { default: 256 }), limit: property(uint64) };
    const node = new ObjectNode("x").defineValues(table, { "queue-size": 64, limit: undefined });
    expect(node.get("queue-size")).toBe(64);
    expect(node.getText("limit")).toBeUndefined();
  });

  test("are listed with the children", () => {
    const { root } = makeMachine();
    const machine = resolvePath(root, "/machine");
    machine.define("usb", { type: bool, description: "has USB", get: () => false });
    expect(machine.list()).toEqual([
      { name: "type", type: "string" },
      { name: "usb", type: "bool", description: "has USB" },
      { name: "peripheral", type: "child<container>" },
      { name: "peripheral-anon", type: "child<container>" },
    ]);
    expect(machine.get("type")).toBe("virt-machine");
    expect(machine.get("peripheral")).toBe("/machine/peripheral");
  });
});
