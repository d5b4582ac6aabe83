// Random programs, and children of programs that reached something.
import type { SeededRng } from "../../../src/base/index.ts";
import {
  iommufdIoctls,
  VfioIommuType1DmaMap,
  VfioIommuType1DmaUnmap,
  type IommufdIoctl,
} from "../../../src/iommufd/index.ts";
import { chains } from "./chains.ts";
import { Guess } from "./guess.ts";
import { bare, ioctl, testOp, vfio } from "./make-step.ts";
import { requests, testRequests } from "./requests.ts";
import { KINDS, REQUEST_AT, STEP_BYTES, StepKind, VFIO_NUMBERS } from "./steps.ts";

const NAMES = Object.keys(iommufdIoctls) as IommufdIoctl[];
const TEST_OPS = Object.keys(testRequests).map(Number);

/** A step by itself: mostly a call that is likely to do something. */
export function randomStep(g: Guess): Uint8Array {
  const { rng } = g;
  const step = plausibleStep(g);
  step[2] = rng.below(256);
  if (step[0] !== StepKind.VFIO) {
    step[3] = rng.below(256);
    step[4] = rng.below(256);
    step[5] = rng.below(256);
  }
  step[6] = g.once(3) ? 160 + rng.below(8) : 0;
  if (g.once(4)) spoil(g, step);
  return step;
}

function plausibleStep(g: Guess): Uint8Array {
  const { rng } = g;
  switch (rng.below(8)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const name = g.once(3) ? "ioasMap" : NAMES[rng.below(NAMES.length)]!;
      return ioctl(name, requests[name](g));
    }
    case 4:
    case 5: {
      const op = TEST_OPS[rng.below(TEST_OPS.length)]!;
      return testOp(op, testRequests[op]!(g));
    }
    case 6:
      return vfioStep(g);
    default:
      return bare(2 + rng.below(KINDS - 2), { 1: rng.below(256) }, { id: g.parent(), iova: g.iova() });
  }
}

function vfioStep(g: Guess): Uint8Array {
  const nr = g.of(...VFIO_NUMBERS);
  const length = g.length();
  const structure =
    nr === 113
      ? VfioIommuType1DmaMap.encode({
          argsz: 32,
          flags: g.of(3, 3, 1, 8),
          vaddr: g.va(length),
          iova: g.iova(),
          size: length,
        })
      : VfioIommuType1DmaUnmap.encode({
          argsz: g.of(24, 24, 72, 15),
          flags: g.of(0, 0, 2, 1),
          iova: g.iova(),
          size: length,
        });
  return vfio(nr, structure, nr === 101 || nr === 102 ? g.rng.below(12) : undefined);
}

/** Changes a word or a byte of what a step says. */
function spoil(g: Guess, step: Uint8Array): void {
  const { rng } = g;
  const at = REQUEST_AT + 4 * rng.below((STEP_BYTES - REQUEST_AT) / 4);
  const view = new DataView(step.buffer, step.byteOffset);
  if (g.once(2)) view.setUint32(at, Number(g.edge() & 0xffff_ffffn), true);
  else step[at + rng.below(4)] = rng.below(256);
}

/** Chains that follow each other, steps of their own between. */
export function randomProgram(rng: SeededRng, steps: number): Uint8Array {
  const g = new Guess(rng);
  const list: Uint8Array[] = [];
  while (list.length < steps) {
    if (g.once(2)) list.push(...randomChain(g));
    for (let i = rng.below(16); i > 0; i--) list.push(randomStep(g));
  }
  return join(list, steps);
}

function randomChain(g: Guess): Uint8Array[] {
  const chain = g.of(...chains)(g);
  for (const step of chain) if (g.once(16)) spoil(g, step);
  return chain;
}

function join(list: readonly Uint8Array[], most: number): Uint8Array {
  const program = new Uint8Array(Math.min(list.length, most) * STEP_BYTES);
  list.slice(0, most).forEach((step, i) => program.set(step, i * STEP_BYTES));
  return program;
}

function split(program: Uint8Array): Uint8Array[] {
  const list: Uint8Array[] = [];
  for (let at = 0; at < program.length; at += STEP_BYTES) list.push(program.slice(at, at + STEP_BYTES));
  return list;
}

/** A child of a program that reached something: stretches of another or a chain put in, steps changed, added, dropped. */
export function mutate(rng: SeededRng, program: Uint8Array, other: Uint8Array, steps: number): Uint8Array {
  const g = new Guess(rng);
  const list = split(program);
  for (let changes = 1 + rng.below(8); changes > 0; changes--) {
    const at = rng.below(list.length);
    switch (rng.below(8)) {
      case 0:
      case 1:
        list.splice(at, 0, randomStep(g));
        break;
      case 2:
        if (list.length > 1) list.splice(at, 1 + rng.below(Math.min(8, list.length - 1)));
        break;
      case 3: {
        const from = rng.below(other.length / STEP_BYTES);
        list.splice(at, 0, ...split(other).slice(from, from + 1 + rng.below(20)));
        break;
      }
      case 4:
        list.splice(at, 0, list[rng.below(list.length)]!.slice());
        break;
      case 5:
        list.splice(at, 0, ...randomChain(g));
        break;
      case 6:
        // The next step of some kind fails in the host.
        list.splice(at, 0, bare(StepKind.FAIL, { 1: rng.below(256), 2: rng.below(4) }));
        break;
      default:
        spoil(g, list[at]!);
    }
  }
  return join(list, steps);
}
