import { beforeEach, describe, expect, test } from "vitest";
import type { Machine, MachineConfig } from "../machine/index.ts";
import { Monitor } from "./monitor.ts";
import { FakeMachine, Peer } from "./testing/peer.ts";

const config = {
  smp: 2,
  cpu: { model: "rv64", features: {} },
  memoryBytes: 2 ** 27,
  name: "box",
} as unknown as MachineConfig;
let machine: FakeMachine;
let monitor: Monitor;
let peer: Peer;
const failures: unknown[] = [];

beforeEach(() => {
  machine = new FakeMachine();
  failures.length = 0;
  monitor = new Monitor({
    machine: machine as unknown as Machine,
    config,
    productVersion: "0.1.0",
    processId: 42,
    onIncoming: () => undefined,
    wallClock: { nowUnixNs: () => 1_800_000_000_123_456_789n },
    onFailure: (error) => failures.push(error),
  });
  peer = new Peer();
  monitor.serve(peer);
  peer.front!.event!("opened");
});

const negotiate = (): Promise<unknown> => peer.ask({ execute: "qmp_capabilities" });
const error = (desc: string, code = "GenericError"): object => ({ error: { class: code, desc } });

describe("a session", () => {
  test("begins with QEMU's greeting", async () => {
    const qemu = { major: 11, minor: 1, micro: 3 };
    expect(await peer.heard()).toEqual([{ QMP: { version: { qemu, package: "ratite 0.1.0" }, capabilities: [] } }]);
  });

  test("has one command before the negotiation, and that one once", async () => {
    const early = error("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound");
    expect(await peer.ask({ execute: "query-status" })).toEqual(early);
    expect(await peer.ask({ execute: "qmp_capabilities", arguments: { enable: ["oob"] } })).toEqual(
      error("Capability oob not available"),
    );
    expect(await negotiate()).toEqual({ return: {} });
    const late = error("Capabilities negotiation is already complete, command ignored", "CommandNotFound");
    expect(await negotiate()).toEqual(late);
  });

  test("answers in order, with the client's ids", async () => {
    await negotiate();
    peer.say('{"execute": "query-name", "id": 1}{"execute": "nope", "id": {"x": [18446744073709551615]}}');
    for (let i = 0; i < 80; i++) await Promise.resolve();
    expect(peer.text).toBe(
      '{"return": {"name": "box"}, "id": 1}\r\n' +
        '{"id": {"x": [18446744073709551615]}, "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}\r\n',
    );
  });

  test.each([
    ["[]", "QMP input must be a JSON object"],
    ["{}", "QMP input lacks member 'execute'"],
    ['{"execute": 1}', "QMP input member 'execute' must be a string"],
    ['{"execute": "stop", "arguments": 1}', "QMP input member 'arguments' must be an object"],
    ['{"execute": "stop", "argument": {}}', "QMP input member 'argument' is unexpected"],
    ['{"execute": "stop", "arguments": {"now": true}}', "Parameter 'now' is unexpected"],
    [
      '{"execute": "qmp_capabilities", "arguments": {"enable": 1}}',
      "Capabilities negotiation is already complete, command ignored",
    ],
    ["{'a': maybe}", "JSON parse error, invalid keyword 'maybe'"],
  ])("%s is refused in QEMU's words", async (text, desc) => {
    await negotiate();
    peer.say(text);
    expect(await peer.heard()).toMatchObject([{ error: { desc } }]);
  });

  test("survives a peer that takes little at a time", async () => {
    await negotiate();
    await peer.heard();
    peer.takes = 7;
    peer.say('{"execute": "query-status"}');
    for (let i = 0; i < 80; i++) await Promise.resolve();
    expect(peer.text).toBe('{"retur');
    peer.takes = Infinity;
    peer.front!.writable!();
    expect(peer.text).toBe('{"return": {"running": false, "status": "prelaunch"}}\r\n');
  });

  test("reads no more while eight requests wait", async () => {
    await negotiate();
    peer.say('{"execute": "query-status"}'.repeat(8));
    expect(peer.front!.room()).toBe(0);
    await peer.heard();
    await peer.heard();
    expect(peer.front!.room()).toBeGreaterThan(0);
  });

  test("ends with its peer, and the next begins anew", async () => {
    await negotiate();
    peer.front!.event!("closed");
    peer.front!.event!("opened");
    expect((await peer.heard()).at(-1)).toHaveProperty("QMP");
    expect(await peer.ask({ execute: "query-status" })).toMatchObject({ error: { class: "CommandNotFound" } });
  });
});

