// The README's tables against what the code asks of a software host: page tables and attachments are taken from the calls
// that reach the host, not from what the code says of itself.
import { expect, test } from "vitest";
import {
  HwptAllocFlag,
  IommuHwptAlloc,
  ioctlCommand,
  iommufdIoctls,
  readHostDescription,
  VfioDeviceAttachIommufdPt,
  vfioDeviceIoctls,
  type HostSession,
} from "../../../src/iommufd/index.ts";
import type { MigrationWish } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import { makeBackend } from "./backend-bench.ts";
import { combinations, devicesOf, expectedOf, type Combination, type Expected } from "./matrix.ts";

const BDF: Readonly<Record<string, string>> = { a: "0000:01:00.0", b: "0000:02:00.0" };
const LETTERS = new Map(Object.entries(BDF).map(([letter, bdf]) => [bdf, letter]));
const TRACKERS = { device: "log", iommu: "bits", none: "all" } as const;

test("the matrix has every combination", () => {
  expect(combinations).toHaveLength(4 * 4 * 3 * 4 * 2);
});

test.each(combinations)("bits: $units, logs: $logs, $kinds, $policy, $mode", (combination) => {
  expect(realOf(combination)).toEqual(expectedOf(combination));
});

test("with enable-migration=on nobody blocks, and each that would is warned of in QEMU's words", () => {
  for (const combination of combinations.filter(({ policy }) => policy === "mixed")) {
    const { warnings, backend } = assignAll(combination, "on");
    expect(backend.blockers).toEqual([]);
    const said = warnings.filter((text) =>
      text.endsWith(": VFIO device doesn't support device and IOMMU dirty tracking"),
    );
    expect(said.map((text) => letterOf(text.split(": ")[0]!)).join("")).toBe(expectedOf(combination).blockers);
  }
});

/** Calls as they reach the host. */
class Witness {
  readonly made = new Map<number, boolean>();
  readonly attached: { fd: number; table: number }[] = [];
  readonly devices = new Map<number, string>();

  watch(session: HostSession, arena: Uint8Array, nameOf: (path: string) => string | undefined): HostSession {
    return {
      ...session,
      open: (path) => {
        const fd = session.open(path);
        const name = nameOf(path);
        if (name !== undefined) this.devices.set(fd, name);
        return fd;
      },
      ioctl: (fd, command, argument) => {
        const result = session.ioctl(fd, command, argument);
        if (result >= 0) this.#note(fd, command, arena);
        return result;
      },
    };
  }

  #note(fd: number, command: number, arena: Uint8Array): void {
    if (command === ioctlCommand(iommufdIoctls.hwptAlloc.nr)) {
      const { out_hwpt_id: id, flags } = IommuHwptAlloc.decode(arena, 0);
      this.made.set(id, (flags & HwptAllocFlag.DIRTY_TRACKING) !== 0);
    } else if (command === ioctlCommand(vfioDeviceIoctls.attach.nr)) {
      this.attached.push({ fd, table: VfioDeviceAttachIommufdPt.decode(arena, 0).pt_id });
    }
  }

  tables(isMediated: (name: string) => boolean): string[] {
    const tables = new Map<number, string>();
    for (const { fd, table } of this.attached) {
      const name = this.devices.get(fd)!;
      if (!isMediated(name)) tables.set(table, (tables.get(table) ?? "") + letterOf(name));
    }
    return [...tables].map(([id, names]) => names + (this.made.get(id) === true ? "+" : ""));
  }
}

function letterOf(name: string): string {
  return LETTERS.get(name) ?? name;
}

function assignAll(combination: Combination, migration: MigrationWish) {
  const devices = devicesOf(combination);
  const plan = readHostDescription(
    JSON.stringify({
      units: devices
        .filter(({ isMediated }) => !isMediated)
        .map(({ name, unitHasBits }) => ({ id: `u${name}`, profile: "vtd-ssads", dirtyTracking: unitHasBits })),
      devices: devices.map(({ name, isMediated, hasLog }) => ({
        ...(isMediated ? { id: name, kind: "mdev-serial" } : { bdf: BDF[name], kind: "dma-engine", unit: `u${name}` }),
        dmaLog: hasLog,
        migration: ["stop-copy", "p2p"],
      })),
    }),
    builtInKinds,
  );
  const witness = new Witness();
  const { backend, warnings } = makeBackend(plan, {
    policy: combination.policy,
    watch: (session, arena, nameOf) => witness.watch(session, arena, nameOf),
  });
  const assignments = plan.devices.map(({ name }) =>
    backend.assign({ name, mode: combination.mode, mayLog: true, migration }),
  );
  return { backend, assignments, warnings, witness };
}

function realOf(combination: Combination): Expected {
  const { backend, assignments, warnings, witness } = assignAll(combination, "auto");
  const isMediated = (name: string): boolean => name === "m" || name === "n";
  const ofTable = warnings.flatMap((text) => {
    const [, name] = /^IOMMU instance for device (\S+) doesn't support dirty tracking$/.exec(text) ?? [];
    return name === undefined ? [] : [`QEMU ${letterOf(name)}`];
  });
  const ofReach = warnings.flatMap((text) => {
    const [, name] = /^(\S+): all that it can reach counts as written: /.exec(text) ?? [];
    return name === undefined ? [] : [`all ${letterOf(name)}`];
  });
  expect(ofTable.length + ofReach.length).toBe(warnings.length);
  return {
    tables: witness.tables(isMediated),
    mediated: witness.attached
      .map(({ fd }) => witness.devices.get(fd)!)
      .filter(isMediated)
      .join(""),
    trackers: assignments.map(({ device, container }) => {
      return `${letterOf(device.name)}: ${TRACKERS[container.trackerOf(device).tracker]}`;
    }),
    // In the order of devices: one that came later can take an earlier one's tracker.
    warnings: [...ofTable, ...ofReach.sort()],
    blockers: backend.blockers.map(({ device }) => letterOf(device)).join(""),
  };
}
