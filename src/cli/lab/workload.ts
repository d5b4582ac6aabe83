// What the guest does while it is moved, and how it is asked whether anything was lost: files on the assigned disk and in
// memory are written, read back and summed without end, a DMA engine counts into memory that the kernel leaves alone, and
// a mediated serial device sends to itself from there.
import { CliError } from "../errors.ts";
import type { MachineProcess } from "./machine-process.ts";

/** At the end of memory, for devices alone. */
export const DMA_RESERVED_BYTES: number = 16 * 2 ** 20;
const DMA_BYTES = 2 ** 20;
/** Within what is reserved; engines have the first half. */
const SERIAL_AT = 8 * 2 ** 20;
const SERIAL_BYTES = 2 ** 18;
const SERIAL_RECEIVE_AT = 2 ** 20;
const MEMORY_BASE = 0x8000_0000;
/** Bytes a microsecond that an engine moves. */
const DMA_RATE = 20;
/** Words of an engine's memory that are looked at together are so far apart. */
const DMA_STEP_WORDS = 32_749;

/** What works makes way for the shell that asks. */
const YIELDING = "renice -n 10 -p $$";

/** Each line ends a file that stays whole when it is cut by the guest's terminal: at most some 3000 characters. */
const SCRIPTS: Readonly<Record<string, string>> = {
  // Sums of what is read from the disk, not from its cache.
  disk: `${YIELDING}; n=0
while [ ! -e /lab/stop ]; do
  n=$((n+1)); f=/mnt/f$((n%6))
  dd if=/dev/urandom of=$f bs=64k count=8 2>/dev/null && md5sum $f > $f.sum || echo "disk: $f is not written" >> /lab/errors
  sync; echo 3 > /proc/sys/vm/drop_caches
  for g in /mnt/f?; do md5sum -cs $g.sum || echo "disk: $g differs" >> /lab/errors; done
  echo $n > /lab/disk.count
done
echo over > /lab/disk.over
`,
  memory: `${YIELDING}; n=0
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
  // dma-check BAR ADDRESS FIRST: word i is 1 + pass + i of a pass that was under way, or the one before it; prints the passes.
  "dma-check": `r() { echo $(($(devmem $(($1)) 32))); }
[ $(($(r $1+0x0c) & 1)) = 1 ] || { echo "error: dma: the engine stands still, fault $(r $1+0x58)"; exit; }
before=$(r $1+0x4c); words=; i=$3
while [ $i -lt ${DMA_BYTES / 4} ]; do words="$words $i:$(r $2+$((4*i)))"; i=$((i+${DMA_STEP_WORDS})); done
after=$(r $1+0x4c)
for word in $words; do
  i=\${word%:*}; pass=$((\${word#*:}-1-i))
  [ $before = 0 ] || { [ $((pass+1)) -ge $before ] && [ $pass -le $after ]; } || echo "error: dma: word $i is of pass $pass, between $before and $after"
done
echo dma $after
`,
  // serial BAR ADDRESS NAME: sends, receives what was sent, compares (docs/mdev-serial.md). The first, a middle and the last
  // word are of the round; the line ends with the last byte, so that all have arrived then.
  serial: `${YIELDING}
w() { devmem $(($1)) 32 $(($2)); }
r() { echo $(($(devmem $(($1)) 32))); }
to=$(($2+${SERIAL_RECEIVE_AT})); n=0
w $1+0x10 $2; w $1+0x14 0; w $1+0x18 ${SERIAL_BYTES}; w $1+0x20 $to; w $1+0x24 0; w $1+0x28 ${SERIAL_BYTES}
while [ ! -e /lab/stop ]; do
  n=$((n+1))
  for at in 0 ${SERIAL_BYTES / 2} ${SERIAL_BYTES - 4}; do w $2+$at $n*65536+$at/4; done
  w $1+0x2c 1; w $1+0x1c 1
  until [ $(r $1+0x30) = ${SERIAL_BYTES} ]; do [ $(($(r $1+0x04) & 4)) = 0 ] || { echo "$3: fault" >> /lab/errors; break; }; done
  for at in 0 ${SERIAL_BYTES / 2} ${SERIAL_BYTES - 4}; do
    v=$(r $to+$at); [ $v = $((n*65536+at/4)) ] || echo "$3: round $n has $v at $at" >> /lab/errors
  done
  echo $n > /lab/$3.count
done
echo over > /lab/$3.over
`,
};

/** A device of the guest that is driven from its memory: where its registers and its buffers are. */
interface Driven {
  readonly bar: string;
  readonly at: number;
}

export interface Counts {
  readonly disk: number;
  readonly memory: number;
  /** Passes of each engine. */
  readonly dma: readonly number[];
  /** Rounds of each serial device. */
  readonly serial: readonly number[];
}

export class Workload {
  readonly #engines: readonly Driven[];
  /** Names of what runs in the guest's shell, as its files in /lab are called. */
  readonly #loops: readonly string[];
  #checks = 0;

  private constructor(engines: readonly Driven[], loops: readonly string[]) {
    this.#engines = engines;
    this.#loops = loops;
  }

  /** Begins it in a guest that has booted, with `memoryBytes` of RAM. */
  static async begin(guest: MachineProcess, memoryBytes: number): Promise<Workload> {
    await guest.run("mkdir -p /lab /mnt");
    for (const [name, text] of Object.entries(SCRIPTS)) {
      await guest.run(`echo ${Buffer.from(text).toString("base64")} | base64 -d > /lab/${name}`);
    }
    const loops: string[] = [];
    const loop = async (name: string, words: string): Promise<void> => {
      await guest.run(`(sh /lab/${words} </dev/null >/dev/null 2>&1 &)`);
      loops.push(name);
    };
    if ((await guest.run("ls /dev/nvme0n1 2>/dev/null || true")) !== "") {
      await guest.run("mkfs.ext4 -q /dev/nvme0n1 && mount /dev/nvme0n1 /mnt");
      await loop("disk", "disk");
    }
    await loop("memory", "memory");
    const reserved = MEMORY_BASE + memoryBytes - DMA_RESERVED_BYTES;
    const engines = (await findDevices(guest, "0x7261", 0)).map((bar, n) => ({
      bar,
      at: reserved + n * 2 * DMA_BYTES,
    }));
    for (const { bar, at } of engines) await guest.run(`sh /lab/dma-start ${bar} ${at}`);
    const serials = await findDevices(guest, "0x7262", 1);
    for (const [n, bar] of serials.entries()) {
      await loop(`serial${n}`, `serial ${bar} ${reserved + SERIAL_AT + n * 2 * SERIAL_RECEIVE_AT} serial${n}`);
    }
    return new Workload(engines, loops);
  }

  /** What was done so far. Rejects with CliError `guestFailed` when the guest has found something wrong. */
  async check(guest: MachineProcess): Promise<Counts> {
    const first = (this.#checks++ * 7919) % DMA_STEP_WORDS;
    const asked = [
      "sed 's/^/error: /' /lab/errors 2>/dev/null",
      ...this.#loops.map((name) => `echo ${name} $(cat /lab/${name}.count 2>/dev/null || echo 0)`),
      ...this.#engines.map(({ bar, at }) => `sh /lab/dma-check ${bar} ${at} ${first}`),
    ];
    const lines = (await guest.run(asked.join("; "))).split("\n");
    const errors = lines.filter((line) => line.startsWith("error: ")).map((line) => line.slice("error: ".length));
    if (errors.length > 0) throw new CliError("guestFailed", errors.join("; "), { subject: guest.name });
    const counts = (name: RegExp): number[] =>
      lines.flatMap((line) => {
        const [, what = "", count] = /^(\w+) (\d+)$/.exec(line) ?? [];
        return name.test(what) ? [Number(count)] : [];
      });
    const dma = counts(/^dma$/);
    if (dma.length !== this.#engines.length) {
      throw new CliError("guestFailed", `Not what was asked for: ${lines.join("; ")}`, { subject: guest.name });
    }
    return { disk: counts(/^disk$/)[0] ?? 0, memory: counts(/^memory$/)[0] ?? 0, dma, serial: counts(/^serial/) };
  }

  /** Ends it and looks at everything once more. */
  async end(guest: MachineProcess): Promise<Counts> {
    await guest.run("touch /lab/stop");
    for (const name of this.#loops) await guest.run(`while [ ! -e /lab/${name}.over ]; do sleep 1; done`);
    if (this.#loops.includes("disk")) {
      await guest.run(
        "umount /mnt && mount -o ro /dev/nvme0n1 /mnt && " +
          'for g in /mnt/f?; do md5sum -cs $g.sum || echo "disk: $g differs in the end" >> /lab/errors; done',
      );
    }
    return this.check(guest);
  }
}

/** Where BAR `index` of each PCI function with this device id is; they may do DMA then. */
async function findDevices(guest: MachineProcess, id: string, index: number): Promise<string[]> {
  // One that a driver of the kernel has is enabled already.
  const found = await guest.run(
    `for d in /sys/bus/pci/devices/*; do [ "$(cat $d/device)" = ${id} ] || continue; sed -n ${index + 1}p $d/resource | cut -d' ' -f1` +
      `; echo 1 2>/dev/null > $d/enable; printf '\\007\\000' | dd of=$d/config bs=1 seek=4 conv=notrunc 2>/dev/null; done; true`,
  );
  const starts = found.split("\n").filter((line) => line.startsWith("0x"));
  return starts.map((start) => `0x${BigInt(start).toString(16)}`);
}
