// Machines with real harts, running small programs. The programs are assembled by GNU as for rv64imac_zicsr; their
// source stands beside the words.
import { describe, expect, test } from "vitest";
import { decodeState, encodeState } from "../state/index.ts";
import { buildMachine } from "./builder.ts";
import { createMachine } from "./index.ts";
import { ended, run } from "./testing/program-run.ts";
import { planHarts } from "../target/riscv/index.ts";

/**
 *     csrr t0, mhartid;  bnez t0, .
 *     auipc s2, 0x100;  addi s2, s2, 0x48;  lui s3, 0x10000;  li s4, 64;  li s5, '.'
 *     1: ld s0, (s2);  addi s0, s0, 1;  sd s0, (s2);  slli t1, s0, 48;  bnez t1, 1b     # 65536 rounds
 *     sb s5, (s3);  addi s4, s4, -1;  bnez s4, 1b                                      # 64 dots
 *     lui t0, 0x100;  li t1, 0x93333;  sw t1, (t0);  j .                               # finisher: failure 9
 */
const COUNT = [
  ...[0xf14022f3, 0x00029063, 0x00100917, 0x04890913, 0x100009b7, 0x04000a13, 0x02e00a93, 0x00093403],
  ...[0x30230405, 0x13130089, 0x19e30304, 0x8023fe03, 0x1a7d0159, 0xfe0a14e3, 0x001002b7, 0x00093337],
  ...[0x3333031b, 0x0062a023, 0x0001a001],
];

/**
 *     hart_start(1, second, 0x55);  csrw sie, 2                           # hart 0, in S-mode
 *     1: csrr t1, sip;  andi t1, t1, 2;  bnez t1, 2f;  wfi;  j 1b
 *     2: csrc sip, 2;  debug_console_write_byte('S');  system_reset(shutdown, none);  j .
 *     second: bne a1, 0x55, .;  send_ipi(1, 0);  3: wfi;  j 3b            # hart 1
 */
const TWO_HARTS = [
  ...[0x58b7842a, 0x889b0048, 0x480134d8, 0x05974505, 0x85930000, 0x06130525, 0x00730550, 0x42890000],
  ...[0x10429073, 0x14402373, 0x00237313, 0x00031563, 0x10500073, 0xb073bfc5, 0x48b71442, 0x889b4442],
  ...[0x480934e8, 0x05300513, 0x00000073, 0x535258b7, 0x3548889b, 0x45014801, 0x00734581, 0xa0010000],
  ...[0x05500293, 0x00559063, 0x007358b7, 0x0498889b, 0x45054801, 0x00734581, 0x00730000, 0xbff51050],
];

describe("programs on real harts", () => {
  test("in machine mode without firmware, prints and fails with its code", async () => {
    const made = run(COUNT, 0x8000_0000, { firmware: "none", smp: 1 });
    expect(await ended(createMachine(made.config, made.host))).toEqual({ cause: "guest-panic", status: 9 });
    expect(made.text).toBe(".".repeat(64));
  });

  test("under the built-in SBI, starts a second hart, waits for its interrupt, prints and shuts down", async () => {
    const made = run(TWO_HARTS, 0x8020_0000, {});
    expect(await ended(createMachine(made.config, made.host))).toEqual({ cause: "guest-shutdown", status: 0 });
    expect(made.text).toBe("S");
  });

  test("goes on in another machine from saved state and memory", async () => {
    const from = run(COUNT, 0x8000_0000, { firmware: "none", smp: 1 });
    const source = buildMachine(from.config, from.host, planHarts);
    source.start();
    while (from.text.length < 3) await from.host.yield.turn();
    await source.stop();
    const printed = from.text;

    const to = run(COUNT, 0x8000_0000, { firmware: "none", smp: 1 });
    const target = buildMachine(to.config, to.host, planHarts);
    expect([...target.saveables.keys()]).toEqual([...source.saveables.keys()]);
    for (const [name, saveable] of source.saveables) {
      const into = target.saveables.get(name)!;
      into.loadState(decodeState(into.stateDescription, encodeState(saveable)));
    }
    for (const [i, block] of source.memoryBlocks.entries()) target.memoryBlocks[i]!.bytes.set(block.bytes);
    await source.close();

    expect(await ended(target)).toEqual({ cause: "guest-panic", status: 9 });
    expect(printed + to.text).toBe(".".repeat(64));
  });
});
