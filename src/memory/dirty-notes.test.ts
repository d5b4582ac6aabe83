import { describe, expect, test } from "vitest";
import { type DirtyNotes, MAX_EPOCHS, MemoryError, type PageReport, WorldPlan } from "./index.ts";

const PAGES = 70;

function makeNotes(pages = PAGES): { notes: DirtyNotes; first: number; offset: number } {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", pages * 4096);
  const { notes } = plan.create({ shared: false });
  return { notes, first: ram.offset / 4096, offset: ram.offset };
}

describe("write notes", () => {
  test("with no epoch open every page is quiet", () => {
    const { notes, first } = makeNotes();
    expect(notes.isQuiet(first)).toBe(true);
  });

  test("an open epoch waits for every page until it is written", () => {
    const { notes, first, offset } = makeNotes();
    notes.openEpoch("e");
    expect(notes.isQuiet(first + 1)).toBe(false);
    notes.noteWrite(notes.source("hart 0"), offset + 4096, 8);
    expect([notes.isQuiet(first), notes.isQuiet(first + 1)]).toEqual([false, true]);
  });

  test("a page that was read is armed again and its keepers are told", () => {
    const { notes, first, offset } = makeNotes();
    const epoch = notes.openEpoch("e");
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    const told: number[] = [];
    notes.addArmListener((page) => told.push(page));
    epoch.read();
    expect([told, notes.isQuiet(first)]).toEqual([[-1], false]);
  });

  test("a read that finds nothing tells nobody", () => {
    const { notes } = makeNotes();
    const epoch = notes.openEpoch("e");
    const told: number[] = [];
    notes.addArmListener((page) => told.push(page));
    epoch.read();
    expect(told).toEqual([]);
  });

  test("a removed arm listener is not told", () => {
    const { notes } = makeNotes();
    const told: number[] = [];
    notes.addArmListener((page) => told.push(page))();
    notes.openEpoch("e");
    expect(told).toEqual([]);
  });

  test("a write over a page border dirties both pages", () => {
    const { notes, first, offset } = makeNotes();
    const epoch = notes.openEpoch("e");
    notes.noteWrite(notes.source("dma"), offset + 4095, 2);
    expect(epoch.read().pages.toArray()).toEqual([first, first + 1]);
  });

  test("an empty write dirties nothing", () => {
    const { notes, offset } = makeNotes();
    const epoch = notes.openEpoch("e");
    notes.noteWrite(notes.source("dma"), offset, 0);
    expect(epoch.countDirty()).toBe(0);
  });

  test("the flag byte in the memory is zero exactly for quiet pages", () => {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", 4 * 4096);
    const { notes, u8 } = plan.create();
    const page = ram.offset / 4096;
    notes.watchCode(page);
    expect([u8[notes.flagsOffset + page], u8[notes.flagsOffset + page + 1]]).toEqual([2, 0]);
  });

  test("a report outside of RAM is our own mistake", () => {
    const { notes, offset } = makeNotes();
    const dma = notes.source("dma");
    expect(() => notes.noteWrite(dma, offset - 1, 1)).toThrow("reported writes lie in RAM");
    expect(() => notes.noteWrite(dma, offset + PAGES * 4096 - 1, 2)).toThrow("reported writes lie in RAM");
  });

  test("a source has one number and keeps its name", () => {
    const { notes } = makeNotes();
    const disk = notes.source("disk");
    expect(notes.source("disk")).toBe(disk);
    expect(notes.source("net")).not.toBe(disk);
    expect(notes.sourceName(disk)).toBe("disk");
  });
});

