// Statistics over QMP: QEMU's answers where it has any without KVM, and what Ratite counts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { QmpClient, Message } from "../support/qmp-client.ts";
import { Machines, qemu, ratite, withoutQemu } from "../support/vmm.ts";

const machines = new Machines();
let ours: QmpClient;

beforeAll(async () => {
  ours = await machines.start(ratite, "ours", ["-smp", "2"]);
}, 60_000);

afterAll(() => machines.close());

const kvm = [{ provider: "kvm" }];
const ASKED: readonly (readonly [string, object?])[] = [
  ["query-stats-schemas", { provider: "kvm" }],
  ["query-stats-schemas", { provider: "x" }],
  ["query-stats"],
  ["query-stats", { target: "x" }],
  ["query-stats", { target: "cryptodev" }],
  ["query-stats", { target: "vm", providers: kvm }],
  ["query-stats", { target: "vcpu", providers: kvm }],
  ["query-stats", { target: "vcpu", providers: [{ provider: "kvm", names: ["x"] }] }],
  ["query-stats", { target: "vcpu", vcpus: ["/x"] }],
  ["query-stats", { target: "vcpu", vcpus: 3 }],
  ["query-stats", { target: "vm", vcpus: ["/x"] }],
  ["query-stats", { target: "vm", providers: [{}] }],
  ["query-stats", { target: "vm", y: 1 }],
];

describe.skipIf(withoutQemu !== "")(`compared with QEMU${withoutQemu}`, () => {
  test("QEMU's providers and errors are the same", async () => {
    const theirs = await machines.start(qemu!, "theirs", ["-smp", "2"]);
    for (const [name, args] of ASKED) {
      const request = JSON.stringify({ execute: name, ...(args !== undefined && { arguments: args }) });
      expect([request, await ours.ask(request)]).toEqual([request, await theirs.ask(request)]);
    }
  });

  test("what there is is described in QEMU's shape", async () => {
    const theirs = await machines.start(qemu!, "described");
    const shape = async (client: QmpClient, name: string): Promise<unknown> => {
      const schema = (await client.execute("query-qmp-schema")) as Message[];
      const command = schema.find((each) => each["name"] === name)!;
      const argument = schema.find((each) => each["name"] === command["arg-type"])!;
      const members = (argument["members"] as Message[]).map((each) => [each["name"], "default" in each]);
      const cases = (argument["variants"] as Message[] | undefined)?.map((each) => each["case"]).sort();
      return { members, tag: argument["tag"], cases };
    };
    for (const name of ["query-stats", "query-stats-schemas"]) {
      expect([name, await shape(ours, name)]).toEqual([name, await shape(theirs, name)]);
    }
  });
});

test("every hart's instructions are counted, of those that are asked for", async () => {
  const read = async (args: object): Promise<Message[]> => (await ours.execute("query-stats", args)) as Message[];
  const [first, second] = await read({ target: "vcpu" });
  expect(first).toMatchObject({ provider: "x-ratite", "qom-path": "/machine/unattached/device[0]" });
  expect(first!["stats"]).toEqual([{ name: "instructions", value: expect.any(Number) }]);
  const path = second!["qom-path"];
  expect(await read({ target: "vcpu", vcpus: [path] })).toMatchObject([{ "qom-path": path }]);
  expect(await read({ target: "vcpu", providers: [{ provider: "x-ratite", names: ["nothing"] }] })).toEqual([]);
});

test("what the schemas name is what there is", async () => {
  const schemas = (await ours.execute("query-stats-schemas")) as { target: string; stats: { name: string }[] }[];
  expect(schemas.map(({ target }) => target)).toEqual(["vm", "vcpu"]);
  for (const { target, stats } of schemas) {
    const [result] = (await ours.execute("query-stats", { target })) as { stats: { name: string }[] }[];
    expect(result!.stats.map(({ name }) => name)).toEqual(stats.map(({ name }) => name));
  }
  const time = { name: "guest-time", type: "cumulative", unit: "seconds", base: 10, exponent: -9 };
  expect(schemas[0]!.stats).toContainEqual(time);
});
