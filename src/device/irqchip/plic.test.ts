import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { Plic } from "./plic.ts";
import { TestHost, TestLine } from "../test-host.ts";

const PENDING = 0x1000;
const ENABLE = 0x2000;
const ENABLE_1 = 0x2080;
const THRESHOLD = 0x200000;
const CLAIM = 0x200004;
const CLAIM_1 = 0x201004;
const priorityOf = (id: number): number => 4 * id;

function makePlic() {
  const host = new TestHost();
  const contexts = [new TestLine(), new TestLine()];
  const plic = new Plic({ sourceCount: 95, contexts, trace: host.trace });
  const { mmio } = plic;
  return {
    host,
    plic,
    line: contexts[0]!,
    line1: contexts[1]!,
    mmio,
    read: (offset: number): number | undefined => mmio.read(offset, 4),
    write: (offset: number, value: number): void => void mmio.write(offset, 4, value),
  };
}

/** Source 10 has priority 1 and is enabled in context 0. */
function makeWithSource10() {
  const made = makePlic();
  made.write(priorityOf(10), 1);
  made.write(ENABLE, 1 << 10);
  return { ...made, uart: made.plic.source(10) };
}

describe("requests", () => {
  test("a source that rises interrupts the context that enabled it", () => {
    const { line, line1, uart, read } = makeWithSource10();
    uart.set(true);
    expect(line.level).toBe(true);
    expect(line1.level).toBe(false);
    expect(read(PENDING)).toBe(1 << 10);
  });

  test("a source that is not enabled is pending only", () => {
    const { plic, line, read } = makePlic();
    plic.source(3).set(true);
    expect(read(PENDING)).toBe(1 << 3);
    expect(line.level).toBe(false);
  });

  test("a source of priority 0 never interrupts", () => {
    const { line, uart, write, read } = makeWithSource10();
    write(priorityOf(10), 0);
    uart.set(true);
    expect(line.level).toBe(false);
    expect(read(CLAIM)).toBe(0);
  });

  test("a request stays pending when the level falls before the claim", () => {
    const { line, uart, read } = makeWithSource10();
    uart.set(true);
    uart.set(false);
    expect(line.level).toBe(true);
    expect(read(CLAIM)).toBe(10);
  });

  test("a source at or below the threshold does not interrupt, above it does", () => {
    const { line, uart, write } = makeWithSource10();
    write(THRESHOLD, 1);
    uart.set(true);
    expect(line.level).toBe(false);
    write(THRESHOLD, 0);
    expect(line.level).toBe(true);
  });

  test("raising a priority above the threshold interrupts", () => {
    const { line, uart, write } = makeWithSource10();
    write(THRESHOLD, 4);
    uart.set(true);
    write(priorityOf(10), 5);
    expect(line.level).toBe(true);
  });
});

describe("claim", () => {
  test("answers the source, clears pending and drops the line", () => {
    const { line, uart, read } = makeWithSource10();
    uart.set(true);
    expect(read(CLAIM)).toBe(10);
    expect(read(PENDING)).toBe(0);
    expect(line.level).toBe(false);
  });

  test("answers 0 when nothing waits", () => {
    const { read } = makeWithSource10();
    expect(read(CLAIM)).toBe(0);
  });

  test("prefers the higher priority", () => {
    const { plic, read, write } = makePlic();
    write(ENABLE, 0xffffffff);
    write(priorityOf(4), 2);
    write(priorityOf(9), 3);
    plic.source(4).set(true);
    plic.source(9).set(true);
    expect([read(CLAIM), read(CLAIM), read(CLAIM)]).toEqual([9, 4, 0]);
  });

  test("prefers the lower number among equal priorities, across words", () => {
    const { plic, read, write } = makePlic();
    write(ENABLE, 0xffffffff);
    write(ENABLE + 4, 0xffffffff);
    for (const id of [31, 32, 63]) write(priorityOf(id), 7);
    for (const id of [63, 32, 31]) plic.source(id).set(true);
    expect([read(CLAIM), read(CLAIM), read(CLAIM)]).toEqual([31, 32, 63]);
  });

  test("is not affected by the threshold", () => {
    const { uart, read, write } = makeWithSource10();
    write(THRESHOLD, 7);
    uart.set(true);
    expect(read(CLAIM)).toBe(10);
  });

  test("takes the request away from every other context", () => {
    const { uart, line1, read, write } = makeWithSource10();
    write(ENABLE_1, 1 << 10);
    uart.set(true);
    expect(line1.level).toBe(true);
    read(CLAIM);
    expect(line1.level).toBe(false);
    expect(read(CLAIM_1)).toBe(0);
  });
});

