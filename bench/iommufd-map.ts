// `npx tsx bench/iommufd-map.ts`: map and unmap per second at a thousand and at a million areas, and dirty queries of a
// 1 TiB space with 4 GiB mapped. Bars: the cost of an operation at 10^6 areas is at most 3 times that at 10^3; a query
// costs in proportion to what is mapped and dirty, not to the space.
import {
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  DeviceDma,
  HwptAllocFlag,
  type IommufdContext,
  IommufdClient,
  makeGroup,
  makeLocalCaller,
  NO_PASID,
  SoftwareHost,
  unitProfiles,
} from "../src/iommufd/index.ts";

const PAGE = 4096n;
const MEMORY = 64 << 20;
const ARENA = 1 << 20;

function open(): { client: IommufdClient; context: IommufdContext; host: SoftwareHost; bytes: Uint8Array } {
  const host = new SoftwareHost();
  const bytes = new Uint8Array(MEMORY);
  const caller = makeLocalCaller({ bytes });
  const arena = { va: BigInt(MEMORY - ARENA), bytes: bytes.subarray(MEMORY - ARENA) };
  const client = IommufdClient.open(host.attach(caller), arena);
  return { client, context: caller.files.lookup(client.fd) as IommufdContext, host, bytes };
}

const BATCH = 500;

/** Microseconds per call of `operation`: the median of batches, since machines are noisy. */
function measure(calls: number, operation: (i: number) => void): number {
  const costs: number[] = [];
  for (let done = 0; done < calls; done += BATCH) {
    const end = Math.min(calls, done + BATCH);
    const start = performance.now();
    for (let i = done; i < end; i++) operation(i);
    costs.push(((performance.now() - start) * 1000) / (end - done));
  }
  costs.sort((x, y) => x - y);
  return costs[costs.length >> 1]!;
}

/** A scattered order, so that neighbours in time are not neighbours in space. */
function scatter(i: number, count: number): bigint {
  return BigInt((i * 7919) % count);
}

function mapping(areas: number): { fixed: number; unmap: number; automatic: number } {
  const { client } = open();
  const ioasId = client.ioasAlloc();
  for (let i = 0; i < areas; i++) client.map(0n, { ioasId, lengthBytes: PAGE, iova: (BigInt(i) * 2n + 1n) * PAGE });
  const calls = 20_000;
  const base = (BigInt(areas) * 2n + 2n) * PAGE;
  // Warm: the same operations once, undone.
  measure(2000, (i) => client.map(0n, { ioasId, lengthBytes: PAGE, iova: base + BigInt(i) * 2n * PAGE }));
  measure(2000, (i) => client.unmap(ioasId, base + BigInt(i) * 2n * PAGE, PAGE));
  const cycle = Math.min(calls, areas);
  const unmap = measure(cycle, (i) => client.unmap(ioasId, (scatter(i, areas) * 2n + 1n) * PAGE, PAGE));
  const fixed = measure(cycle, (i) =>
    client.map(0n, { ioasId, lengthBytes: PAGE, iova: (scatter(i, areas) * 2n + 1n) * PAGE }),
  );
  // Every gap below is one page wide: two pages are found past all of them.
  const automatic = measure(calls, () => client.map(0n, { ioasId, lengthBytes: 2n * PAGE }));
  return { fixed, unmap, automatic };
}

// The first runs compile the code.
for (let i = 0; i < 10; i++) mapping(1000);
const small = mapping(1000);
const large = mapping(1_000_000);
process.stdout.write("operation        10^3 areas   10^6 areas   ratio\n");
for (const name of ["fixed", "unmap", "automatic"] as const) {
  const cells = [`${small[name].toFixed(2)} us`.padStart(10), `${large[name].toFixed(2)} us`.padStart(10)];
  process.stdout.write(`${name.padEnd(14)}   ${cells.join("   ")}   ${(large[name] / small[name]).toFixed(2)}\n`);
}

{
  const { client, context, host } = open();
  const ioasId = client.ioasAlloc();
  const unit = new DescribedUnit("u0", unitProfiles["vtd-ssads"]!);
  const device = new DescribedDevice({ name: "d0", unit, group: makeGroup(1) });
  const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: false });
  if (typeof bound === "number") throw new Error(`bind: ${bound}`);
  const hwpt = client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: HwptAllocFlag.DIRTY_TRACKING });
  attachDevice(bound, NO_PASID, hwpt);
  const dma = new DeviceDma(host.memory, device);
  // 4 GiB of 4 KiB pages, spread over 1 TiB in runs of 16 MiB.
  client.setLargePages(ioasId, false);
  const runBytes = 16n << 20n;
  const runs = 256;
  const at = (i: number): bigint => (BigInt(i) << 32n) + (1n << 24n);
  for (let i = 0; i < runs; i++) client.map(0n, { ioasId, lengthBytes: runBytes, iova: at(i) });
  client.setDirtyTracking(hwpt, true);
  const query = (): number =>
    measure(1, () => {
      for (let i = 0; i < runs; i++) client.getDirtyBitmap(hwpt, at(i), runBytes, PAGE);
    }) / 1000;
  const one = new Uint8Array(1);
  query();
  process.stdout.write("\ndirty query of 4 GiB mapped in 1 TiB, asked run by run\n");
  for (const percent of [0, 1, 100]) {
    const step = percent === 0 ? Infinity : 100 / percent;
    for (let i = 0; i < runs; i++) {
      for (let page = 0; page < 4096; page += step) dma.write(at(i) + BigInt(page) * PAGE, one);
    }
    process.stdout.write(`${String(percent).padStart(3)} % dirty: ${query().toFixed(1)} ms\n`);
  }
}
