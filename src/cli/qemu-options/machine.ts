// The machine and what is plugged into it: -machine, -cpu, -smp, -m, -device, -name, -uuid.
import {
  bool,
  convert,
  intRange,
  OptionError,
  OptionReader,
  sizeInMebibytes,
  str,
  type GivenOption,
  type ParsedOptions,
} from "../../object/index.ts";
import { cpuFeatures } from "../../target/riscv/index.ts";
import { withSubject } from "../errors.ts";
import { accel, takeAccelerator } from "./accelerator.ts";
import { catalogue } from "./known.ts";
import type { ConfigDraft } from "./draft.ts";
import { boardList, cpuList, deviceList, devicePropertyList } from "./lists.ts";
import { partsOf, refuseParameters, requireValue, unsupportedParameter, type QemuOption } from "./option.ts";

/** Properties of QEMU's machine types that say what is the case here anyway. */
const OFF_HERE: Readonly<Record<string, string>> = {
  usb: "there is no USB controller",
  graphics: "there is no display",
  "mem-merge": "guest RAM is never merged with other processes' pages",
  "dump-guest-core": "guest RAM is not left out of core dumps on request",
  nvdimm: "there are no NVDIMMs",
  hmat: "there are no ACPI tables",
};

const MACHINE_REFUSED: Readonly<Record<string, string>> = {
  "memory-backend": "guest RAM is always anonymous memory of this process; leave it out",
  "memory-encryption": "there is no confidential-guest support",
  "confidential-guest-support": "there is no confidential-guest support",
  "suppress-vmdesc": "a migration stream has no description to leave out",
  "dt-compatible": "the board's compatible string is fixed",
  "phandle-start": "phandles are chosen by the board",
  pflash0: "the board has no flash yet; use -bios or -kernel",
  pflash1: "the board has no flash yet; use -bios or -kernel",
  boot: "the board starts -bios or -kernel",
  memory: "use -m",
  smp: "use -smp",
};

function applyMachine(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  if (parsed.helpWanted) {
    draft.information = boardList();
    return;
  }
  refuseParameters(parsed, MACHINE_REFUSED);
  const reader = new OptionReader(parsed);
  draft.board = reader.optional("type", str) ?? draft.board;
  const accelerator = reader.optional("accel", str);
  if (accelerator !== undefined) takeAccelerator(draft, accelerator, given.subject, "-machine accel=");
  const dumpPath = reader.optional("dumpdtb", str);
  if (dumpPath !== undefined) draft.dumpDeviceTree = { subject: given.subject, path: dumpPath };
  applyBootProperties(draft, reader);
  for (const [key, reason] of Object.entries(OFF_HERE)) {
    requireValue(parsed, key, reader.optional(key, bool), [false], reason);
  }
  for (const [key, value] of Object.entries(reader.rest())) {
    draft.boardOptions[key] = typeof value === "boolean" ? (value ? "on" : "off") : String(value);
  }
}

/** -kernel and its relatives are properties of the machine in QEMU. */
function applyBootProperties(draft: ConfigDraft, reader: OptionReader): void {
  const { subject } = reader;
  for (const key of ["kernel", "initrd", "dtb", "firmware"] as const) {
    const path = reader.optional(key, str);
    if (path !== undefined) draft[key] = { subject, path };
  }
  const text = reader.optional("append", str);
  if (text !== undefined) draft.commandLine = { subject, text };
}

function applyCpu(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  if (parsed.helpWanted) {
    draft.information = cpuList();
    return;
  }
  const reader = new OptionReader(parsed);
  const model = reader.required("model", str);
  if (!catalogue.cpuModels.some(({ name }) => name === model)) {
    throw new OptionError("badValue", `unable to find CPU model '${model}'; -cpu help lists them`, given);
  }
  const features: Record<string, boolean> = {};
  for (const [key, value] of Object.entries(reader.rest())) features[key] = convert(bool, key, value, given.subject);
  const { warnings } = withSubject(given.subject, () => cpuFeatures(model, features));
  draft.warnings.push(...warnings.map((text) => `${given.subject}: ${text}`));
  draft.cpu = { model, features };
}

/** `riscv64-virt` in QEMU. */
const CPU_LIMIT = 512;
const cpuCount = intRange("uint32", 1, CPU_LIMIT);

function applySmp(draft: ConfigDraft, given: GivenOption): void {
  const reader = new OptionReader(partsOf(given));
  const cpus = reader.optional("cpus", cpuCount);
  const maxCpus = reader.optional("maxcpus", cpuCount);
  for (const key of ["drawers", "books", "dies", "clusters", "modules"]) {
    requireValue(partsOf(given), key, reader.optional(key, str), ["1"], "this board's topology has no such level");
  }
  const levels = ["sockets", "cores", "threads"].map((key) => reader.optional(key, cpuCount));
  reader.end();
  const known = levels.reduce<number>((product, count) => product * (count ?? 1), 1);
  const count = cpus ?? maxCpus ?? known;
  if (maxCpus !== undefined && maxCpus !== count) {
    throw unsupportedParameter(`maxcpus=${maxCpus}`, "CPUs cannot be plugged in later", given.subject);
  }
  // Levels that are left out take what the others leave, as QEMU computes them.
  const isWhole = levels.includes(undefined) ? count % known === 0 : count === known;
  if (!isWhole) {
    const product = levels.map((level) => level ?? "?").join(" * ");
    throw new OptionError(
      "badValue",
      `Invalid CPU topology: sockets * cores * threads is ${product}, cpus is ${count}`,
      given,
    );
  }
  draft.smp = count;
}

