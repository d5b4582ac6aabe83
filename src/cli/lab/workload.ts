// What the guest does while it is moved, and how it is asked whether anything was lost: files on the assigned disk and in
// memory are written, read back and summed without end, and a DMA engine counts into memory that the kernel leaves alone.
import { CliError } from "../errors.ts";
import type { MachineProcess } from "./machine-process.ts";

/** At the end of memory, for DMA engines alone. */
export const DMA_RESERVED_BYTES: number = 16 * 2 ** 20;
const DMA_BYTES = 2 ** 20;
const MEMORY_BASE = 0x8000_0000;
/** Bytes a microsecond that an engine moves. */
const DMA_RATE = 20;

/** Each line ends a file that stays whole when it is cut by the guest's terminal: at most some 3000 characters. */
const SCRIPTS: Readonly<Record<string, string>> = {
  // Sums of what is read from the disk, not from its cache.
  disk: `n=0
while [ ! -e /lab/stop ]; do
  n=$((n+1)); f=/mnt/f$((n%6))
  dd if=/dev/urandom of=$f bs=64k count=8 2>/dev/null && md5sum $f > $f.sum || echo "disk: $f is not written" >> /lab/errors
  sync; echo 3 > /proc/sys/vm/drop_caches
  for g in /mnt/f?; do md5sum -cs $g.sum || echo "disk: $g differs" >> /lab/errors; done
  echo $n > /lab/disk.count
done
echo over > /lab/disk.over
`,
  memory: `n=0
while [ ! -e /lab/stop ]; do
  n=$((n+1)); f=/lab/m$((n%8))
  dd if=/dev/urandom of=$f bs=64k count=4 2>/dev/null; md5sum $f > $f.sum
  for g in /lab/m?; do md5sum -cs $g.sum || echo "memory: $g differs" >> /lab/errors; done
  echo $n > /lab/memory.count
done
echo over > /lab/memory.over
`,
  // dma-start BAR ADDRESS: endless counting from 1, each pass one higher (docs/dma-engine.md).
  "dma-start": `w() { devmem $(($1)) 32 $(($2)); }
w $1+0x08 1; w $1+0x1c ${DMA_RATE}; w $1+0x28 $2; w $1+0x2c 0; w $1+0x30 ${DMA_BYTES}; w $1+0x34 1; w $1+0x38 0xffffffff; w $1+0x48 6
`,
  // dma-check BAR ADDRESS: word i is 1 + pass + i of the pass under way or the one before; prints the passes.
  "dma-check": `r() { echo $(($(devmem $(($1)) 32))); }
[ $(($(r $1+0x0c) & 1)) = 1 ] || { echo "dma: the engine stands still, fault $(r $1+0x58)"; exit 1; }
i=0
while [ $i -lt ${DMA_BYTES / 4} ]; do
  before=$(r $1+0x4c); v=$(r $2+$((4*i))); after=$(r $1+0x4c); pass=$((v-1-i))
  [ $before = 0 ] || { [ $((pass+1)) -ge $before ] && [ $pass -le $after ]; } || { echo "dma: word $i is of pass $pass, between $before and $after"; exit 1; }
  i=$((i+13007))
done
r $1+0x4c
`,
};

/** Where the engines of the guest count, by the address of their registers. */
interface Engine {
  readonly bar: string;
  readonly at: number;
}

export interface Counts {
  readonly disk: number;
  readonly memory: number;
  /** Passes of each engine. */
  readonly dma: readonly number[];
}

export class Workload {
  readonly #engines: readonly Engine[];
  readonly #hasDisk: boolean;

  private constructor(engines: readonly Engine[], hasDisk: boolean) {
    this.#engines = engines;
    this.#hasDisk = hasDisk;
  }

  /** Begins it in a guest that has booted, with `memoryBytes` of RAM. */
  static async begin(guest: MachineProcess, memoryBytes: number): Promise<Workload> {
    await guest.run("mkdir -p /lab /mnt");
    for (const [name, text] of Object.entries(SCRIPTS)) {
      await guest.run(`echo ${Buffer.from(text).toString("base64")} | base64 -d > /lab/${name}`);
    }
    const hasDisk = (await guest.run("ls /dev/nvme0n1 2>/dev/null || true")) !== "";
    if (hasDisk) {
      await guest.run("mkfs.ext4 -q /dev/nvme0n1 && mount /dev/nvme0n1 /mnt");
      await guest.run("(sh /lab/disk </dev/null >/dev/null 2>&1 &)");
    }
    await guest.run("(sh /lab/memory </dev/null >/dev/null 2>&1 &)");
    const engines = await findEngines(guest, memoryBytes);
    for (const { bar, at } of engines) await guest.run(`sh /lab/dma-start ${bar} ${at}`);
    return new Workload(engines, hasDisk);
  }

  /** What was done so far. Rejects with CliError `guestFailed` when the guest has found something wrong. */
  async check(guest: MachineProcess): Promise<Counts> {
    const errors = await guest.run("cat /lab/errors 2>/dev/null || true");
    if (errors !== "") throw new CliError("guestFailed", errors, { subject: guest.name });
    const count = async (name: string): Promise<number> =>
      Number(await guest.run(`cat /lab/${name}.count 2>/dev/null || echo 0`));
    const dma: number[] = [];
    for (const { bar, at } of this.#engines) dma.push(await this.#checkEngine(guest, bar, at));
    return { disk: this.#hasDisk ? await count("disk") : 0, memory: await count("memory"), dma };
  }

  /** Ends it and looks at everything once more. */
  async end(guest: MachineProcess): Promise<Counts> {
    const counts = await this.check(guest);
    await guest.run("touch /lab/stop");
    const parts = this.#hasDisk ? ["disk", "memory"] : ["memory"];
    for (const part of parts) await guest.run(`while [ ! -e /lab/${part}.over ]; do sleep 1; done`);
    if (this.#hasDisk) {
      await guest.run("umount /mnt && mount -o ro /dev/nvme0n1 /mnt && for g in /mnt/f?; do md5sum -cs $g.sum; done");
    }
    await this.check(guest);
    return counts;
  }

  async #checkEngine(guest: MachineProcess, bar: string, at: number): Promise<number> {
    const answer = await guest.run(`sh /lab/dma-check ${bar} ${at} || true`);
    if (!/^\d+$/.test(answer)) throw new CliError("guestFailed", answer, { subject: guest.name });
    return Number(answer);
  }
}

async function findEngines(guest: MachineProcess, memoryBytes: number): Promise<Engine[]> {
  const folders = "/sys/bus/pci/devices/*";
  const found = await guest.run(
    `for d in ${folders}; do [ "$(cat $d/device)" = 0x7261 ] && head -1 $d/resource | cut -d' ' -f1 && echo 1 > $d/enable` +
      ` && printf '\\006\\000' | dd of=$d/config bs=1 seek=4 conv=notrunc 2>/dev/null; done; true`,
  );
  const bars = found.split("\n").filter((line) => line.startsWith("0x"));
  const end = MEMORY_BASE + memoryBytes;
  return bars.map((bar, n) => ({
    bar: `0x${BigInt(bar).toString(16)}`,
    at: end - DMA_RESERVED_BYTES + n * 2 * DMA_BYTES,
  }));
}
