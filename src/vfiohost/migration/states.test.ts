// Every way between two states, against the list of Linux 7.2 (drivers/vfio/vfio_main.c).
import { describe, expect, test } from "vitest";
import { Errno, VfioDeviceState, VfioMigrationFlag } from "../../iommufd/index.ts";
import { nextState } from "./states.ts";

const { STOP_COPY, P2P, PRE_COPY } = VfioMigrationFlag;
const ALL = STOP_COPY | P2P | PRE_COPY;

const short = { STOP: 1, RUN: 2, COPY: 3, RES: 4, RP2P: 5, PRE: 6, PP2P: 7 } as const;
type Name = keyof typeof short;
const names = new Map(Object.entries(short).map(([name, state]) => [state as number, name]));

/** The states on the way, or what refuses it. */
function path(flags: number, from: Name, to: Name): string {
  const seen: string[] = [];
  for (let at: number = short[from]; at !== short[to];) {
    at = nextState(flags, at, short[to]);
    if (at < 0) return Errno.name(-at);
    seen.push(names.get(at)!);
  }
  return seen.join(" ");
}

/** Reads `from -> a -> to` lines. */
function expectPaths(flags: number, text: string): void {
  for (const line of text.trim().split("\n")) {
    const [from, ...rest] = line.trim().split(" -> ") as Name[];
    expect(path(flags, from!, rest.at(-1)!), line).toBe(rest.join(" "));
  }
}

describe("with every ability", () => {
  test("single steps", () => {
    expectPaths(
      ALL,
      `RES -> STOP
       STOP -> RES
       STOP -> COPY
       COPY -> STOP
       RUN -> RP2P
       RP2P -> RUN
       RP2P -> STOP
       STOP -> RP2P
       RUN -> PRE
       PRE -> RUN
       PRE -> PP2P
       PP2P -> PRE
       PP2P -> RP2P
       PP2P -> COPY
       RP2P -> PP2P`,
    );
  });

  test("combined ones", () => {
    expectPaths(
      ALL,
      `PRE -> PP2P -> COPY
       PRE -> RUN -> RP2P
       PRE -> RUN -> RP2P -> STOP
       PRE -> RUN -> RP2P -> STOP -> RES
       PP2P -> RP2P -> RUN
       PP2P -> RP2P -> STOP
       PP2P -> RP2P -> STOP -> RES
       RES -> STOP -> RP2P
       RES -> STOP -> RP2P -> PP2P
       RES -> STOP -> RP2P -> RUN
       RES -> STOP -> RP2P -> RUN -> PRE
       RES -> STOP -> COPY
       RUN -> RP2P -> PP2P
       RUN -> RP2P -> STOP
       RUN -> RP2P -> STOP -> RES
       RUN -> RP2P -> STOP -> COPY
       RP2P -> RUN -> PRE
       RP2P -> STOP -> RES
       RP2P -> STOP -> COPY
       STOP -> RP2P -> PP2P
       STOP -> RP2P -> RUN
       STOP -> RP2P -> RUN -> PRE
       COPY -> STOP -> RES
       COPY -> STOP -> RP2P
       COPY -> STOP -> RP2P -> RUN`,
    );
  });

  test("no way leads from STOP_COPY to pre-copy, from ERROR, or to ERROR", () => {
    expect(path(ALL, "COPY", "PRE")).toBe("EINVAL");
    expect(path(ALL, "COPY", "PP2P")).toBe("EINVAL");
    for (let state = 0; state < 9; state++) {
      expect(nextState(ALL, VfioDeviceState.ERROR, state)).toBe(-Errno.EINVAL);
      expect(nextState(ALL, VfioDeviceState.RUNNING, VfioDeviceState.ERROR)).toBe(-Errno.EINVAL);
    }
    expect(nextState(ALL, VfioDeviceState.RUNNING, 8)).toBe(-Errno.EINVAL);
  });
});

test("without P2P its states are stepped over", () => {
  const flags = STOP_COPY | PRE_COPY;
  expectPaths(
    flags,
    `RUN -> STOP
     STOP -> RUN
     RUN -> STOP -> COPY
     STOP -> RUN -> PRE
     PRE -> COPY
     PRE -> RUN -> STOP -> RES
     COPY -> STOP -> RUN
     RES -> STOP -> RUN`,
  );
  expect(path(flags, "RUN", "RP2P")).toBe("EINVAL");
  expect(path(flags, "PRE", "PP2P")).toBe("EINVAL");
});

test("without pre-copy there is no such state", () => {
  const flags = STOP_COPY | P2P;
  expectPaths(
    flags,
    `RUN -> RP2P -> STOP -> COPY
     STOP -> RP2P -> RUN`,
  );
  expect(path(flags, "RUN", "PRE")).toBe("EINVAL");
  expect(path(STOP_COPY, "RUN", "COPY")).toBe("STOP COPY");
});
