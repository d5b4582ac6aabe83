// Library functions of bit manipulation that no WebAssembly operation stands for (Zbc, Zbkx).
import type { LibraryFunction } from "../../accel/index.ts";
import type { FunctionBuilder, Local } from "../../wasm/index.ts";

const binary = { params: ["i64", "i64"], results: ["i64"] } as const;

/** Every fourth bit, from bit `first` on. */
const everyFourth = (first: number): bigint => 0x1111_1111_1111_1111n << BigInt(first);

/**
 * The low 64 bits of the carry-less product, in the same time for all operands (Zkt). Of operands that have every fourth bit
 * only, a sum of products has at most 15 ones at any of its places below the last, and so carries only into places that
 * are masked out.
 */
function carrylessProduct(f: FunctionBuilder): void {
  const parts = [0, 1].map((operand) =>
    [0, 1, 2, 3].map((first) => {
      const part = f.local("i64");
      f.get(f.param(operand));
      f.i64(BigInt.asIntN(64, everyFourth(first)));
      f.op("i64.and");
      f.set(part);
      return part;
    }),
  );
  for (let place = 0; place < 4; place++) {
    for (let first = 0; first < 4; first++) {
      f.get(parts[0]![first]!);
      f.get(parts[1]![(place - first) & 3]!);
      f.op("i64.mul");
      if (first > 0) f.op("i64.xor");
    }
    f.i64(BigInt.asIntN(64, everyFourth(place)));
    f.op("i64.and");
    if (place > 0) f.op("i64.or");
  }
}

/** Reverses the 64 bits on the stack: halves of groups change places, from single bits up. */
function reverseBits(f: FunctionBuilder, scratch: Local): void {
  for (const bits of [1n, 2n, 4n, 8n, 16n, 32n]) {
    const low = ((1n << 64n) - 1n) / ((1n << bits) + 1n);
    f.tee(scratch);
    f.i64(bits);
    f.op("i64.shr_u");
    f.i64(BigInt.asIntN(64, low));
    f.op("i64.and");
    f.get(scratch);
    f.i64(BigInt.asIntN(64, low));
    f.op("i64.and");
    f.i64(bits);
    f.op("i64.shl");
    f.op("i64.or");
  }
}

/** Bits 126 to 63 of the carry-less product: the product of reversed operands is the reversed product. */
function reversedCarrylessProduct(f: FunctionBuilder): void {
  const scratch = f.local("i64");
  for (const operand of [f.param(0), f.param(1)]) {
    f.get(operand);
    reverseBits(f, scratch);
    f.set(operand);
  }
  carrylessProduct(f);
  reverseBits(f, scratch);
}

/** Each group of `bits` bits of the second operand names the group of the first that takes its place; none gives zero. */
function permuteGroups(bits: 4 | 8): (f: FunctionBuilder) => void {
  const shiftOfIndex = bits === 4 ? 2n : 3n;
  const groupMask = (1n << BigInt(bits)) - 1n;
  return (f) => {
    const a = f.param(0);
    const indexes = f.param(1);
    const at = f.local("i64");
    const shift = f.local("i64");
    const result = f.local("i64");
    const next = f.loop();
    f.get(indexes);
    f.get(at);
    f.op("i64.shr_u");
    f.i64(groupMask);
    f.op("i64.and");
    f.i64(shiftOfIndex);
    f.op("i64.shl");
    f.set(shift);
    f.get(a);
    f.get(shift);
    f.op("i64.shr_u");
    f.i64(groupMask);
    f.op("i64.and");
    f.i64(0n);
    f.get(shift);
    f.i64(64n);
    f.op("i64.lt_u");
    f.select();
    f.get(at);
    f.op("i64.shl");
    f.get(result);
    f.op("i64.or");
    f.set(result);
    f.get(at);
    f.i64(BigInt(bits));
    f.op("i64.add");
    f.tee(at);
    f.i64(64n);
    f.op("i64.lt_u");
    f.brIf(next);
    f.end();
    f.get(result);
  };
}

export const bitLibrary: readonly LibraryFunction[] = [
  { name: "clmul", type: binary, build: carrylessProduct },
  { name: "clmulr", type: binary, build: reversedCarrylessProduct },
  { name: "xperm4", type: binary, build: permuteGroups(4) },
  { name: "xperm8", type: binary, build: permuteGroups(8) },
];
