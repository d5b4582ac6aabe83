// Parameters and capabilities of migrations from here: those of QEMU that do something, and a reason for each that does not.
import type { MigrationControl, MigrationParameters } from "../../migration/index.ts";
import { QmpError } from "../errors.ts";
import type { JsonValue } from "../json/value.ts";
import { command, type Command } from "../schema/command.ts";
import {
  arrayOf,
  bool,
  enumType,
  optional,
  size,
  str,
  struct,
  uint64,
  uint8,
  type StructType,
  type ValueOf,
} from "../schema/types.ts";
import { controlOf } from "./migration-control.ts";

/** Those that do something here. */
const Capability = enumType("MigrationCapability", [
  "auto-converge",
  "events",
  "return-path",
  "pause-before-switchover",
  "switchover-ack",
  "dirty-limit",
]);
const CapabilityStatus = struct("MigrationCapabilityStatus", { capability: Capability, state: bool });
const Wanted = struct("MigrationCapabilityWanted", { capability: str, state: bool });
const Parameters = struct("MigrationParameters", {
  "throttle-trigger-threshold": optional(uint8),
  "cpu-throttle-initial": optional(uint8),
  "cpu-throttle-increment": optional(uint8),
  "cpu-throttle-tailslow": optional(bool),
  "max-cpu-throttle": optional(uint8),
  "max-bandwidth": optional(size),
  "avail-switchover-bandwidth": optional(size),
  "downtime-limit": optional(uint64),
  "vcpu-dirty-limit": optional(uint64),
  "x-device-throttle": optional(uint8),
  // Ours: as -x-dirty-oracle, for migrations alone.
  "x-dirty-oracle": optional(bool),
});

type ParameterName = keyof ValueOf<typeof Parameters>;
/** What each of them sets and shows. */
const parameterFields: Readonly<Record<ParameterName, keyof MigrationParameters>> = {
  "throttle-trigger-threshold": "throttleTriggerPercent",
  "cpu-throttle-initial": "throttleInitialPercent",
  "cpu-throttle-increment": "throttleIncrementPercent",
  "cpu-throttle-tailslow": "throttleTailslow",
  "max-cpu-throttle": "maxThrottlePercent",
  "max-bandwidth": "maxBandwidth",
  "avail-switchover-bandwidth": "switchoverBandwidth",
  "downtime-limit": "downtimeLimitMs",
  "vcpu-dirty-limit": "vcpuDirtyLimitMib",
  "x-device-throttle": "deviceThrottlePercent",
  "x-dirty-oracle": "dirtyOracle",
};

export const capabilityNames: readonly string[] = Capability.values;
export const parameterTypes: StructType<unknown>["members"] = Parameters.members;

const NO_POSTCOPY = "there is no postcopy, as pages of a running machine cannot be fetched on demand here";
const NO_MULTIFD = "there is one channel";
const NO_XBZRLE = "pages are sent whole";
/** What QEMU has and this does not, with the reason. */
const REFUSED_CAPABILITIES: Readonly<Record<string, string>> = {
  xbzrle: NO_XBZRLE,
  "rdma-pin-all": "there is no RDMA",
  "zero-blocks": "disks are not migrated",
  "postcopy-ram": NO_POSTCOPY,
  "postcopy-blocktime": NO_POSTCOPY,
  "postcopy-preempt": NO_POSTCOPY,
  "x-colo": "there is no replication",
  "release-ram": NO_POSTCOPY,
  multifd: NO_MULTIFD,
  "dirty-bitmaps": "disks have no dirty bitmaps",
  "late-block-activate": "disks are taken when the machine starts",
  "x-ignore-shared": "memory is not shared between processes",
  "validate-uuid": "streams are held against the whole configuration",
  "background-snapshot": "memory cannot be write-protected while it is saved",
  "zero-copy-send": NO_MULTIFD,
  "mapped-ram": "snapshot files are streams",
};
const REFUSED_PARAMETERS: Readonly<Record<string, string>> = {
  "announce-initial": "the machine has no network card to announce",
  "announce-max": "the machine has no network card to announce",
  "announce-rounds": "the machine has no network card to announce",
  "announce-step": "the machine has no network card to announce",
  "tls-creds": "there is no TLS; a tunnel would do",
  "tls-hostname": "there is no TLS; a tunnel would do",
  "tls-authz": "there is no TLS; a tunnel would do",
  "x-checkpoint-delay": "there is no replication",
  "multifd-channels": NO_MULTIFD,
  "multifd-compression": NO_MULTIFD,
  "multifd-zlib-level": NO_MULTIFD,
  "multifd-qatzip-level": NO_MULTIFD,
  "multifd-zstd-level": NO_MULTIFD,
  "zero-page-detection": "pages of zeroes are always found by the sender",
  "xbzrle-cache-size": NO_XBZRLE,
  "max-postcopy-bandwidth": NO_POSTCOPY,
  "block-bitmap-mapping": "disks have no dirty bitmaps",
  "x-vcpu-dirty-limit-period": "harts are looked at ten times a second",
  mode: "there is no restart in place",
  "direct-io": "snapshot files are streams",
  "cpr-exec-command": "there is no restart in place",
};

