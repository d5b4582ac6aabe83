// Runs a program interpreted and compiled at once, in the same uneven slices, and compares them after each.
import { expect } from "vitest";
import type { AcceleratorConfig, AcceleratorFigures } from "../../../accel/index.ts";
import { Assembler } from "./assembler.ts";
import { bareMachine, ramBase, type BareMachine } from "./bare-machine.ts";

type MachineOptions = NonNullable<Parameters<typeof bareMachine>[0]>;

export interface TwoRuns {
  readonly machine?: MachineOptions;
  /** Loads the program and sets the harts up; the pc is at the RAM's base otherwise. They have their turns one by one. */
  readonly prepare: (m: BareMachine) => void;
  /** What happens between two runs, as devices and time do. */
  readonly between?: (m: BareMachine, slice: number) => void;
  readonly instructions?: number;
  readonly accelerator?: Partial<AcceleratorConfig>;
}

/** Lengths of runs that end everywhere: some of one instruction, most of some hundreds. */
function sliceLength(i: number): number {
  return i % 7 === 3 ? 1 + (i % 3) : 50 + ((i * 7919) % 1900);
}

/**
 * Both tiers leave the same state after every slice, and the same memory at the end. Answers the compiled machine's
 * figures; `m` is that machine.
 */
export function sameInBothTiers(runs: TwoRuns): { readonly figures: AcceleratorFigures; readonly m: BareMachine } {
  const { instructions = 60_000 } = runs;
  const [interpreted, compiled] = (["interpreter", "jit"] as const).map((tier) => {
    const accelerator = { cacheBytes: 16 << 20, eager: true, ...runs.accelerator, tier };
    const m = bareMachine({ ramBytes: 1 << 18, ...runs.machine, accelerator });
    runs.prepare(m);
    return m;
  }) as [BareMachine, BareMachine];
  for (let left = instructions, i = 0; left > 0; i++) {
    const slice = Math.min(left, sliceLength(i));
    left -= slice;
    const exits = [interpreted, compiled].map((m) => {
      runs.between?.(m, i);
      return m.harts.map((hart) => {
        hart.dropReservation();
        return hart.run(slice);
      });
    });
    expect(exits[1]).toEqual(exits[0]);
    for (const { index } of compiled.harts) {
      const states = [compiled, interpreted].map(({ harts }) => harts[index]!.saveState());
      expect(states[0], `hart ${index} after slice ${i}`).toEqual(states[1]);
    }
  }
  for (const [i, block] of interpreted.world.blocks.entries()) {
    const other = compiled.world.blocks[i]!.bytes;
    expect(block.bytes.findIndex((byte, at) => byte !== other[at])).toBe(-1);
  }
  return { figures: compiled.hart.accelerator.figures, m: compiled };
}

/** A program at an address of RAM, as its assembler is told. */
export function program(write: (p: Assembler) => void, at: number = ramBase): (m: BareMachine) => void {
  const p = new Assembler(at);
  write(p);
  const bytes = p.finish();
  return (m) => m.loadBytes(at, bytes);
}
