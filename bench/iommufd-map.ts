// `npm run bench:iommufd`: map and unmap per second at a thousand and at a million areas, and dirty queries of a
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
import { median } from "./support/figures.ts";

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
const ROUNDS = 40;

/** Microseconds of processor time per call: other programs on the machine do not count. */
function cost(calls: number, operation: (i: number) => void): number {
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i++) operation(i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

/** A scattered order, so that neighbours in time are not neighbours in space. */
function scatter(i: number, count: number): bigint {
  return BigInt((i * 7919) % count);
}

const OPERATIONS = ["fixed", "unmap", "automatic"] as const;
type Costs = Record<(typeof OPERATIONS)[number], number>;

/** A space with so many areas, each followed by a hole of a page; each round unmaps a batch, maps it again, and maps anywhere. */
function space(areas: number): (round: number) => Costs {
  const { client } = open();
  const ioasId = client.ioasAlloc();
  for (let i = 0; i < areas; i++) client.map(0n, { ioasId, lengthBytes: PAGE, iova: (BigInt(i) * 2n + 1n) * PAGE });
  return (round) => {
    const at = (i: number): bigint => (scatter(round * BATCH + i, areas) * 2n + 1n) * PAGE;
    const unmap = cost(BATCH, (i) => client.unmap(ioasId, at(i), PAGE));
    const fixed = cost(BATCH, (i) => client.map(0n, { ioasId, lengthBytes: PAGE, iova: at(i) }));
    // Every gap below is one page wide: two pages are found past all of them.
    const found: bigint[] = [];
    const automatic = cost(BATCH, () => found.push(client.map(0n, { ioasId, lengthBytes: 2n * PAGE })));
    for (const iova of found) client.unmap(ioasId, iova, 2n * PAGE);
    return { unmap, fixed, automatic };
  };
}

const small = space(1000);
const large = space(1_000_000);
// The first rounds compile the code.
for (let round = 0; round < ROUNDS; round++) small(round);
const costs: { small: Costs; large: Costs }[] = [];
for (let round = 0; round < ROUNDS; round++) costs.push({ small: small(round), large: large(round) });
process.stdout.write(
  "operation        10^3 areas   10^6 areas   ratio (of medians; rounds interleaved, processor time)\n",
);
for (const name of OPERATIONS) {
  const [few, many] = [median(costs.map((c) => c.small[name])), median(costs.map((c) => c.large[name]))];
  const cells = [few, many].map((us) => `${us.toFixed(2)} us`.padStart(10));
  process.stdout.write(`${name.padEnd(14)}   ${cells.join("   ")}   ${(many / few).toFixed(2)}\n`);
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
    cost(1, () => {
      for (let i = 0; i < runs; i++) client.getDirtyBitmap(hwpt, at(i), runBytes, PAGE);
    }) / 1000;
  const one = new Uint8Array(1);
  const sweep = (percent: number): number => {
    const step = percent === 0 ? Infinity : 100 / percent;
    for (let i = 0; i < runs; i++) {
      for (let page = 0; page < 4096; page += step) dma.write(at(i) + BigInt(page) * PAGE, one);
    }
    return query();
  };
  for (const percent of [0, 1, 100]) sweep(percent);
  process.stdout.write("\ndirty query of 4 GiB mapped in 1 TiB, asked run by run (median of 5, processor time)\n");
  const percents = [0, 1, 100];
  const rounds = Array.from({ length: 5 }, () => percents.map(sweep));
  for (const [i, percent] of percents.entries()) {
    process.stdout.write(`${String(percent).padStart(3)} % dirty: ${median(rounds.map((r) => r[i]!)).toFixed(1)} ms\n`);
  }
  const whole = client.hwptAlloc({
    deviceId: bound.id,
    parentId: client.ioasAlloc(),
    flags: HwptAllocFlag.DIRTY_TRACKING,
  });
  const space1TiB = median(
    Array.from({ length: 5 }, () =>
      cost(1, () => {
        client.call("hwptGetDirtyBitmap", { hwpt_id: whole, iova: 0n, length: 1n << 40n, page_size: PAGE, data: 0n });
      }),
    ),
  );
  process.stdout.write(`the same 1 TiB with nothing mapped, asked at once: ${(space1TiB / 1000).toFixed(2)} ms\n`);
}