function applyMemory(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  refuseParameters(parsed, memory.refusedParameters ?? {});
  const reader = new OptionReader(parsed);
  draft.memoryBytes = reader.required("size", sizeInMebibytes);
  reader.end();
  if (draft.memoryBytes === 0) throw new OptionError("badValue", "A machine needs RAM", given);
}

/** Short names that QEMU has on machines with PCI. */
const DRIVER_ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "virtio-blk": "virtio-blk-pci",
    "virtio-rng": "virtio-rng-pci",
    "virtio-serial": "virtio-serial-pci",
  }),
);

function applyDevice(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  const driver = parsed.get("driver");
  if (parsed.helpWanted) {
    const type = driver === undefined ? undefined : (DRIVER_ALIASES.get(driver) ?? driver);
    draft.information = type === undefined ? deviceList() : devicePropertyList(type, given.subject);
    return;
  }
  const reader = new OptionReader(parsed);
  const named = reader.required("driver", str);
  const type = DRIVER_ALIASES.get(named) ?? named;
  const id = reader.optional("id", str);
  if (id !== undefined) checkId(id, parsed);
  const device = { driver: type, properties: reader.rest(), subject: given.subject };
  draft.devices.push(id === undefined ? device : { ...device, id });
}

/** QEMU's rule for ids that users give. */
export function checkId(id: string, parsed: ParsedOptions): void {
  if (/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) return;
  throw new OptionError("badValue", `Parameter 'id' expects an identifier; given was '${id}'`, parsed);
}

function applyName(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  refuseParameters(parsed, name.refusedParameters ?? {});
  const reader = new OptionReader(parsed);
  draft.name = reader.optional("guest", str) ?? draft.name;
  const threads = reader.optional("debug-threads", bool);
  requireValue(parsed, "debug-threads", threads, [false], "harts share one thread");
  reader.end();
}

function applyUuid(draft: ConfigDraft, given: GivenOption): void {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given.argument)) {
    throw new OptionError("badValue", "failed to parse UUID string: wrong format", given);
  }
  draft.uuid = given.argument.toLowerCase();
}

const machine: QemuOption = {
  name: "machine",
  aliases: ["M"],
  section: "Machine",
  argument: { impliedKey: "type", grammar: "keyval", json: true },
  synopsis: "[type=]BOARD[,accel=tcg][,dumpdtb=FILE][,PROPERTY=VALUE...]",
  description: "The board, 'help' lists them. dumpdtb= writes the board's device tree and exits",
  example: "-M virt,dumpdtb=virt.dtb",
  differs: "`virt` only, and it is the default; properties that would change hardware we do not have are refused",
  refusedParameters: { ...MACHINE_REFUSED },
  apply: applyMachine,
};

const cpu: QemuOption = {
  name: "cpu",
  section: "Machine",
  argument: { impliedKey: "model" },
  synopsis: "MODEL[,EXTENSION=on|off...]",
  description: "The CPU model, 'help' lists them, and extensions to add or take away",
  example: "-cpu rv64,sstc=off",
  differs: "extensions are switches; parameters with numbers (`vlen=`) are refused",
  apply: applyCpu,
};

const smp: QemuOption = {
  name: "smp",
  section: "Machine",
  argument: { impliedKey: "cpus" },
  synopsis: "[cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]",
  description: "Number of harts; the topology must multiply to it",
  example: "-smp 4",
  differs: "`maxcpus` must equal `cpus`; the topology is checked and not shown to the guest, as on QEMU's board",
  apply: applySmp,
};

const memory: QemuOption = {
  name: "m",
  section: "Machine",
  argument: { impliedKey: "size" },
  synopsis: "[size=]SIZE",
  description: "RAM, in MiB without a suffix (K, M, G); 128M when left out",
  example: "-m 512M",
  refusedParameters: {
    slots: "memory cannot be plugged in later",
    maxmem: "memory cannot be plugged in later",
  },
  apply: applyMemory,
};

const preallocation: QemuOption = {
  name: "mem-prealloc",
  section: "Machine",
  description: "The host gives all of the RAM at the start, and not page by page when it is first touched",
  example: "-m 4G -mem-prealloc",
  apply(draft) {
    draft.preallocated = true;
  },
};

const device: QemuOption = {
  name: "device",
  section: "Machine",
  argument: { impliedKey: "driver", json: true },
  synopsis: "DRIVER[,id=ID][,PROPERTY=VALUE...]",
  description: "Plugs in a device. '-device help' lists them, '-device DRIVER,help' its properties",
  example: "-drive file=disk.img,format=raw,if=none,id=disk0 -device virtio-blk-device,drive=disk0",
  differs: "the devices that `-device help` lists",
  apply: applyDevice,
};

const name: QemuOption = {
  name: "name",
  section: "Machine",
  argument: { impliedKey: "guest" },
  synopsis: "NAME",
  description: "A name for this machine",
  example: "-name builder",
  refusedParameters: { process: "the process keeps its name" },
  apply: applyName,
};

const uuid: QemuOption = {
  name: "uuid",
  section: "Machine",
  argument: "text",
  synopsis: "UUID",
  description: "The machine's UUID, for monitors and management",
  example: "-uuid 9f4f2f1e-8f0e-4f57-8e0c-2a4a4b1d7f11",
  apply: applyUuid,
};

export const machineOptions: readonly QemuOption[] = [
  machine,
  cpu,
  accel,
  smp,
  memory,
  preallocation,
  device,
  name,
  uuid,
];
