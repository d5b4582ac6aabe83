// A machine's addresses and devices as plain facts, for people who look at it.
import type { AddressSpace, MemoryRegion, Placement } from "../memory/index.ts";
import type { BusFacts, DeviceConfig, DeviceFacts, RegionFacts } from "./port.ts";

/** The tree under `region`, children in the order of their addresses. */
export function regionFacts(region: MemoryRegion, at = 0, priority = 0): RegionFacts {
  const { name, lengthBytes, content, enabled, children } = region;
  const inOrder = [...children].sort((a: Placement, b: Placement) => a.at - b.at || b.priority - a.priority);
  return {
    name,
    start: at,
    lengthBytes,
    priority,
    kind: kindOf(region),
    isEnabled: enabled,
    ...(content.kind === "alias" && { alias: { of: content.target.name, offsetBytes: content.offsetBytes } }),
    children: inOrder.map((child) => regionFacts(child.region, at + child.at, child.priority)),
  };
}

/** What of a space's tree is seen, ascending; where one is seen from its middle on, `alias` says from where. */
export function flatFacts({ sections }: AddressSpace): RegionFacts[] {
  return sections.map(({ region, start, lengthBytes, offsetInRegion, readOnly }) => ({
    name: region.name,
    start,
    lengthBytes,
    priority: 0,
    kind: readOnly ? "rom" : kindOf(region),
    isEnabled: true,
    ...(offsetInRegion > 0 && { alias: { of: region.name, offsetBytes: offsetInRegion } }),
    children: [],
  }));
}

function kindOf({ content }: MemoryRegion): RegionFacts["kind"] {
  if (content.kind === "alias") return content.readOnly ? "rom" : kindOf(content.target);
  if (content.kind === "ram") return content.readOnly ? "rom" : "ram";
  return "i/o";
}

/** A device as its configuration has it. */
export function deviceFacts(config: DeviceConfig, more: Partial<DeviceFacts> = {}): DeviceFacts {
  const { bus: _bus, ...properties } = config.properties;
  return {
    typeName: config.driver,
    id: config.id,
    properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, String(value)])),
    ranges: [],
    buses: [],
    ...more,
  };
}

export function busFacts(name: string, typeName: string, devices: readonly DeviceFacts[]): BusFacts {
  return { name, typeName, devices };
}