describe("watched code", () => {
  test("a write from any source calls the watcher with the bytes written", () => {
    const { notes, first, offset } = makeNotes();
    const seen: number[][] = [];
    notes.setCodeWatcher((a, b) => seen.push([a - offset, b - offset]));
    notes.watchCode(first + 1);
    notes.noteWrite(notes.source("hart 0"), offset + 4096, 4);
    notes.noteWrite(notes.source("disk"), offset + 4000, 512);
    notes.noteWrite(notes.source("disk"), offset, 4096);
    expect(seen).toEqual([
      [4096, 4099],
      [4000, 4511],
    ]);
  });

  test("a watched page is not quiet, with an epoch or without, before and after the write", () => {
    const { notes, first, offset } = makeNotes();
    notes.watchCode(first);
    notes.openEpoch("e");
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    expect(notes.isQuiet(first)).toBe(false);
    notes.unwatchCode(first);
    expect(notes.isQuiet(first)).toBe(true);
  });

  test("watching a quiet page tells the keepers of direct store entries which page", () => {
    const { notes, first } = makeNotes();
    const told: number[] = [];
    notes.addArmListener((page) => told.push(page - first));
    notes.watchCode(first + 2);
    notes.watchCode(first + 2);
    expect(told).toEqual([2]);
  });

  test("the watcher may stop watching while it is called", () => {
    const { notes, first, offset } = makeNotes();
    let calls = 0;
    notes.setCodeWatcher(() => {
      calls += 1;
      notes.unwatchCode(first);
    });
    notes.watchCode(first);
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    expect(calls).toBe(1);
  });
});

describe("epochs", () => {
  test("each has its own view of the same writes", () => {
    const { notes, first, offset } = makeNotes();
    const a = notes.openEpoch("a");
    const hart = notes.source("hart 0");
    notes.noteWrite(hart, offset, 1);
    const b = notes.openEpoch("b");
    notes.noteWrite(hart, offset + 4096, 1);
    expect(a.read().pages.toArray()).toEqual([first, first + 1]);
    expect(b.read().pages.toArray()).toEqual([first + 1]);
  });

  test("a round says how many pages each source wrote, and who wrote a page", () => {
    const { notes, first, offset } = makeNotes();
    const epoch = notes.openEpoch("e");
    notes.noteWrite(notes.source("hart 0"), offset, 2 * 4096);
    notes.noteWrite(notes.source("disk"), offset + 4096, 2 * 4096);
    const round = epoch.read();
    expect([...round.bySource]).toEqual([
      ["hart 0", 2],
      ["disk", 2],
    ]);
    expect(round.sourcesOf(first + 1)).toEqual(["hart 0", "disk"]);
    expect(round.sourcesOf(first + 2)).toEqual(["disk"]);
    expect(round.dirtyPageCount).toBe(3);
    expect(epoch.bySource().size).toBe(0);
  });

  test("reading adds to the set that it is given", () => {
    const { notes, first, offset } = makeNotes();
    const epoch = notes.openEpoch("e");
    const unsent = epoch.read().pages;
    unsent.add(first + 9);
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    const round = epoch.read(unsent);
    expect([unsent.toArray(), round.dirtyPageCount]).toEqual([[first, first + 9], 1]);
  });

  test("markAll makes all of guest memory dirty under the reason's name", () => {
    const { notes } = makeNotes();
    const epoch = notes.openEpoch("e");
    epoch.markAll(notes.source("no tracker"));
    expect(epoch.countDirty()).toBe(PAGES);
    expect([...epoch.bySource()]).toEqual([["no tracker", PAGES]]);
  });

  test("closing makes pages quiet that only this one waited for", () => {
    const { notes, first, offset } = makeNotes();
    const a = notes.openEpoch("a");
    notes.noteWrite(notes.source("hart 0"), offset, 1);
    const b = notes.openEpoch("b");
    b.close();
    b.close();
    expect([notes.isQuiet(first), notes.isQuiet(first + 1)]).toEqual([true, false]);
    a.close();
    expect(notes.isQuiet(first + 1)).toBe(true);
  });

  test("one more than can be open is refused by name, and a closed one makes room", () => {
    const { notes } = makeNotes();
    const open = Array.from({ length: MAX_EPOCHS }, (_, i) => notes.openEpoch(`e${i}`));
    expect(() => notes.openEpoch("late")).toThrow(MemoryError);
    open[3]!.close();
    expect(notes.openEpoch("late").countDirty()).toBe(0);
  });
});