export function migrationSettings(): readonly Command[] {
  const capabilities: Record<string, boolean> = Object.fromEntries(capabilityNames.map((name) => [name, false]));
  capabilities["return-path"] = true;
  return [
    command("migrate-set-capabilities", {
      args: struct("q_obj_migrate-set-capabilities-arg", { capabilities: arrayOf(Wanted) }),
      run(context, { capabilities: wanted }) {
        if (controlOf(context).isActive) throw new QmpError("There's a migration process in progress");
        for (const { capability, state } of wanted) checkCapability(capability, state);
        const next = { ...capabilities, ...Object.fromEntries(wanted.map((each) => [each.capability, each.state])) };
        if (next["auto-converge"] === true && next["dirty-limit"] === true) {
          throw new QmpError("dirty-limit conflicts with auto-converge either of then available currently");
        }
        for (const name of capabilityNames) capabilities[name] = next[name]!;
        controlOf(context).set({
          pauseBeforeSwitchover: next["pause-before-switchover"]!,
          switchoverAck: next["switchover-ack"]!,
          autoConverge: next["auto-converge"]!,
          dirtyLimit: next["dirty-limit"]!,
        });
        context.tellsMigration.current = next["events"]!;
      },
    }),
    command("query-migrate-capabilities", {
      returns: arrayOf(CapabilityStatus),
      run: () => Capability.values.map((capability) => ({ capability, state: capabilities[capability]! })),
    }),
    command("migrate-set-parameters", {
      args: Parameters,
      takesMore: true,
      run(context, given) {
        for (const [name, value] of Object.entries(given as Record<string, JsonValue>)) checkParameter(name, value);
        controlOf(context).set(parametersOf(given));
      },
    }),
    command("query-migrate-parameters", { returns: Parameters, run: (context) => shown(controlOf(context)) }),
  ];
}

function checkCapability(name: string, state: boolean): void {
  const reason = Object.hasOwn(REFUSED_CAPABILITIES, name) ? REFUSED_CAPABILITIES[name] : undefined;
  if (reason !== undefined && state) throw new QmpError(`Capability '${name}' is not supported: ${reason}`);
  if (reason === undefined && !capabilityNames.includes(name)) {
    throw new QmpError(`Parameter 'capability' does not accept value '${name}'`);
  }
  if (name === "return-path" && !state) throw new QmpError("Sockets always have a return path here");
}

/** Inclusive, with QEMU's names for them. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  "throttle-trigger-threshold": [1, 100],
  "cpu-throttle-initial": [1, 99],
  "cpu-throttle-increment": [1, 99],
  "x-device-throttle": [0, 100],
};

function checkParameter(name: string, value: JsonValue): void {
  const reason = Object.hasOwn(REFUSED_PARAMETERS, name) ? REFUSED_PARAMETERS[name] : undefined;
  if (reason !== undefined) throw new QmpError(`Parameter '${name}' is not supported: ${reason}`);
  if (!Object.hasOwn(parameterTypes, name)) throw new QmpError(`Parameter '${name}' is unexpected`);
  const range = Object.hasOwn(RANGES, name) ? RANGES[name] : undefined;
  if (range !== undefined && (Number(value) < range[0] || Number(value) > range[1])) {
    const called = name.replaceAll("-", "_");
    throw new QmpError(`Parameter '${called}' expects an integer in the range of ${range[0]} to ${range[1]}`);
  }
  if (name === "downtime-limit" && Number(value) > 2_000_000) {
    throw new QmpError("Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms");
  }
  if (name === "vcpu-dirty-limit" && Number(value) < 1) {
    throw new QmpError("Parameter 'vcpu_dirty_limit' must be greater then 1 MB/s");
  }
}

function parametersOf(given: ValueOf<typeof Parameters>): Partial<MigrationParameters> {
  const fields = Object.entries(given).map(([name, value]) => [
    parameterFields[name as ParameterName],
    typeof value === "boolean" ? value : Number(value),
  ]);
  return Object.fromEntries(fields) as Partial<MigrationParameters>;
}

function shown({ parameters }: MigrationControl): ValueOf<typeof Parameters> {
  const values = Object.entries(parameterFields).map(([name, field]) => [name, parameters[field]]);
  return Object.fromEntries(values) as ValueOf<typeof Parameters>;
}
