// Random ioctl bytes: any answer is right as long as it is an errno or a value, nothing throws, and nothing leaks.
// RATITE_IOMMUFD_FUZZ=10000000 runs a long one; RATITE_IOMMUFD_SEED picks another sequence.
import { expect, test } from "vitest";
import { iommufdIoctls, ioctlCommand, iommuTestIoctl, type IoctlRow } from "../uapi/index.ts";
import { MEMORY_BYTES, testBench } from "./test-bench.ts";

const CALLS = Number(process.env["RATITE_IOMMUFD_FUZZ"] ?? 30_000);
const SEED = Number(process.env["RATITE_IOMMUFD_SEED"] ?? 0x2545_f491);
const CALLS_PER_CONTEXT = 400;
const ROWS: readonly IoctlRow[] = [...Object.values(iommufdIoctls), iommuTestIoctl];
const VFIO_NUMBERS = [100, 101, 102, 112, 113, 114];

function makeRandom(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** Numbers that mean something somewhere: ids, flags, aligned addresses, edges. */
function interesting(random: (below: number) => number): bigint {
  switch (random(9)) {
    case 0:
      return BigInt(random(12));
    case 1:
      return 1n << BigInt(random(64));
    case 2:
      return 0x100_0000n + BigInt(random(64)) * 0x1000n;
    case 3:
      return BigInt(random(MEMORY_BYTES / 4096)) * 0x1000n;
    case 4:
      return BigInt(random(32)) * 0x800n;
    case 5:
      return 0xffff_ffff_ffff_ffffn - BigInt(random(4)) * 0xfffn;
    case 6:
      return 0xdead_beefn;
    case 7:
      return [0xdeadn, 0xbeef_beefn, 4096n, 1n][random(4)]!;
    default:
      return BigInt(random(0x1_0000));
  }
}

test("random requests get answers and leave nothing behind", { timeout: 3_600_000 }, () => {
  const random = makeRandom(SEED);
  const answers = new Set<number>();
  for (let done = 0; done < CALLS; done += CALLS_PER_CONTEXT) {
    const b = testBench({ kernelQuirks: random(2) === 0 });
    const ioas = b.client.ioasAlloc();
    b.mockDevice(ioas);
    const view = new DataView(b.bytes.buffer);
    for (let i = 0; i < CALLS_PER_CONTEXT; i++) {
      const row = ROWS[random(ROWS.length)]!;
      const at = 0x1000 + random(64);
      for (let word = 0; word < 80; word += 8) {
        if (random(3) === 0) view.setBigUint64(at + word, BigInt(random(16)) | (BigInt(random(16)) << 32n), true);
        else view.setBigUint64(at + word, interesting(random), true);
      }
      view.setUint32(at, random(8) === 0 ? random(128) : row.layout.lengthBytes, true);
      const flags = row.layout.offsets["flags"];
      if (flags !== undefined) view.setUint32(at + flags, random(16), true);
      for (const field of row.reserved ?? []) view.setUint32(at + row.layout.offsets[field]!, 0, true);
      if (row === iommuTestIoctl) view.setUint32(at + 4, random(25), true);
      const nr = random(12) === 0 ? VFIO_NUMBERS[random(VFIO_NUMBERS.length)]! : row.nr;
      const result = b.session.ioctl(b.client.fd, ioctlCommand(nr), BigInt(at));
      answers.add(Math.max(result, -4096));
      expect(result).toBeGreaterThan(-4096);
    }
    b.caller.files.closeAll();
    expect(b.host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
  }
  // Many different answers: the requests get past the first checks.
  expect(answers.size).toBeGreaterThan(12);
});
