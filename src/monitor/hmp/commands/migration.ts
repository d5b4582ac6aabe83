// Moving the machine.
import { QmpError } from "../../errors.ts";
import { migrationStatuses } from "../../commands/migration.ts";
import { capabilityNames, parameterTypes } from "../../commands/migration-settings.ts";
import type { HmpArguments } from "../arguments.ts";
import { hmpCommand, silent, type HmpCommand, type HmpContext } from "../command.ts";

/** What `query-migrate` returns, as far as it is shown. */
interface Info {
  readonly status?: string;
  readonly ram?: Ram;
  readonly vfio?: { readonly transferred: number };
  readonly "total-time"?: number;
  readonly "expected-downtime"?: number;
  readonly downtime?: number;
  readonly "setup-time"?: number;
  readonly "error-desc"?: string;
  readonly "blocked-reasons"?: readonly string[];
}

type Ram = Readonly<Record<string, number>>;

export const migrationCommands: readonly HmpCommand[] = [
  hmpCommand("migrate", "migrate to URI (using -d to not wait for completion)", migrate, {
    args: "detach:-d,uri:s",
    params: "[-d] uri",
  }),
  silent("migrate_cancel", "cancel the current VM migration", "migrate_cancel"),
  hmpCommand(
    "migrate_continue",
    "continue migration from the given paused state",
    async ({ ask }, { state }) => {
      requireKnown(migrationStatuses, state as string);
      await ask("migrate-continue", { state: state as string });
      return "";
    },
    { args: "state:s", params: "state" },
  ),
  hmpCommand(
    "migrate_incoming",
    "take a machine, after -incoming defer",
    async ({ ask }, { uri }) => {
      await ask("migrate-incoming", { uri: uri as string });
      return "";
    },
    { args: "uri:s", params: "uri" },
  ),
  hmpCommand("migrate_set_capability", "enable or disable a capability for migration", setCapability, {
    args: "capability:s,state:b",
    params: "capability state",
  }),
  hmpCommand("migrate_set_parameter", "set a parameter for migration", setParameter, {
    args: "parameter:s,value:s",
    params: "parameter value",
  }),
];

export const migrationInfos: readonly HmpCommand[] = [
  hmpCommand("migrate", "show migration status", async ({ ask }) => migrationText(await ask<Info>("query-migrate"))),
  hmpCommand("migrate_capabilities", "show current migration capabilities", async ({ ask }) => {
    const all = await ask<readonly { capability: string; state: boolean }[]>("query-migrate-capabilities");
    return all.map(({ capability, state }) => `${capability}: ${state ? "on" : "off"}\n`).join("");
  }),
  hmpCommand("migrate_parameters", "show current migration parameters", async ({ ask }) => {
    const values = await ask<Readonly<Record<string, string | number | boolean>>>("query-migrate-parameters");
    return Object.entries(values)
      .map(
        ([name, value]) => `${name}: ${typeof value === "boolean" ? (value ? "on" : "off") : value}${unitOf(name)}\n`,
      )
      .join("");
  }),
];

function unitOf(name: string): string {
  if (name.endsWith("bandwidth")) return " bytes/second";
  if (name === "downtime-limit" || name.endsWith("-period")) return " ms";
  return name === "vcpu-dirty-limit" ? " MB/s" : "";
}

async function migrate(hmp: HmpContext, { uri, detach }: HmpArguments): Promise<string> {
  const { ask, context, mayWait } = hmp;
  const { migration } = context;
  const isOver = mayWait && detach !== true && migration !== undefined ? migrationEnds(migration) : undefined;
  await ask("migrate", { uri: uri as string });
  if (detach === true) return "";
  if (isOver === undefined) return "terminal does not allow synchronous migration, continuing detached\n";
  const failure = await isOver;
  return failure === undefined ? "" : `Error: ${failure.message}\n`;
}

function migrationEnds(migration: NonNullable<HmpContext["context"]["migration"]>): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const end = migration.listen({
      phase(phase) {
        if (phase !== "completed" && phase !== "failed" && phase !== "cancelled") return;
        end();
        resolve(phase === "failed" ? migration.progress?.error : undefined);
      },
    });
  });
}

function requireKnown(names: readonly string[], name: string): void {
  if (!names.includes(name)) throw new QmpError(`invalid parameter value: ${name}`);
}