describe("completion", () => {
  test("lets the gateway ask again while the level is high", () => {
    const { line, uart, read, write } = makeWithSource10();
    uart.set(true);
    read(CLAIM);
    write(CLAIM, 10);
    expect(line.level).toBe(true);
    expect(read(CLAIM)).toBe(10);
  });

  test("ends the interrupt when the level has fallen", () => {
    const { line, uart, read, write } = makeWithSource10();
    uart.set(true);
    read(CLAIM);
    uart.set(false);
    write(CLAIM, 10);
    expect(line.level).toBe(false);
    expect(read(PENDING)).toBe(0);
  });

  test("a level that pulses while in service is not remembered", () => {
    const { uart, read, write } = makeWithSource10();
    uart.set(true);
    read(CLAIM);
    uart.set(false);
    uart.set(true);
    expect(read(PENDING)).toBe(0);
    uart.set(false);
    write(CLAIM, 10);
    expect(read(CLAIM)).toBe(0);
  });

  test("of a source that the context has not enabled is ignored", () => {
    const { uart, read, write } = makeWithSource10();
    uart.set(true);
    read(CLAIM);
    write(CLAIM_1, 10);
    expect(read(PENDING)).toBe(0);
    write(CLAIM, 10);
    expect(read(PENDING)).toBe(1 << 10);
  });

  test("of a source that was not claimed, or does not exist, is ignored", () => {
    const { uart, read, write } = makeWithSource10();
    uart.set(true);
    write(CLAIM, 10);
    write(CLAIM, 0);
    write(CLAIM, 96);
    write(CLAIM, 0xffffffff);
    expect(read(CLAIM)).toBe(10);
  });
});

describe("registers", () => {
  test("priority and threshold keep three bits", () => {
    const { read, write } = makePlic();
    write(priorityOf(95), 0xff);
    write(THRESHOLD, 0xff);
    expect(read(priorityOf(95))).toBe(7);
    expect(read(THRESHOLD)).toBe(7);
  });

  test("source 0 cannot be enabled", () => {
    const { read, write } = makePlic();
    write(ENABLE, 0xffffffff);
    expect(read(ENABLE)).toBe(0xfffffffe);
  });

  test("pending cannot be written", () => {
    const { read, write, host } = makePlic();
    write(PENDING, 0xffffffff);
    expect(read(PENDING)).toBe(0);
    expect(host.guestErrors).toEqual(["plic: write of 0xffffffff to ro register pending"]);
  });

  test("a context past the last has no registers", () => {
    const { read, write } = makePlic();
    write(0x202000, 3);
    expect(read(0x202000)).toBe(0);
    expect(read(0x202004)).toBe(0);
  });

  test("only 32-bit accesses are valid", () => {
    expect(makePlic().mmio.valid).toEqual({ min: 4, max: 4 });
  });
});

test("reset forgets configuration and lowers the lines", () => {
  const { plic, line, uart, read } = makeWithSource10();
  uart.set(true);
  uart.set(false);
  plic.reset();
  expect(line.level).toBe(false);
  expect(read(ENABLE)).toBe(0);
  expect(read(PENDING)).toBe(0);
});

test("a source whose device is reset after the PLIC leaves no request behind", () => {
  const { plic, uart, read } = makeWithSource10();
  uart.set(true);
  plic.reset();
  uart.set(false);
  expect(read(PENDING)).toBe(0);
});

