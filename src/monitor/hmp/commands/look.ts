// `info mtree` and `info qtree`: trees of addresses and devices, as QEMU draws them.
import type { BusFacts, DeviceFacts, RegionFacts } from "../../../machine/index.ts";
import { hmpCommand, type HmpCommand } from "../command.ts";

export const lookCommands: readonly HmpCommand[] = [
  hmpCommand(
    "mtree",
    "show memory tree (-f: dump flat view; -D: dump disabled regions)",
    ({ context: { machine } }, { flat, disabled }) =>
      flat === true ? flatText(machine.flatView) : treeText(machine.addressTree, disabled === true),
    { args: "flat:-f,disabled:-D", params: "[-f][-D]" },
  ),
  hmpCommand(
    "qtree",
    "show device tree (-b: brief, omit properties)",
    ({ context: { machine } }, { brief }) => busLines(machine.systemBus, "", brief === true),
    { args: "brief:-b", params: "[-b]" },
  ),
];

const hex = (value: number): string => value.toString(16).padStart(16, "0");
/** QEMU's root has all of 64 bits; what is longer than a board may use is shown as that. */
const SPACE_BYTES = 2 ** 53;

function rangeOf({ start, lengthBytes }: RegionFacts): string {
  return `${hex(start)}-${lengthBytes === SPACE_BYTES ? "f".repeat(16) : hex(start + lengthBytes - 1)}`;
}

function treeText(root: RegionFacts, withDisabled: boolean): string {
  const lines = (region: RegionFacts, depth: number): string => {
    if (!region.isEnabled && !withDisabled) return "";
    const { alias, name, priority, kind, isEnabled, children } = region;
    const shown =
      alias === undefined
        ? name
        : `alias ${name} @${alias.of} ${hex(alias.offsetBytes)}-${hex(alias.offsetBytes + region.lengthBytes - 1)}`;
    const end = isEnabled ? "" : " [disabled]";
    const line = `${"  ".repeat(depth)}${rangeOf(region)} (prio ${priority}, ${kind}): ${shown}${end}\n`;
    return line + children.map((child) => lines(child, depth + 1)).join("");
  };
  return `address-space: memory\n${lines(root, 1)}\n`;
}

function flatText(regions: readonly RegionFacts[]): string {
  const line = (region: RegionFacts): string => {
    const from = region.alias === undefined ? "" : ` @${hex(region.alias.offsetBytes)}`;
    return `  ${rangeOf(region)} (prio ${region.priority}, ${region.kind}): ${region.name}${from}\n`;
  };
  return `FlatView #0\n AS "memory", root: system\n Root memory region: system\n${regions.map(line).join("")}\n`;
}

function busLines({ name, typeName, devices }: BusFacts, indent: string, isBrief: boolean): string {
  const head = `${indent}bus: ${name}\n${indent}  type ${typeName}\n`;
  return head + devices.map((device) => deviceLines(device, `${indent}  `, isBrief)).join("");
}

function deviceLines(
  { typeName, id, properties, ranges, buses }: DeviceFacts,
  indent: string,
  isBrief: boolean,
): string {
  const head = `${indent}dev: ${typeName}, id "${id ?? ""}"\n`;
  const values = Object.entries(properties).map(([key, value]) => `${indent}  ${key} = "${value}"\n`);
  const places = ranges.map(({ start, lengthBytes }) => `${indent}  mmio ${hex(start)}/${hex(lengthBytes)}\n`);
  const own = isBrief ? "" : [...values, ...places].join("");
  return head + own + buses.map((bus) => busLines(bus, `${indent}  `, isBrief)).join("");
}