async function setCapability({ ask }: HmpContext, { capability, state }: HmpArguments): Promise<string> {
  requireKnown(capabilityNames, capability as string);
  await ask("migrate-set-capabilities", {
    capabilities: [{ capability: capability as string, state: state as boolean }],
  });
  return "";
}

/** Sizes without a unit are mebibytes for bandwidths, as QEMU has it. */
async function setParameter({ ask }: HmpContext, { parameter, value }: HmpArguments): Promise<string> {
  const [name, text] = [parameter as string, value as string];
  const type = Object.hasOwn(parameterTypes, name) ? parameterTypes[name]?.type : undefined;
  if (type === undefined) throw new QmpError(`invalid parameter value: ${name}`);
  await ask("migrate-set-parameters", {
    [name]: name.endsWith("bandwidth") ? bytesOf(text) : valueOf(type, name, text),
  });
  return "";
}

function valueOf(
  type: { readonly kind: string; readonly name?: string },
  name: string,
  text: string,
): number | boolean | string {
  if (type.kind === "enum") return text;
  if (type.name === "bool") {
    if (text === "on" || text === "off") return text === "on";
    throw new QmpError(`Invalid parameter type for '${name}', expected: boolean`);
  }
  if (/^\d+$/.test(text)) return Number(text);
  throw new QmpError(`Parameter '${name}' expects an integer`);
}

const UNITS = "bkmgtp";

function bytesOf(text: string): number {
  const [, digits, unit = "m"] = /^(\d+(?:\.\d+)?)([bkmgtp])?$/i.exec(text) ?? [];
  if (digits === undefined) throw new QmpError(`Invalid size ${text}`);
  return Math.round(Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
}

function migrationText(info: Info): string {
  const blocked = info["blocked-reasons"];
  const why =
    blocked === undefined ? "" : `Outgoing migration blocked:\n${blocked.map((each) => `  ${each}\n`).join("")}`;
  if (info.status === undefined) return why;
  const failure = info.status === "failed" && info["error-desc"] !== undefined ? ` (${info["error-desc"]})` : "";
  const times = lines([
    ["total time", info["total-time"], " ms"],
    ["expected downtime", info["expected-downtime"], " ms"],
    ["downtime", info.downtime, " ms"],
    ["setup", info["setup-time"], " ms"],
  ]);
  const { ram, vfio } = info;
  const devices = vfio === undefined ? "" : `vfio device transferred: ${kilobytes(vfio.transferred)} kbytes\n`;
  return `${why}Migration status: ${info.status}${failure}\n${times}${ram === undefined ? "" : ramText(ram)}${devices}`;
}

function ramText(ram: Ram): string {
  const rate = ram["dirty-pages-rate"];
  const first = lines([
    ["transferred ram", kilobytes(ram["transferred"]), " kbytes"],
    ["throughput", ram["mbps"]?.toFixed(2), " mbps"],
    ["remaining ram", kilobytes(ram["remaining"]), " kbytes"],
    ["total ram", kilobytes(ram["total"]), " kbytes"],
    ["duplicate", ram["duplicate"], " pages"],
    ["normal", ram["normal"], " pages"],
    ["normal bytes", kilobytes(ram["normal-bytes"]), " kbytes"],
    ["dirty sync count", ram["dirty-sync-count"], ""],
    ["page size", kilobytes(ram["page-size"]), " kbytes"],
    ["multifd bytes", kilobytes(ram["multifd-bytes"]), " kbytes"],
    ["pages-per-second", ram["pages-per-second"], ""],
  ]);
  return (
    first +
    lines([
      ["dirty pages rate", rate === 0 ? undefined : rate, " pages"],
      ["precopy ram", unlessZero(kilobytes(ram["precopy-bytes"])), " kbytes"],
      ["downtime ram", unlessZero(kilobytes(ram["downtime-bytes"])), " kbytes"],
    ])
  );
}

const kilobytes = (bytes = 0): number => Math.floor(bytes / 1024);
const unlessZero = (value: number): number | undefined => (value === 0 ? undefined : value);

function lines(rows: readonly (readonly [string, string | number | undefined, string])[]): string {
  return rows.map(([name, value, unit]) => (value === undefined ? "" : `${name}: ${value}${unit}\n`)).join("");
}
