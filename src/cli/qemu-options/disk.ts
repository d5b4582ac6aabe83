// Disks: -drive and -blockdev. Raw images in files; what else QEMU has is refused.
import {
  bool,
  OptionError,
  OptionReader,
  str,
  type GivenOption,
  type OptionTree,
  type ParsedOptions,
} from "../../object/index.ts";
import type { ConfigDraft, DraftBlockNode } from "./draft.ts";
import { checkId } from "./machine.ts";
import { partsOf, refuseParameters, requireValue, unsupportedParameter, type QemuOption } from "./option.ts";

const NO_THROTTLE = "I/O limits are not implemented";
const NO_HOLES = "Node cannot give back parts of a file";
const throttles = ["bps", "iops"].flatMap((kind) => [
  ...["", "_rd", "_wr", "_max", "_rd_max", "_wr_max"].map((tail) => kind + tail),
  ...["", "-total", "-read", "-write"].flatMap((tail) => [
    `throttling.${kind}${tail}`,
    `throttling.${kind}${tail}-max`,
  ]),
]);

const DRIVE_REFUSED: Readonly<Record<string, string>> = {
  index: "disks are plugged in the order they are given",
  unit: "disks are plugged in the order they are given",
  bus: "name the bus with -device",
  addr: "name the place with -device",
  group: NO_THROTTLE,
  iops_size: NO_THROTTLE,
  throttling: NO_THROTTLE,
  ...Object.fromEntries(throttles.map((key) => [key, NO_THROTTLE])),
};

const FOREIGN_FORMATS = [
  "qcow2",
  "qcow",
  "qed",
  "vdi",
  "vmdk",
  "vpc",
  "vhdx",
  "luks",
  "parallels",
  "bochs",
  "cloop",
  "dmg",
];
const FOREIGN_INTERFACES = ["ide", "scsi", "sd", "mtd", "floppy", "pflash", "xen", "sdcard"];

function requireRaw(format: string, key: string, subject: string): void {
  if (format === "raw") return;
  if (FOREIGN_FORMATS.includes(format)) {
    const reason = `only raw images can be used yet; 'qemu-img convert -O raw' makes one`;
    throw unsupportedParameter(`${key}=${format}`, reason, subject);
  }
  throw new OptionError("badValue", `Unknown driver '${format}'; 'raw' would do`, { subject });
}

function applyDrive(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  refuseParameters(parsed, DRIVE_REFUSED);
  const { subject } = given;
  const reader = new OptionReader(parsed);
  const file = reader.required("file", str);
  const format = reader.optional("format", str) ?? reader.optional("driver", str);
  if (format !== undefined) requireRaw(format, "format", subject);
  const bus = reader.optional("if", str);
  const id = reader.optional("id", str);
  if (id !== undefined) checkId(id, parsed);
  const readOnly = reader.optional("readonly", bool) ?? reader.orElse("read-only", bool, false);
  requireDriveDefaults(parsed, reader);
  reader.end();

  if (bus === undefined) {
    const message = "The default if=ide is not on this board; if=virtio would do, or if=none and a -device for it";
    throw new OptionError("missingParameter", message, { subject });
  }
  if (FOREIGN_INTERFACES.includes(bus)) {
    const reason = `the board has no ${bus} controller; if=virtio or if=none would do`;
    throw unsupportedParameter(`if=${bus}`, reason, subject);
  }
  if (bus !== "virtio" && bus !== "none") {
    throw new OptionError("badValue", `unsupported bus type '${bus}'; if=virtio or if=none would do`, { subject });
  }
  const used = draft.blockNodes.map((node) => node.nodeName);
  let automatic = 0;
  while (used.includes(`${bus}${automatic}`)) automatic++;
  const nodeName = id ?? `${bus}${automatic}`;
  addNode(draft, {
    nodeName,
    subject,
    image: file,
    formatGiven: format !== undefined,
    readOnly,
    autoReadOnly: false,
  });
  if (bus === "virtio") draft.devices.push({ driver: "virtio-blk-pci", properties: { drive: nodeName }, subject });
}

/** Parameters of which we do what QEMU does by default, and nothing else. */
function requireDriveDefaults(parsed: ParsedOptions, reader: OptionReader): void {
  const only = (key: string, supported: string[], reason: string): void =>
    requireValue(parsed, key, reader.optional(key, str), supported, reason);
  only("media", ["disk"], "there are no CD-ROM drives");
  only("cache", ["writeback"], "the host's page cache is always used, and the guest's flushes reach the disk");
  only("aio", ["threads"], "files are read and written by threads");
  only("discard", ["ignore", "off"], NO_HOLES);
  only("detect-zeroes", ["off"], "written zeroes are written");
  only("werror", ["report"], "errors are reported to the guest");
  only("rerror", ["report"], "errors are reported to the guest");
  const off = (key: string, reason: string): void =>
    requireValue(parsed, key, reader.optional(key, bool), [false], reason);
  off("snapshot", "writes go to the image");
  off("copy-on-read", "images have no backing files");
  off("cache.direct", "the host's page cache is always used");
  off("cache.no-flush", "the guest's flushes always reach the disk");
  off("force-share", "images are opened for this machine alone");
}

