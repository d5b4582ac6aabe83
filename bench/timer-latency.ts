// `npm run bench:timer`: how long after it was due a timer interrupt is taken, in loops of every kind: median and worst of
// some thousand, in microseconds of host time. The last column is the host's own: for how long at most a loop that does
// nothing but look at the clock stood still, in as much time; no guest is better than that. With --cpu-time the guest's
// clock is the CPU time of this process, compiling on other threads included.
//
//     npm run bench:timer -- --accel jit --interrupts 3000
import { parseArgs } from "node:util";
import type { ClockPort } from "../src/base/index.ts";
import { defaultAccelerator, type AcceleratorConfig } from "../src/accel/port.ts";
import { createNodeHost } from "../src/host/node/index.ts";
import { createMachine } from "../src/machine/index.ts";
import { Assembler, reg } from "../src/target/riscv/testing/assembler.ts";
import { circumstances, median, printTable } from "./support/figures.ts";

const { zero, ra, t0, t1, t2, t3, t4, s0, s1, s2, s3, s4, s5, a0, a1 } = reg;
const RAM = 0x8000_0000;
const RAM_BYTES = 32 * 2 ** 20;
const DATA = RAM + 0x10_0000;
/** A delay per interrupt, in ticks. */
const LOG = RAM + 0x80_0000;
const MTIMECMP = 0x0200_4000;
const UART_STATUS = 0x1000_0005;
const FINISHER = 0x0010_0000;
const TICKS_PER_US = 10;
const PERIOD_TICKS = 9973;
/** Interrupts until the engine has compiled what the loop needs. */
const WARM_UP = 50;

const { values } = parseArgs({
  options: {
    accel: { type: "string" },
    interrupts: { type: "string", default: "1000" },
    "cpu-time": { type: "boolean" },
  },
});
const cpuClock: ClockPort = {
  nowNs() {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1000;
  },
};
const interrupts = Number(values.interrupts);

type Loop = (p: Assembler) => void;

const repeat = (p: Assembler, count: number, body: Loop): void => {
  const label = p.fresh("repeat");
  p.li(s1, count);
  p.label(label);
  body(p);
  p.op("addi", { rd: s1, rs1: s1, imm: -1 });
  p.to("bne", label, { rs1: s1, rs2: zero });
};
const readCsr: Loop = (p) => p.op("csrrw", { rd: t0, rs1: t0, csr: 0x140 });
const count: Loop = (p) => p.op("addi", { rd: a0, rs1: a0, imm: 1 });

/** Bodies of endless loops; s0 points at data. What the handler uses is its own: s2 to s5, t3 and t4. */
const loops: Readonly<Record<string, Loop>> = {
  "a jump to itself": (p) => {
    p.label("self");
    p.jump("self");
  },
  counting: count,
  "calls and returns": (p) => {
    p.to("jal", "f", { rd: ra });
    p.jump("behind");
    p.label("f");
    count(p);
    p.op("jalr", { rs1: ra });
    p.label("behind");
  },
  "loads and stores": (p) => {
    p.op("ld", { rd: t0, rs1: s0 });
    p.op("addi", { rd: t0, rs1: t0, imm: 1 });
    p.op("sd", { rs1: s0, rs2: t0 });
  },
  "floating point, compiled": (p) => {
    p.op("fadd.d", { rd: 1, rs1: 1, rs2: 2, rm: 7 });
    p.op("fmul.d", { rd: 3, rs1: 1, rs2: 2, rm: 7 });
  },
  "floating point, exact": (p) => {
    p.op("csrrwi", { csr: 1, rs1: 0 });
    p.op("fdiv.d", { rd: 1, rs1: 2, rs2: 3, rm: 1 });
    p.op("fsqrt.d", { rd: 1, rs1: 2, rm: 1 });
  },
  "two ways in": (p) => {
    count(p);
    p.op("andi", { rd: t0, rs1: a0, imm: 1 });
    p.to("beq", "b", { rs1: t0, rs2: zero });
    p.label("a");
    p.op("addi", { rd: a1, rs1: a1, imm: 1 });
    p.label("b");
    p.op("andi", { rd: t1, rs1: a1, imm: 3 });
    p.op("addi", { rd: a1, rs1: a1, imm: 1 });
    p.to("bne", "a", { rs1: t1, rs2: zero });
  },
  wfi: (p) => p.op("wfi"),
  CSRs: readCsr,
  "loads from a device": (p) => {
    p.li(t2, UART_STATUS);
    repeat(p, 1000, (q) => q.op("lb", { rd: t0, rs1: t2 }));
  },
  "loads that miss the TLB": (p) => {
    p.op("sfence.vma");
    p.op("ld", { rd: t0, rs1: s0 });
  },
  "code that rewrites itself": (p) => {
    p.labelAddress(t1, "patched");
    p.op("lw", { rd: t2, rs1: t1 });
    p.op("sw", { rs1: t1, rs2: t2 });
    p.label("patched");
    count(p);
  },
  "fast, then slow": (p) => {
    repeat(p, 2_000_000, count);
    repeat(p, 20_000, readCsr);
  },
  "fast, then a device": (p) => {
    repeat(p, 2_000_000, count);
    p.li(t2, UART_STATUS);
    repeat(p, 20_000, (q) => q.op("lb", { rd: t0, rs1: t2 }));
  },
};