describe("commands", () => {
  beforeEach(async () => {
    await negotiate();
  });

  test("start, stop and reset the machine, and events tell of it", async () => {
    const at = { seconds: 1_800_000_000, microseconds: 123_456 };
    peer.say('{"execute": "cont"}{"execute": "query-status"}{"execute": "stop"}{"execute": "system_reset"}');
    expect(await peer.heard()).toEqual([
      { event: "RESUME", timestamp: at },
      { return: {} },
      { return: { running: true, status: "running" } },
      { event: "STOP", timestamp: at },
      { return: {} },
      { event: "RESET", data: { guest: false, reason: "host-qmp-system-reset" }, timestamp: at },
      { return: {} },
    ]);
  });

  test("quit ends the machine after its answer is on its way", async () => {
    peer.say('{"execute": "quit"}');
    const heard = await peer.heard();
    expect(heard).toContainEqual({ return: {} });
    expect(heard).toContainEqual(
      expect.objectContaining({ event: "SHUTDOWN", data: { guest: false, reason: "host-qmp-quit" } }),
    );
    expect(machine.done).toEqual(["host-qmp-quit"]);
  });

  test("say what the machine is", async () => {
    expect(await peer.ask({ execute: "query-target" })).toEqual({ return: { arch: "riscv64" } });
    expect(await peer.ask({ execute: "query-uuid" })).toEqual({
      return: { UUID: "00000000-0000-0000-0000-000000000000" },
    });
    const { return: cpus } = (await peer.ask({ execute: "query-cpus-fast" })) as { return: object[] };
    expect(cpus).toHaveLength(2);
    expect(cpus[1]).toMatchObject({ "cpu-index": 1, "thread-id": 42, target: "riscv64" });
  });

  test("plug devices with their properties, and take them out", async () => {
    const args = { driver: "edu", id: "d0", bus: "rp0", dma_mask: 255 };
    expect(await peer.ask({ execute: "device_add", arguments: args })).toEqual({ return: {} });
    expect(machine.done).toEqual(['{"driver":"edu","properties":{"bus":"rp0","dma_mask":255},"id":"d0"}']);
    expect(await peer.ask({ execute: "device_add", arguments: { id: "x" } })).toEqual(
      error("Parameter 'driver' is missing"),
    );
    peer.say('{"execute": "device_del", "arguments": {"id": "d0"}}');
    expect(await peer.heard()).toMatchObject([
      { event: "DEVICE_DELETED", data: { device: "d0", path: "/machine/peripheral/d0" } },
      { return: {} },
    ]);
    expect(await peer.ask({ execute: "device_del", arguments: { id: "d1" } })).toEqual(
      error("Device 'd1' not found", "DeviceNotFound"),
    );
  });

  test("a machine that only a reset leads on is not continued", async () => {
    machine.runState = "shutdown";
    expect(await peer.ask({ execute: "cont" })).toEqual(error("Resetting the Virtual Machine is required"));
  });
});

test("several clients are served, and each hears events once it has negotiated", async () => {
  const second = new Peer();
  monitor.serve(second);
  second.front!.event!("opened");
  await peer.heard();
  await second.heard();
  await negotiate();
  await peer.heard();
  machine.start();
  expect(await peer.heard()).toMatchObject([{ event: "RESUME" }]);
  expect(await second.heard()).toEqual([]);
});

test("every type that the schema names is described once", async () => {
  await negotiate();
  const { return: schema } = (await peer.ask({ execute: "query-qmp-schema" })) as { return: Record<string, unknown>[] };
  const names = schema.map((entry) => entry["name"]);
  expect(new Set(names).size).toBe(names.length);
  const used = JSON.stringify(schema).matchAll(/"(?:type|arg-type|ret-type|element-type)":"([^"]+)"/g);
  for (const [, name] of used) expect(names).toContain(name);
  expect(schema.find((entry) => entry["name"] === "query-status")).toMatchObject({
    "meta-type": "command",
    "arg-type": "0",
  });
});