test("a source that stays high across a reset asks again when it is driven", () => {
  const { plic, uart, read } = makeWithSource10();
  uart.set(true);
  read(CLAIM);
  plic.reset();
  uart.set(true);
  expect(read(PENDING)).toBe(1 << 10);
});

test("a loaded PLIC continues in the middle of a service", () => {
  const from = makeWithSource10();
  from.uart.set(true);
  from.read(CLAIM);
  const to = makePlic();
  to.plic.loadState(from.plic.saveState());
  expect(to.line.level).toBe(false);
  to.write(CLAIM, 10);
  expect(to.line.level).toBe(true);
  expect(Object.keys(from.plic.saveState())).toEqual(from.plic.stateDescription.fields.map((f) => f.name));
});

/** The specification, source by source. */
class NaivePlic {
  readonly level = new Set<number>();
  readonly pending = new Set<number>();
  readonly inService = new Set<number>();
  readonly priority = new Map<number, number>();
  readonly enabled = [new Set<number>(), new Set<number>()];
  readonly threshold = [0, 0];

  gateway(id: number): void {
    if (this.level.has(id) && !this.inService.has(id)) this.pending.add(id);
  }

  waiting(context: number): number[] {
    const ids = [...this.pending].filter((id) => this.enabled[context]!.has(id) && (this.priority.get(id) ?? 0) > 0);
    return ids.sort((a, b) => this.priority.get(b)! - this.priority.get(a)! || a - b);
  }
}

test("any sequence of accesses agrees with the specification taken literally", () => {
  const id = fc.integer({ min: 1, max: 95 });
  const context = fc.integer({ min: 0, max: 1 });
  const level3 = fc.integer({ min: 0, max: 7 });
  const step = fc.oneof(
    fc.record({ do: fc.constant("line" as const), id, high: fc.boolean() }),
    fc.record({ do: fc.constant("priority" as const), id, to: level3 }),
    fc.record({ do: fc.constant("enable" as const), context, ids: fc.array(id, { maxLength: 6 }) }),
    fc.record({ do: fc.constant("threshold" as const), context, to: level3 }),
    fc.record({ do: fc.constant("claim" as const), context }),
    fc.record({ do: fc.constant("complete" as const), context, id }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { plic, read, write, line, line1 } = makePlic();
      const naive = new NaivePlic();
      const claims: { answered: number | undefined; expected: number }[] = [];
      for (const s of steps) {
        switch (s.do) {
          case "line":
            plic.source(s.id).set(s.high);
            if (s.high) naive.level.add(s.id);
            else naive.level.delete(s.id);
            naive.gateway(s.id);
            break;
          case "priority":
            write(priorityOf(s.id), s.to);
            naive.priority.set(s.id, s.to);
            break;
          case "enable": {
            const words = [0, 0, 0];
            for (const one of s.ids) words[one >>> 5]! |= 1 << (one & 31);
            words.forEach((word, i) => write(ENABLE + 0x80 * s.context + 4 * i, word >>> 0));
            naive.enabled[s.context] = new Set(s.ids);
            break;
          }
          case "threshold":
            write(THRESHOLD + 0x1000 * s.context, s.to);
            naive.threshold[s.context] = s.to;
            break;
          case "claim": {
            const expected = naive.waiting(s.context)[0] ?? 0;
            claims.push({ answered: read(CLAIM + 0x1000 * s.context), expected });
            naive.pending.delete(expected);
            if (expected !== 0) naive.inService.add(expected);
            break;
          }
          case "complete":
            write(CLAIM + 0x1000 * s.context, s.id);
            if (naive.enabled[s.context]!.has(s.id)) {
              naive.inService.delete(s.id);
              naive.gateway(s.id);
            }
            break;
        }
        const levels = [0, 1].map((c) => naive.waiting(c).some((w) => naive.priority.get(w)! > naive.threshold[c]!));
        expect([line.level, line1.level]).toEqual(levels);
      }
      expect(claims.map((c) => c.answered)).toEqual(claims.map((c) => c.expected));
    }),
    { numRuns: 300 },
  );
});