function program(loop: Loop): Uint8Array {
  const p = new Assembler(RAM);
  p.labelAddress(t0, "handler");
  p.writeCsr("mtvec", t0);
  p.li(t0, 0x6000);
  p.setCsrBits("mstatus", t0);
  for (const [register, value] of [
    [2, 3],
    [3, 7],
  ] as const) {
    p.li(t0, value);
    p.op("fcvt.d.l", { rd: register, rs1: t0, rm: 7 });
  }
  p.li(s0, DATA);
  p.li(s2, MTIMECMP);
  p.li(s3, LOG);
  p.li(s4, interrupts);
  p.li(s5, PERIOD_TICKS);
  p.readCsr(t0, "time");
  p.store(t0, s2, 0);
  p.li(t0, 1 << 7);
  p.setCsrBits("mie", t0);
  p.op("csrrsi", { rs1: 8, csr: 0x300 });
  p.label("loop");
  loop(p);
  p.jump("loop");
  p.label("handler");
  p.readCsr(t3, "time");
  p.load(t4, s2, 0);
  p.op("sub", { rd: t4, rs1: t3, rs2: t4 });
  p.store(t4, s3, 0);
  p.op("addi", { rd: s3, rs1: s3, imm: 8 });
  p.op("addi", { rd: s4, rs1: s4, imm: -1 });
  p.to("beq", "end", { rs1: s4, rs2: zero });
  p.op("add", { rd: t3, rs1: t3, rs2: s5 });
  p.store(t3, s2, 0);
  p.op("mret");
  p.label("end");
  p.li(t0, FINISHER);
  p.li(t1, 0x5555);
  p.op("sw", { rs1: t0, rs2: t1 });
  p.label("off");
  p.jump("off");
  return p.finish();
}

/** Microseconds from due to taken, of each interrupt. */
async function delays(loop: Loop, tier: AcceleratorConfig["tier"]): Promise<number[]> {
  const nodeHost = createNodeHost();
  const host = values["cpu-time"] === true ? { ...nodeHost, clock: cpuClock } : nodeHost;
  const machine = createMachine(
    {
      board: "virt",
      boardOptions: {},
      cpu: { model: "rv64", features: {} },
      smp: 1,
      memoryBytes: RAM_BYTES,
      firmware: { name: "timer loop", bytes: program(loop) },
      commandLine: "",
      serials: [],
      devices: [],
      noReboot: false,
      noShutdown: false,
      startPaused: false,
      rtc: { base: "utc", clock: "host" },
      accelerator: { ...defaultAccelerator, tier },
    },
    { ...host, chardevs: new Map(), blockNodes: new Map() },
  );
  const ram = machine.memoryBlocks.find(({ bytes }) => bytes.length === RAM_BYTES)!.bytes;
  machine.start();
  const exit = await machine.ended;
  if (exit.cause !== "guest-shutdown") throw new Error(exit.message ?? exit.cause);
  const view = new DataView(ram.buffer, ram.byteOffset + LOG - RAM);
  const ticks = Array.from({ length: interrupts }, (_, i) => Number(view.getBigUint64(i * 8, true)));
  await machine.close();
  nodeHost.close();
  return ticks.map((each) => each / TICKS_PER_US);
}

/** The longest standstill, in microseconds, of a loop that looks at the clock for `milliseconds`. */
function hostStandstill(milliseconds: number): number {
  let last = performance.now();
  const end = last + milliseconds;
  let longest = 0;
  while (last < end) {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest * 1000;
}

const tiers = (values.accel?.split(",") ?? ["interpreter", "jit"]) as AcceleratorConfig["tier"][];
const rows: string[][] = [];
for (const [name, loop] of Object.entries(loops)) {
  const cells: string[] = [name];
  const began = performance.now();
  for (const tier of tiers) {
    const each = await delays(loop, tier);
    cells.push(...[median(each), Math.max(...each.slice(WARM_UP)), Math.max(...each)].map((us) => us.toFixed(0)));
  }
  cells.push(hostStandstill((performance.now() - began) / tiers.length).toFixed(0));
  rows.push(cells);
}
console.log(`${circumstances()}${values["cpu-time"] === true ? ", in CPU time" : ""}`);
printTable(["loop", ...tiers.flatMap((tier) => [`${tier}: median µs`, "worst warm", "worst"]), "host: worst"], rows);
