// `npx tsx bench/memory.ts`: cost of bus accesses, write notes and reading an epoch, in nanoseconds per call.
import { Bench } from "tinybench";
import { iova } from "../src/base/index.ts";
import { AddressSpace, containerRegion, dmaPort, mmioRegion, ramRegion, WorldPlan } from "../src/memory/index.ts";

const RAM = 0x8000_0000;
const MiB = 2 ** 20;
/** Calls per measured step, so that the timer's own cost does not count. */
const CALLS = 1000;

const plan = new WorldPlan();
const ram = plan.ram("ram", 512 * MiB);
const world = plan.create();
const root = containerRegion("system", 2 ** 53);
root.add(ramRegion(ram), RAM);
for (let i = 0; i < 16; i++) {
  root.add(
    mmioRegion(`device ${i}`, 4096, { read: (offset) => offset, write: () => undefined }),
    0x1000_0000 + i * 4096,
  );
}
const space = new AddressSpace("memory", root, world);
const bus = space.bus("hart 0");
const disk = dmaPort(space, "disk");
const { notes } = world;
const hart = notes.source("hart 0");
const page = new Uint8Array(4096);

function times(call: (i: number) => void): () => void {
  return () => {
    for (let i = 0; i < CALLS; i++) call(i);
  };
}

const bench = new Bench({ time: 300 })
  .add(
    "load, RAM",
    times((i) => bus.load(RAM + i * 8, 8)),
  )
  .add(
    "load, two devices in turn",
    times((i) => bus.load(0x1000_0000 + (i & 1) * 4096, 4)),
  )
  .add(
    "store, RAM, no epoch",
    times((i) => bus.store(RAM + i * 8, 8, i, i)),
  )
  .add(
    "DMA of a page, no epoch",
    times((i) => disk.write(iova(BigInt(RAM + i * 4096)), page)),
  );
await bench.run();

const epoch = notes.openEpoch("bench");
const tracked = new Bench({ time: 300 })
  .add(
    "write note, one epoch",
    times((i) => notes.noteWrite(hart, ram.offset + i * 4096, 8)),
  )
  .add(
    "DMA of a page, one epoch",
    times((i) => disk.write(iova(BigInt(RAM + i * 4096)), page)),
  );
await tracked.run();

const rounds = new Bench({ time: 300 })
  .add("read an epoch of 512 MiB, nothing dirty", () => epoch.read())
  .add("read an epoch of 512 MiB, all dirty", () => {
    epoch.markAll(hart);
    epoch.read();
  });
await rounds.run();

for (const { name, result } of [...bench.tasks, ...tracked.tasks]) {
  if ("latency" in result) console.log(`${((result.latency.p50 * 1e6) / CALLS).toFixed(1).padStart(10)} ns  ${name}`);
}
for (const { name, result } of rounds.tasks) {
  if ("latency" in result) console.log(`${(result.latency.p50 * 1e6).toFixed(0).padStart(10)} ns  ${name}`);
}
