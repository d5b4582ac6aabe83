// The lists that `help` as a value prints: boards, CPU models, devices, a device's properties.
import { OptionError, type PropertySpec } from "../../object/index.ts";
import { catalogue } from "./known.ts";

function aligned(rows: readonly (readonly [string, string])[], indent: string): string {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`.trimEnd() + "\n").join("");
}

export function boardList(): string {
  return `Supported machines are:\n${aligned(
    catalogue.boards.map(({ name, description }) => [name, description]),
    "",
  )}`;
}

export function cpuList(): string {
  const models = catalogue.cpuModels.map(({ name, description }) => [name, description] as const);
  return `Available CPUs:\n${aligned(models, "  ")}`;
}

export function deviceList(): string {
  const pluggable = catalogue.deviceTypes.filter(({ bus }) => bus !== undefined);
  return pluggable
    .map(({ typeName, bus, description }) => `name "${typeName}", bus ${bus}, desc "${description}"\n`)
    .join("");
}

/** Throws OptionError `unknownType`. */
export function devicePropertyList(driver: string, subject: string): string {
  const type = catalogue.deviceTypes.find(({ typeName }) => typeName === driver);
  if (type === undefined) throw unknownDevice(driver, subject);
  const rows = Object.entries(type.properties).map(
    ([name, spec]) => [`${name}=<${spec.type.name}>`, propertyText(spec)] as const,
  );
  return `${driver} options:\n${aligned(rows, "  ")}`;
}

function propertyText(spec: PropertySpec<unknown>): string {
  const text = spec.description === "" ? "" : `- ${spec.description}`;
  if (spec.default === undefined) return text;
  return `${text === "" ? "- " : `${text} `}(default: ${spec.type.format(spec.default)})`;
}

/** QEMU's sentence, and what would do where there is an answer. */
export function unknownDevice(driver: string, subject: string): OptionError {
  const modern = driver.replace(/-pci-transitional$/, "-pci");
  if (modern !== driver && catalogue.deviceTypes.some(({ typeName }) => typeName === modern)) {
    const message = `'${driver}' is not supported: the legacy interface is not offered; ${modern} would do`;
    return new OptionError("unsupported", message, { subject });
  }
  const message = `'${driver}' is not a valid device model name; -device help lists them`;
  return new OptionError("unknownType", message, { subject });
}
