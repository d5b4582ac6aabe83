// Units and groups as a host might have them; the last two devices share a group.
export const DEVICES: readonly { readonly profile: string; readonly group: number }[] = [
  { profile: "vtd-ssads", group: 1 },
  { profile: "smmuv3-httu", group: 2 },
  { profile: "amd", group: 3 },
  { profile: "riscv", group: 4 },
  { profile: "mock", group: 5 },
  { profile: "vtd", group: 6 },
  { profile: "vtd", group: 6 },
];

/** Places in the list. */
export const DEVICE_AT = { vtd: 0, smmu: 1, amd: 2, mock: 4 } as const;
