import { describe, expect, test } from "vitest";
import { SeededRng } from "../../base/index.ts";
import { DescriptionError } from "./errors.ts";
import { readHostDescription, type DescribableKind } from "./read-host.ts";

const KINDS: readonly DescribableKind[] = [
  { name: "dma-engine", bus: "pci", migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true },
  { name: "mdev-serial", bus: "mdev", migration: ["stop-copy"], dmaLog: false },
];

const SETTLED = `{
  "units": [{ "id": "u0", "profile": "vtd-ssads" }],
  "devices": [
    { "bdf": "0000:01:00.0", "kind": "dma-engine", "unit": "u0", "group": 1,
      "migration": ["stop-copy", "p2p", "pre-copy"], "dmaLog": true },
    { "id": "m0", "kind": "mdev-serial", "migration": ["stop-copy"] }
  ]
}`;

/** One unit or one device that is not as it should be. */
const withUnit = (unit: string): string => `{ "units": [${unit}], "devices": [] }`;
const withDevice = (device: string): string =>
  `{ "units": [{ "id": "u0", "profile": "amd" }], "devices": [\n${device}\n] }`;

describe("a host description", () => {
  test("gives whole units and placed devices", () => {
    const plan = readHostDescription(SETTLED, KINDS);
    expect(plan.units[0]).toMatchObject({ id: "u0", description: { model: "vt-d", dirtyTracking: true } });
    expect(plan.groups).toEqual([{ id: 1, isolatedMsi: true }]);
    expect(plan.devices[0]).toMatchObject({
      name: "0000:01:00.0",
      placement: { unit: { id: "u0" }, group: { id: 1 } },
      migration: ["stop-copy", "p2p", "pre-copy"],
      dmaLog: true,
    });
    expect(plan.devices[1]).toMatchObject({ name: "m0", placement: undefined, dmaLog: false });
  });

  test("every field of a profile can be changed", () => {
    const unit = `{ "id": "u0", "profile": "vtd", "model": "amd", "pageSizes": ["4K", 2097152], "aperture": { "start": 0,
      "last": "0xffffffffff" }, "dirtyTracking": true, "nesting": false, "pasidBits": 0, "pageRequests": false, "ats": false,
      "cacheCoherency": "none", "isolatedMsi": false, "reserved": [{ "start": 0, "last": 4095, "kind": "direct" }] }`;
    expect(readHostDescription(withUnit(unit), KINDS).units[0]!.description).toEqual({
      model: "amd",
      pageSizes: [0x1000, 0x20_0000],
      apertureStart: 0n,
      apertureLast: 0xff_ffff_ffffn,
      dirtyTracking: true,
      nesting: false,
      pasidBits: 0,
      pageRequests: false,
      ats: false,
      cacheCoherency: "none",
      isolatedMsi: false,
      reserved: [{ start: 0n, last: 4095n, kind: "direct" }],
    });
  });

  test("devices without a group get groups of their own", () => {
    const device = (n: number, group: string): string =>
      `{ "bdf": "0000:0${n}:00.0", "kind": "dma-engine", "unit": "u0"${group} }`;
    const text = withDevice([device(1, ""), device(2, ', "group": 1'), device(3, "")].join(","));
    expect(readHostDescription(text, KINDS).devices.map((d) => d.placement!.group.id)).toEqual([2, 1, 3]);
  });

  test.for([
    ["{", "line 1, column 2: The text ends where"],
    ["[]", "line 1, column 1: Found a list; A host description: an object with units, devices would do"],
    ["{}", 'line 1, column 1: A host description lacks "units"; a list'],
    [withUnit('{ "id": "u0" }'), 'line 1, column 13: A unit lacks "profile"; one of "vtd-ssads"'],
    [withUnit('{ "id": "u 0", "profile": "vtd" }'), 'line 1, column 21: Found "u 0"; a name such as "u0"'],
    [withUnit('{ "id": "u0", "profile": "vt-d" }'), 'Found "vt-d"; did you mean "vtd"?'],
    [
      withUnit('{ "id": "u0", "profile": "vtd", "nestng": true }'),
      'A unit has no field "nestng"; did you mean "nesting"?',
    ],
    [withUnit('{ "id": "u0", "profile": "vtd", "ats": 1 }'), "Found 1; true or false would do"],
    [withUnit('{ "id": "u0", "profile": "vtd", "pasidBits": 21 }'), "a whole number from 0 to 20 would do"],
    [withUnit('{ "id": "u0", "profile": "vtd", "pageSizes": ["4K", "1M"] }'), "A page of 1048576 bytes does not fit"],
    [
      withUnit('{ "id": "u0", "profile": "vtd", "pageSizes": ["2M", "4K"] }'),
      "The smallest page must be 2 KiB or 4 KiB",
    ],
    [withUnit('{ "id": "u0", "profile": "vtd", "pageSizes": [] }'), "The smallest page must be 2 KiB or 4 KiB"],
    [
      withUnit('{ "id": "u0", "profile": "vtd", "aperture": { "start": 4096, "last": "0x0" } }'),
      "The aperture ends before it starts",
    ],
    [withUnit('{ "id": "u0", "profile": "riscv", "nesting": true }'), 'Linux 7.2 nests nothing on "riscv"'],
    [withUnit('{ "id": "u0", "profile": "vtd" }, { "id": "u0", "profile": "amd" }'), 'There is a unit "u0" already'],
    [withDevice('{ "bdf": "0000:01:00.0", "kind": "gpu", "unit": "u0" }'), "dma-engine, mdev-serial exist"],
    [withDevice('{ "bdf": "1:0.0", "kind": "dma-engine", "unit": "u0" }'), "line 2, column 10: Found"],
    [withDevice('{ "kind": "dma-engine", "unit": "u0" }'), 'line 2, column 1: A PCI device lacks "bdf"'],
    [withDevice('{ "bdf": "0000:01:00.0", "kind": "dma-engine" }'), 'A PCI device lacks "unit"; "u0" would do'],
    [
      withDevice('{ "bdf": "0000:01:00.0", "kind": "dma-engine", "unit": "u1" }'),
      'There is no unit "u1"; "u0" would do',
    ],
    [withDevice('{ "kind": "mdev-serial" }'), 'A mediated device lacks "id"'],
    [withDevice('{ "id": "m0", "kind": "mdev-serial", "unit": "u0" }'), "it stands behind no unit; leave it out"],
    [withDevice('{ "id": "m0", "kind": "mdev-serial", "migration": ["p2p"] }'), 'has "stop-copy" at least'],
    [withDevice('{ "id": "m0", "kind": "mdev-serial", "migration": ["stop-copy", "p2p"] }'), 'cannot do "p2p"'],
    [withDevice('{ "id": "m0", "kind": "mdev-serial", "dmaLog": true }'), "cannot log its DMA"],
    [withDevice('{ "id": "m0", "kind": "mdev-serial", "properties": { "a": [] } }'), "A property is a text"],
    [
      withDevice('{ "id": "m0", "kind": "mdev-serial" }, { "id": "m0", "kind": "mdev-serial" }'),
      'There is a device "m0" already',
    ],
    ['{ "units": [], "groups": [{ "id": 4 }], "devices": [] }', "No device is in group 4"],
  ] as const)("refused: $1", ([text, message]) => {
    expect(() => readHostDescription(text, KINDS)).toThrow(message);
  });

  test("a group cannot stand behind two units", () => {
    const text = `{ "units": [{ "id": "a", "profile": "amd" }, { "id": "b", "profile": "amd" }], "devices": [
      { "bdf": "0000:01:00.0", "kind": "dma-engine", "unit": "a", "group": 3 },
      { "bdf": "0000:02:00.0", "kind": "dma-engine", "unit": "b", "group": 3 }] }`;
    expect(() => readHostDescription(text, KINDS)).toThrow(
      'line 3, column 76: Group 3 stands behind unit "a" and cannot be behind "b" too',
    );
  });

  test("everything that is wrong is told at once, in the order of the text", () => {
    const text = '{ "units": [{ "id": 1, "profile": "amd" }],\n"devices": [{ "kind": 2 }], "more": 3 }';
    let error: unknown;
    try {
      readHostDescription(text, KINDS);
    } catch (e) {
      error = e;
    }
    expect((error as DescriptionError).problems.map((p) => p.place.line)).toEqual([1, 2, 2]);
  });

  test("damaged descriptions give DescriptionError and nothing else", () => {
    const rng = new SeededRng(11n);
    for (let i = 0; i < 3000; i++) {
      const at = rng.below(SETTLED.length);
      const text = SETTLED.slice(0, at) + String.fromCharCode(rng.below(128)) + SETTLED.slice(at + rng.below(4));
      try {
        readHostDescription(text, KINDS);
      } catch (error) {
        expect(error, text).toBeInstanceOf(DescriptionError);
      }
    }
  });
});
