// Library functions of scalar cryptography: the substitution boxes of AES and SM4 on eight bytes at once, in the same time for
// all values (Zkt), so by arithmetic and not by tables (FIPS 197 §5.1.1; GB/T 32907-2016).
import type { LibraryFunction } from "../../accel/index.ts";
import type { FunctionBuilder, Local } from "../../wasm/index.ts";

const everyByte = (byte: number): bigint => BigInt.asIntN(64, BigInt(byte) * 0x0101_0101_0101_0101n);

/** A field of 256 elements by the low eight bits of its polynomial. */
interface Field {
  readonly reduction: number;
}
const aesField: Field = { reduction: 0x1b };
const sm4Field: Field = { reduction: 0xf5 };

function multiply({ reduction }: Field, a: number, b: number): number {
  let result = 0;
  for (let bit = 7; bit >= 0; bit--) {
    result = (result << 1) ^ (result & 0x80 ? 0x100 | reduction : 0) ^ ((b >> bit) & 1 ? a : 0);
  }
  return result & 0xff;
}

/** A map of bytes that is linear over bits: what each bit of its argument contributes. */
type Linear = readonly number[];
const linear = (of: (bit: number) => number): Linear => Array.from({ length: 8 }, (_, i) => of(1 << i));
const apply = (map: Linear, byte: number): number =>
  map.reduce((sum, part, i) => sum ^ ((byte >> i) & 1 ? part : 0), 0);
/** Bit n of the result is the parity of the argument's bits in `rows[n]`. */
const fromRows = (rows: readonly number[]): Linear =>
  linear((bit) => rows.reduce((sum, row, n) => sum | ((row & bit) !== 0 ? 1 << n : 0), 0));
const power = (field: Field, squarings: number): Linear =>
  linear((bit) => Array.from({ length: squarings }).reduce<number>((x) => multiply(field, x, x), bit));
const rotations = (...by: readonly number[]): Linear =>
  linear((bit) => by.reduce((sum, n) => sum ^ (((bit << n) | (bit >> (8 - n))) & 0xff), 0));

/** An affine map: linear, then a constant is added. */
interface Affine {
  readonly map: Linear;
  readonly add: number;
}
const aesAffine: Affine = { map: rotations(0, 1, 2, 3, 4), add: 0x63 };
const aesInverseAffine: Affine = { map: rotations(1, 3, 6), add: apply(rotations(1, 3, 6), 0x63) };
/** Rows of SM4's circulant matrix: 1 1 0 1 0 0 1 1 from the top bit down, turned by one for each. */
const sm4Affine: Affine = {
  map: fromRows(Array.from({ length: 8 }, (_, n) => ((0xa7 << n) | (0xa7 >> (8 - n))) & 0xff)),
  add: 0xd3,
};

/** target = map(source) in every byte; the two differ. */
function pushLinear(f: FunctionBuilder, source: Local, map: Linear): void {
  map.forEach((part, bit) => {
    f.get(source);
    f.i64(BigInt(bit));
    f.op("i64.shr_u");
    f.i64(everyByte(1));
    f.op("i64.and");
    f.i64(BigInt(part));
    f.op("i64.mul");
    if (bit > 0) f.op("i64.xor");
  });
}

function mapped(f: FunctionBuilder, source: Local, map: Linear): Local {
  const result = f.local("i64");
  pushLinear(f, source, map);
  f.set(result);
  return result;
}

function affine(f: FunctionBuilder, source: Local, { map, add }: Affine): Local {
  const result = f.local("i64");
  pushLinear(f, source, map);
  f.i64(everyByte(add));
  f.op("i64.xor");
  f.set(result);
  return result;
}

/** The products of the bytes of two values: a grows by the field's generator while the bits of b choose. */
function product(f: FunctionBuilder, field: Field, a: Local, b: Local): Local {
  const shifted = f.local("i64");
  const result = f.local("i64");
  f.get(a);
  f.set(shifted);
  for (let bit = 0; bit < 8; bit++) {
    f.get(b);
    f.i64(BigInt(bit));
    f.op("i64.shr_u");
    f.i64(everyByte(1));
    f.op("i64.and");
    f.i64(0xffn);
    f.op("i64.mul");
    f.get(shifted);
    f.op("i64.and");
    if (bit > 0) {
      f.get(result);
      f.op("i64.xor");
    }
    f.set(result);
    if (bit === 7) continue;
    f.get(shifted);
    f.i64(everyByte(0x7f));
    f.op("i64.and");
    f.i64(1n);
    f.op("i64.shl");
    f.get(shifted);
    f.i64(7n);
    f.op("i64.shr_u");
    f.i64(everyByte(1));
    f.op("i64.and");
    f.i64(BigInt(field.reduction));
    f.op("i64.mul");
    f.op("i64.xor");
    f.set(shifted);
  }
  return result;
}

/** x^254, the inverse of all but 0: 254 = 2 + 12 + 240, with x^15 = x^3 · x^12. Squaring is linear. */
function inverse(f: FunctionBuilder, field: Field, x: Local): Local {
  const x2 = mapped(f, x, power(field, 1));
  const x3 = product(f, field, x2, x);
  const x12 = mapped(f, x3, power(field, 2));
  const x15 = product(f, field, x12, x3);
  const x240 = mapped(f, x15, power(field, 4));
  return product(f, field, product(f, field, x240, x12), x2);
}

const unary = { params: ["i64"], results: ["i64"] } as const;

export const cryptoLibrary: readonly LibraryFunction[] = [
  {
    name: "aesSubstitute",
    type: unary,
    build: (f) => f.get(affine(f, inverse(f, aesField, f.param(0)), aesAffine)),
  },
  {
    name: "aesSubstituteInverse",
    type: unary,
    build: (f) => f.get(inverse(f, aesField, affine(f, f.param(0), aesInverseAffine))),
  },
  {
    name: "sm4Substitute",
    type: unary,
    build: (f) => f.get(affine(f, inverse(f, sm4Field, affine(f, f.param(0), sm4Affine)), sm4Affine)),
  },
];
