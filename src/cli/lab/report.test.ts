import { describe, expect, test } from "vitest";
import { resultText, type LabResult } from "./report.ts";

const sources = [
  { name: "hart0", pages: 10 },
  { name: "hart1", pages: 5 },
  { name: "vfio 0000:01:00.0 log", pages: 3 },
  { name: "vfio page table 3", pages: 4 },
];
const move = {
  channel: "tcp",
  rounds: [{ number: 1, sentBytes: 2 ** 20, deviceBytes: 0, durationMs: 12.3, dirtyPages: 20, sources }],
  totalMs: 20,
  downtimeMs: 7,
  sentBytes: 2 ** 21,
  deviceBytes: 2048,
  missedPages: 0,
  missed: [],
} as const;
const result: LabResult = {
  host: "all/first",
  policy: "mixed",
  harts: 2,
  trackers: [],
  moves: [move],
  counts: { disk: 1, memory: 2, dma: [3], serial: [4, 5] },
};

describe("what a series of moves was like", () => {
  test("each round has who wrote how many pages", () => {
    const [head, row] = resultText(result, 120).split("\n");
    expect(head).toBe("move   round  ms  MiB  pages  hart0  hart1  01:00.0 log  page table 3");
    expect(row).toBe("1 tcp      1  12  1.0     20     10      5            3             4");
  });

  test("harts are one column where the terminal is too narrow for each", () => {
    const [head, row] = resultText(result, 66).split("\n");
    expect(head).toBe("move   round  ms  MiB  pages  harts  01:00.0 log  page table 3");
    expect(row).toBe("1 tcp      1  12  1.0     20     15            3             4");
  });

  test("the end says what the guest did and what the oracle saw", () => {
    const lines = resultText(result, 80).trimEnd().split("\n");
    expect(lines.slice(-3)).toEqual([
      "the guest: disk 1, memory 2, DMA 3, serial 4 and 5",
      "all sums and patterns are right",
      "the oracle: 2 rounds, no page was missed",
    ]);
  });

  test("pages that nobody told of are named", () => {
    const lost = { ...result, moves: [{ ...move, missedPages: 1, missed: ["virt.ram+4096"] }] };
    expect(resultText(lost, 80)).toContain("the oracle: MISSED 1 pages: virt.ram+4096");
  });
});