function addNode(draft: ConfigDraft, node: DraftBlockNode): void {
  if (draft.blockNodes.some(({ nodeName }) => nodeName === node.nodeName)) {
    throw new OptionError("duplicate", `Duplicate ID or node name '${node.nodeName}'`, node);
  }
  draft.blockNodes.push(node);
}

function applyBlockdev(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  const nodeName = parsed.tree["node-name"];
  if (typeof nodeName !== "string") {
    throw new OptionError("missingParameter", "'node-name' must be specified for the root node", given);
  }
  addNode(draft, blockNode(parsed.tree, nodeName, given.subject));
}

function blockNode(tree: OptionTree, nodeName: string, subject: string): DraftBlockNode {
  const members = new Map(Object.entries(tree));
  const text = (key: string): string | undefined => {
    const value = members.get(key);
    members.delete(key);
    if (value === undefined || typeof value === "string") return value;
    if (typeof value === "boolean") return value ? "on" : "off";
    throw new OptionError("badValue", `Parameter '${key}' expects a string`, { subject });
  };
  const flag = (key: string): boolean => {
    const value = text(key) ?? "off";
    const parsed = bool.parse(value);
    if (typeof parsed === "boolean") return parsed;
    throw new OptionError("badValue", `Parameter '${key}' ${parsed.phrase}; given was '${value}'`, { subject });
  };
  const only = (key: string, supported: string, reason: string): void => {
    const value = text(key);
    if (value !== undefined && value !== supported) throw unsupportedParameter(`${key}=${value}`, reason, subject);
  };
  const driver = text("driver");
  text("node-name");
  const common = {
    nodeName,
    subject,
    readOnly: flag("read-only"),
    autoReadOnly: flag("auto-read-only"),
    formatGiven: true,
  };
  only("discard", "ignore", NO_HOLES);
  only("detect-zeroes", "off", "written zeroes are written");
  only("force-share", "off", "images are opened for this machine alone");
  requireCacheDefaults(members.get("cache"), subject);
  members.delete("cache");
  let node: DraftBlockNode;
  if (driver === "file") {
    const image = text("filename");
    if (image === undefined) throw new OptionError("missingParameter", "Parameter 'filename' is missing", { subject });
    only("aio", "threads", "files are read and written by threads");
    only("locking", "auto", "images are locked when the host can");
    node = { ...common, image };
  } else if (driver === "raw") {
    node = overFile(members.get("file"), common);
    members.delete("file");
  } else {
    if (driver === undefined) throw new OptionError("missingParameter", "Parameter 'driver' is missing", { subject });
    requireRaw(driver, "driver", subject);
    throw new OptionError("badValue", `Unknown driver '${driver}'; 'file' or 'raw' would do`, { subject });
  }
  for (const key of members.keys()) {
    throw new OptionError("unknownParameter", `Parameter '${key}' is unexpected for driver '${driver}'`, { subject });
  }
  return node;
}

function overFile(file: OptionTree[string] | undefined, common: Omit<DraftBlockNode, "image">): DraftBlockNode {
  const { subject } = common;
  if (typeof file === "string") return { ...common, over: file };
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    throw new OptionError("missingParameter", "A raw node needs file=NODE, or file.driver=file and file.filename=", {
      subject,
    });
  }
  const below = blockNode(file as OptionTree, common.nodeName, subject);
  return { ...below, readOnly: common.readOnly || below.readOnly };
}

function requireCacheDefaults(cache: OptionTree[string] | undefined, subject: string): void {
  if (cache === undefined) return;
  for (const [key, value] of Object.entries(cache as OptionTree)) {
    if (value === false || value === "off") continue;
    const reason = "the host's page cache is used, and the guest's flushes reach the disk";
    throw unsupportedParameter(`cache.${key}=${JSON.stringify(value)}`, reason, subject);
  }
}

const drive: QemuOption = {
  name: "drive",
  section: "Disks",
  argument: {},
  synopsis: "file=FILE,format=raw,if=virtio|none[,id=ID][,readonly=on|off]",
  description: "A disk image. if=virtio plugs it in at once; if=none leaves that to -device",
  example: "-drive file=disk.img,format=raw,if=virtio",
  differs:
    "raw images; without `format=` an image that looks like another format is refused; `werror` is always `report`",
  refusedParameters: DRIVE_REFUSED,
  apply: applyDrive,
};

const blockdev: QemuOption = {
  name: "blockdev",
  section: "Disks",
  argument: { impliedKey: "driver", grammar: "keyval", json: true },
  synopsis: "driver=file,node-name=ID,filename=FILE[,read-only=on|off] | driver=raw,node-name=ID,file=NODE",
  description: "A node of the block graph, used by its name: a file, or a raw image over one",
  example: "-blockdev driver=file,node-name=d0,filename=disk.img -device virtio-blk-device,drive=d0",
  differs: "drivers `file` and `raw`",
  apply: applyBlockdev,
};

export const diskOptions: readonly QemuOption[] = [drive, blockdev];
