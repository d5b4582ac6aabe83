// Leaves out of a program what it can do without, as long as the two ways of running it part.
import { compare, type Setting } from "./compare.ts";
import type { Block, Program } from "./program.ts";

/** Candidates that are tried in one batch. */
const AT_ONCE = 32;

export async function shrink(program: Program, setting: Setting): Promise<Program> {
  const [first] = await compare([program], setting);
  if (first?.parting === undefined) return program;
  let best: Program = { ...program, blocks: program.blocks.slice(0, first.parting + 1) };
  if (!(await parts(best, setting))) best = program;
  best = await leaveOut(best, setting, best.blocks.length, (p, keep) => ({ ...p, blocks: p.blocks.filter(keep) }));
  for (let i = best.blocks.length - 1; i >= 0; i--) best = await shrinkBlock(best, i, setting);
  return best;
}

const parts = async (program: Program, setting: Setting): Promise<boolean> =>
  (await compare([program], setting))[0]!.parting !== undefined;

type Keep = (_: unknown, index: number) => boolean;
type Without = (program: Program, keep: Keep) => Program;

/** Leaves out runs of `count` parts: half of them, a quarter, … down to single ones. */
async function leaveOut(program: Program, setting: Setting, count: number, without: Without): Promise<Program> {
  let best = program;
  let left = count;
  for (let size = Math.ceil(left / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = left; from > 0;) {
      // From the end on: what comes first is more likely to be needed.
      const starts = Array.from({ length: Math.min(AT_ONCE, Math.ceil(from / size)) }, (_, i) => from - (i + 1) * size);
      const candidates = starts.map((start) => without(best, (_, i) => i < start || i >= start + size));
      const answers = await compare(candidates, setting);
      const found = answers.findIndex((answer) => answer.parting !== undefined);
      if (found < 0) {
        from = Math.max(0, starts.at(-1)!);
        continue;
      }
      best = candidates[found]!;
      left -= Math.min(size, size + Math.min(0, starts[found]!));
      from = Math.min(left, Math.max(0, starts[found]!));
    }
  }
  return best;
}

async function shrinkBlock(program: Program, index: number, setting: Setting): Promise<Program> {
  const edit = (p: Program, change: (block: Block) => Block): Program => ({
    ...p,
    blocks: p.blocks.map((block, i) => (i === index ? change(block) : block)),
  });
  const without = (name: "items" | "registers" | "csrs"): Without => {
    const filtered = (block: Block, keep: Keep): Block => ({
      ...block,
      [name]: (block[name] as unknown[]).filter(keep),
    });
    return (p, keep) => edit(p, (block) => filtered(block, keep));
  };
  let best = program;
  const once = edit(best, ({ counter, ...block }) => (counter === undefined ? block : block));
  if (await parts(once, setting)) best = once;
  for (const name of ["items", "registers", "csrs"] as const) {
    best = await leaveOut(best, setting, best.blocks[index]![name].length, without(name));
  }
  return best;
}
