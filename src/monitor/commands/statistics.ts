// What the machine counts, with QEMU's commands and shapes (qapi/stats.json). QEMU's providers have nothing without KVM and
// cryptodev devices; ours is one more.
import type { MonitorContext } from "../context.ts";
import { command, type Command } from "../schema/command.ts";
import {
  alternate,
  arrayOf,
  bool,
  enumType,
  int,
  optional,
  str,
  struct,
  uint64,
  union,
  type ValueOf,
} from "../schema/types.ts";
import { cpuPath } from "./machine-facts.ts";

const PROVIDER = "x-ratite";

const Provider = enumType("StatsProvider", ["kvm", "cryptodev", PROVIDER]);
const Target = enumType("StatsTarget", ["vm", "vcpu", "cryptodev"]);
const Type = enumType("StatsType", ["cumulative", "instant", "peak", "linear-histogram", "log2-histogram"]);
const Unit = enumType("StatsUnit", ["bytes", "seconds", "cycles", "boolean"]);
const Request = struct("StatsRequest", { provider: Provider, names: optional(arrayOf(str)) });
const FilterBase = struct("StatsFilter", { target: Target, providers: optional(arrayOf(Request)) });
const VcpuFilter = struct("StatsVCPUFilter", { vcpus: optional(arrayOf(str)) });
const Filter = union(FilterBase, "target", { vcpu: VcpuFilter });
const Value = alternate("StatsValue", [uint64, bool, arrayOf(uint64)]);
const Stats = struct("Stats", { name: str, value: Value });
const Result = struct("StatsResult", { provider: Provider, "qom-path": optional(str), stats: arrayOf(Stats) });
const SchemaValue = struct("StatsSchemaValue", {
  name: str,
  type: Type,
  unit: optional(Unit),
  base: optional(int),
  exponent: int,
  "bucket-size": optional(int),
});
const Schema = struct("StatsSchema", { provider: Provider, target: Target, stats: arrayOf(SchemaValue) });

interface Counted {
  readonly type: ValueOf<typeof Type>;
  readonly unit?: ValueOf<typeof Unit>;
  /** Of ten, for its unit. */
  readonly exponent?: number;
  readonly read: (context: MonitorContext, hart: number) => number;
}

const COUNTED: Readonly<Record<"vm" | "vcpu", Readonly<Record<string, Counted>>>> = {
  vm: {
    "guest-time": {
      ...{ type: "cumulative", unit: "seconds", exponent: -9 },
      read: ({ machine }) => machine.statistics.guestNs,
    },
    "compiled-instructions": {
      type: "cumulative",
      read: ({ machine }) => machine.accelerator.figures.compiledInstructions,
    },
    "compiled-code": {
      ...{ type: "instant", unit: "bytes" },
      read: ({ machine }) => machine.accelerator.figures.codeBytes,
    },
    "compiled-regions": { type: "instant", read: ({ machine }) => machine.accelerator.figures.regions },
  },
  vcpu: {
    instructions: { type: "cumulative", read: ({ machine }, hart) => machine.statistics.instructions[hart] ?? 0 },
  },
};

export const statisticsCommands: readonly Command[] = [
  command("query-stats", {
    args: Filter,
    returns: arrayOf(Result),
    run(context, { target, providers, vcpus }) {
      const request = providers?.find(({ provider }) => provider === PROVIDER);
      if (target === "cryptodev" || (providers !== undefined && request === undefined)) return [];
      const results = (hart: number, path?: string): ValueOf<typeof Result>[] => {
        const stats = Object.entries(COUNTED[target])
          .filter(([name]) => request?.names?.includes(name) ?? true)
          .map(([name, { read }]) => ({ name, value: Math.round(read(context, hart)) }));
        if (stats.length === 0) return [];
        return [{ provider: PROVIDER, ...(path !== undefined && { "qom-path": path }), stats }];
      };
      if (target === "vm") return results(0);
      const harts = Array.from({ length: context.config.smp }, (_, hart) => hart);
      const wanted = harts.filter((hart) => vcpus?.includes(cpuPath(hart)) ?? true);
      return wanted.flatMap((hart) => results(hart, cpuPath(hart)));
    },
  }),
  command("query-stats-schemas", {
    args: struct("q_obj_query-stats-schemas-arg", { provider: optional(Provider) }),
    returns: arrayOf(Schema),
    run: (_, { provider = PROVIDER }) => (provider === PROVIDER ? SCHEMAS : []),
  }),
];

const SCHEMAS: readonly ValueOf<typeof Schema>[] = (["vm", "vcpu"] as const).map((target) => ({
  ...{ provider: PROVIDER, target },
  stats: Object.entries(COUNTED[target]).map(([name, { type, unit, exponent = 0 }]) => ({
    ...{ name, type, exponent },
    ...(unit !== undefined && { unit }),
    ...(exponent !== 0 && { base: 10 }),
  })),
}));
