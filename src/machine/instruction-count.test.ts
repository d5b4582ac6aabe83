// `-icount` on real harts. The programs are assembled by GNU as for rv64im_zicsr; their source stands beside the words.
import { describe, expect, test } from "vitest";
import { createMachine, type MachineConfig, type MachineHost } from "./index.ts";
import { ended, run } from "./testing/program-run.ts";

const RESULTS = 0x1_0000;

/**
 *     csrw mtvec, handler;  s0 = mtime;  s1 = mtimecmp;  s3 = 0x80010000;  csrw mie, 0x80
 *     ld t1, (s0);  addi t1, t1, 100;  sd t1, (s1);  csrsi mstatus, 8;  j .
 *     handler: csrr a0, minstret;  rdtime a1;  csrr a2, mcause;  sd a0, (s3);  sd a1, 8(s3)
 *       csrw mtvec, second;  li t1, 100000000;  add t1, t1, a1;  sd t1, (s1);  csrsi mstatus, 8;  wfi;  j .
 *     second: csrr a0, minstret;  rdtime a1;  sd a0, 16(s3);  sd a1, 24(s3);  power off;  j .
 */
const TIMERS = [
  ...[0x00000297, 0x04028293, 0x30529073, 0x0200c437, 0xff84041b, 0x020044b7, 0x000089b7, 0x0019899b],
  ...[0x01099993, 0x08000313, 0x30431073, 0x00043303, 0x06430313, 0x0064b023, 0x30046073, 0x0000006f],
  ...[0xb0202573, 0xc01025f3, 0x34202673, 0x00a9b023, 0x00b9b423, 0x00000297, 0x02828293, 0x30529073],
  ...[0x05f5e337, 0x1003031b, 0x00b30333, 0x0064b023, 0x30046073, 0x10500073, 0x0000006f, 0xb0202573],
  ...[0xc01025f3, 0x00a9b823, 0x00b9bc23, 0x001002b7, 0x00005337, 0x5553031b, 0x0062a023, 0x0000006f],
];

interface Timers {
  /** minstret and time at the two interrupts. */
  readonly results: bigint[];
  readonly instructions: readonly number[];
  readonly guestNs: number;
  /** How often and how long the host slept, in milliseconds. */
  readonly sleeps: (number | undefined)[];
}

async function timers(icount: MachineConfig["icount"], smp = 1): Promise<Timers> {
  const made = run(TIMERS, 0x8000_0000, { firmware: "none", smp, ...(icount === undefined ? {} : { icount }) });
  const sleeps: (number | undefined)[] = [];
  let hostNs = 0;
  const host: MachineHost = {
    ...made.host,
    clock: { nowNs: () => (hostNs += 1000) },
    yield: {
      ...made.host.yield,
      async sleep(delayMs) {
        sleeps.push(delayMs);
        hostNs += (delayMs ?? 0) * 1e6;
        await made.host.yield.turn();
      },
    },
  };
  const machine = createMachine(made.config, host);
  const { memoryBlocks } = machine;
  expect(await ended(machine)).toEqual({ cause: "guest-shutdown", status: 0 });
  const { bytes } = memoryBlocks[1]!;
  const results = [...new BigUint64Array(bytes.slice(RESULTS, RESULTS + 32).buffer)];
  return { results, sleeps, ...machine.statistics };
}

describe("time made of instructions", () => {
  test("a timer interrupts at the exact instruction, and the harts read the time of theirs", async () => {
    // Armed for tick 100: after the 10,000th instruction at one nanosecond each. The handler's first reads that count.
    const { results } = await timers({ shift: 0, align: false, sleep: false });
    expect(results.slice(0, 2)).toEqual([10_000n, 100n]);
  });

  test("a larger shift makes fewer instructions of the same time", async () => {
    const { results } = await timers({ shift: 4, align: false, sleep: false });
    // mtime is read as 2, at the 18th instruction; tick 102 is reached within the 638th.
    expect(results.slice(0, 2)).toEqual([638n, 102n]);
  });

  test("waiting costs no instructions: sleep=off jumps to the timer without a sleep of the host", async () => {
    const { results, sleeps, guestNs, instructions } = await timers({ shift: 0, align: false, sleep: false });
    expect(results.slice(2)).toEqual([10_014n, 100_000_100n]);
    expect(sleeps).toEqual([]);
    expect(instructions).toEqual([10_022]);
    expect(guestNs).toBe(10_000_010_008);
  });

  test("sleep=on waits as long as the guest does, and comes out at the same instruction and time", async () => {
    const asleep = await timers({ shift: 0, align: false, sleep: true });
    const awake = await timers({ shift: 0, align: false, sleep: false });
    expect(asleep.sleeps).toEqual([9999.999986]);
    expect({ ...asleep, sleeps: [] }).toEqual(awake);
  });

  test("instructions of all harts make time, and their turns are the same in every run", async () => {
    const first = await timers({ shift: 10, align: false, sleep: false }, 3);
    const second = await timers({ shift: 10, align: false, sleep: false }, 3);
    expect(second).toEqual(first);
    expect(first.instructions).toHaveLength(3);
    expect(Math.min(...first.instructions)).toBeGreaterThan(0);
  });

  test("align=on makes a guest wait that runs ahead of the host", async () => {
    const { sleeps } = await timers({ shift: 10, align: true, sleep: true });
    expect(Math.max(...sleeps.map((ms) => ms ?? 0))).toBeGreaterThan(3);
  });
});