describe("collectors", () => {
  test("are asked before an epoch is read, and report into all open epochs", () => {
    const { notes, first } = makeNotes();
    let bits: number[] = [];
    notes.addCollector("iommu", {
      read(into: PageReport): void {
        for (const page of bits) into.add(page, 1);
        bits = [];
      },
    });
    const a = notes.openEpoch("a");
    const b = notes.openEpoch("b");
    bits = [first + 6];
    expect(a.read().pages.toArray()).toEqual([first + 6]);
    expect([...b.bySource()]).toEqual([["iommu", 1]]);
  });

  test("what they know when a further epoch opens belongs to the epochs before", () => {
    const { notes, first } = makeNotes();
    let bits: number[] = [];
    notes.addCollector("iommu", {
      read(into: PageReport): void {
        for (const page of bits) into.add(page, 1);
        bits = [];
      },
    });
    const a = notes.openEpoch("a");
    bits = [first];
    const b = notes.openEpoch("b");
    expect([a.countDirty(), b.countDirty()]).toEqual([1, 0]);
  });

  test("run from the first epoch's opening to the last one's close", () => {
    const { notes } = makeNotes();
    const calls: string[] = [];
    notes.addCollector("iommu", {
      start: () => calls.push("start"),
      read: () => calls.push("read"),
      stop: () => calls.push("stop"),
    });
    const a = notes.openEpoch("a");
    const b = notes.openEpoch("b");
    a.close();
    b.close();
    expect(calls).toEqual(["start", "read", "stop"]);
  });

  test("one added while an epoch is open starts at once, and one removed reports a last time", () => {
    const { notes, first } = makeNotes();
    const epoch = notes.openEpoch("e");
    const calls: string[] = [];
    const remove = notes.addCollector("late", {
      start: () => calls.push("start"),
      read(into): void {
        into.add(first + 1, 1);
      },
      stop: () => calls.push("stop"),
    });
    remove();
    remove();
    expect([calls, epoch.countDirty()]).toEqual([["start", "stop"], 1]);
  });

  test("one that cannot start leaves no epoch open and the others stopped", () => {
    const { notes, first } = makeNotes();
    const calls: string[] = [];
    notes.addCollector("good", { start: () => calls.push("start"), read() {}, stop: () => calls.push("stop") });
    notes.addCollector("bad", {
      start() {
        throw new Error("no tracking");
      },
      read() {},
    });
    expect(() => notes.openEpoch("e")).toThrow("no tracking");
    expect([calls, notes.openEpochs, notes.isQuiet(first)]).toEqual([["start", "stop"], 0, true]);
  });

  test("one that fails to report makes everything dirty in every epoch", () => {
    const { notes } = makeNotes();
    let broken = true;
    notes.addCollector("iommu", {
      read() {
        if (broken) throw new Error("device vanished");
      },
    });
    const a = notes.openEpoch("a");
    broken = false;
    const b = notes.openEpoch("b");
    broken = true;
    expect(() => a.read()).toThrow("device vanished");
    broken = false;
    expect([a.read().dirtyPageCount, b.read().dirtyPageCount]).toEqual([PAGES, PAGES]);
  });

  test("their reports reach the code watcher too", () => {
    const { notes, first, offset } = makeNotes();
    const seen: number[] = [];
    notes.setCodeWatcher((a, b) => seen.push(a - offset, b - offset));
    notes.watchCode(first + 1);
    notes.addCollector("log", {
      read(into): void {
        into.add(first + 1, 2);
      },
    });
    notes.openEpoch("e").read();
    expect(seen).toEqual([4096, 3 * 4096 - 1]);
  });
});

describe("a foreign write", () => {
  test("reaches the code watcher and no epoch", () => {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", 4 * 4096);
    const { notes } = plan.create();
    const seen: number[][] = [];
    notes.setCodeWatcher((first, last) => seen.push([first, last]));
    notes.watchCode(ram.offset / 4096 + 1);
    const epoch = notes.openEpoch("test");
    notes.noteForeignWrite(ram.offset, 4096);
    notes.noteForeignWrite(ram.offset + 4000, 200);
    expect(seen).toEqual([[ram.offset + 4000, ram.offset + 4199]]);
    expect(epoch.read().dirtyPageCount).toBe(0);
    epoch.close();
  });
});
