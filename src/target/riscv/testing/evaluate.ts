// Runs single instructions on a hart that has every extension, for tests that state results.
import { assemble, type Operand } from "./assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./bare-machine.ts";

export interface Evaluator {
  readonly machine: BareMachine;
  /** x10 after `name x10, x11, x12` (or with an immediate), as an unsigned number. */
  of(name: string, rs1: bigint, rs2?: bigint, more?: Operand): bigint;
  /** Executes one encoded instruction and answers the cause of its exception, or undefined. */
  trapOf(word: number): bigint | undefined;
}

export function makeEvaluator(model = "max"): Evaluator {
  const machine = bareMachine({ model });
  const { hart } = machine;
  const run = (word: number): void => {
    machine.load(ramBase, [word]);
    hart.pc = BigInt(ramBase);
    hart.mode = "M";
    hart.writeCsr(0x305, BigInt(ramBase + 0x100));
    hart.run(1);
  };
  return {
    machine,
    of(name, first, second = 0n, more = {}) {
      hart.setX(10, 0xdead_beefn);
      hart.setX(11, first);
      hart.setX(12, second);
      run(assemble(name, { rd: 10, rs1: 11, ...(more.imm === undefined ? { rs2: 12 } : {}), ...more }));
      return hart.x(10);
    },
    trapOf(word) {
      run(word);
      return hart.pc === BigInt(ramBase + 0x100) ? hart.readCsr(0x342) : undefined;
    },
  };
}
