// Fused multiply-add inside generated code: the engine's own where it rounds once, otherwise in software.
// Software follows Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
// odd" (IEEE Transactions on Computers 57(4), 2008): exact products and sums, one rounding to odd, one to nearest.
// Results outside the normal range, and NaN, mean "ask the slow path"; `instructions/rv64fd.ts` checks for that.
import type { LibraryFunction } from "../../../accel/index.ts";
import type { FunctionBuilder, Local, WasmFeatures } from "../../../wasm/index.ts";

type Binary = "add" | "sub" | "mul";

/** target = a operation b */
function compute(f: FunctionBuilder, target: Local, a: Local, operation: Binary, b: Local): void {
  f.get(a);
  f.get(b);
  f.op(`f64.${operation}`);
  f.set(target);
}

/** Knuth's sum: high + low = a + b exactly, high the nearest double. */
function twoSum(f: FunctionBuilder, a: Local, b: Local): { high: Local; low: Local } {
  const [high, low, bPart, aPart] = locals(f, 4);
  compute(f, high!, a, "add", b);
  compute(f, bPart!, high!, "sub", a);
  compute(f, aPart!, high!, "sub", bPart!);
  compute(f, bPart!, b, "sub", bPart!);
  compute(f, aPart!, a, "sub", aPart!);
  compute(f, low!, aPart!, "add", bPart!);
  return { high: high!, low: low! };
}

/** Veltkamp's split into halves of at most 26 bits; |a| stays below 2^996. */
function split(f: FunctionBuilder, a: Local): { high: Local; low: Local } {
  const [high, low] = locals(f, 2);
  f.f64(2 ** 27 + 1);
  f.get(a);
  f.op("f64.mul");
  f.set(low!);
  compute(f, high!, low!, "sub", a);
  compute(f, high!, low!, "sub", high!);
  compute(f, low!, a, "sub", high!);
  return { high: high!, low: low! };
}

/** Dekker's product: high + low = a · b exactly while neither over- nor underflows. */
function twoProduct(f: FunctionBuilder, a: Local, b: Local): { high: Local; low: Local } {
  const [high, low, term] = locals(f, 3);
  const as = split(f, a);
  const bs = split(f, b);
  compute(f, high!, a, "mul", b);
  compute(f, low!, as.high, "mul", bs.high);
  compute(f, low!, low!, "sub", high!);
  for (const [x, y] of [
    [as.high, bs.low],
    [as.low, bs.high],
    [as.low, bs.low],
  ] as const) {
    compute(f, term!, x, "mul", y);
    compute(f, low!, low!, "add", term!);
  }
  return { high: high!, low: low! };
}

/** a + b rounded to odd: an inexact sum with an even last bit moves one step towards what it lost. */
function sumToOdd(f: FunctionBuilder, a: Local, b: Local): Local {
  const sum = twoSum(f, a, b);
  const bits = f.local("i64");
  f.get(sum.high);
  f.op("i64.reinterpret_f64");
  f.set(bits);
  f.get(sum.low);
  f.f64(0);
  f.op("f64.ne");
  f.get(bits);
  f.op("i32.wrap_i64");
  f.i32(1);
  f.op("i32.and");
  f.op("i32.eqz");
  f.op("i32.and");
  f.if();
  f.get(bits);
  f.i64(1n);
  f.i64(-1n);
  // Away from zero when what was lost has the sum's sign.
  f.get(sum.low);
  f.f64(0);
  f.op("f64.gt");
  f.get(sum.high);
  f.f64(0);
  f.op("f64.gt");
  f.op("i32.eq");
  f.select();
  f.op("i64.add");
  f.op("f64.reinterpret_i64");
  f.set(sum.high);
  f.end();
  return sum.high;
}

function locals(f: FunctionBuilder, count: number): Local[] {
  return Array.from({ length: count }, () => f.local("f64"));
}

/** Biased exponents that keep every term of the product a normal number, and its sum with the addend finite. */
const factorExponents = { first: 1023 - 400, count: 800 };
const addendExponents = { first: 0, count: 1023 + 1000 };

function pushExponentWithin(f: FunctionBuilder, value: Local, range: { first: number; count: number }): void {
  f.get(value);
  f.op("i64.reinterpret_f64");
  f.i64(52n);
  f.op("i64.shr_u");
  f.op("i32.wrap_i64");
  f.i32(0x7ff);
  f.op("i32.and");
  f.i32(range.first);
  f.op("i32.sub");
  f.i32(range.count);
  f.op("i32.lt_u");
}

function softwareFma64(f: FunctionBuilder): void {
  const [a, b, c] = [f.param(0), f.param(1), f.param(2)];
  pushExponentWithin(f, a, factorExponents);
  pushExponentWithin(f, b, factorExponents);
  f.op("i32.and");
  pushExponentWithin(f, c, addendExponents);
  f.op("i32.and");
  f.if("f64", "likely");
  const product = twoProduct(f, a, b);
  const lower = twoSum(f, c, product.low);
  const upper = twoSum(f, product.high, lower.high);
  const rest = sumToOdd(f, upper.low, lower.low);
  f.get(upper.high);
  f.get(rest);
  f.op("f64.add");
  f.else();
  // With a zero factor nothing is lost before the sum; the rest is for the slow path.
  f.get(a);
  f.get(b);
  f.op("f64.mul");
  f.get(c);
  f.op("f64.add");
  f.f64(Number.NaN);
  for (const factor of [a, b]) {
    f.get(factor);
    f.f64(0);
    f.op("f64.eq");
  }
  f.op("i32.or");
  f.select();
  f.end();
}

/** The product of singles is exact in a double, and 53 bits rounded to odd round correctly to 24. */
function softwareFma32(f: FunctionBuilder): void {
  const [product, addend] = locals(f, 2);
  for (const factor of [0, 1]) {
    f.get(f.param(factor));
    f.op("f64.promote_f32");
  }
  f.op("f64.mul");
  f.set(product!);
  f.get(f.param(2));
  f.op("f64.promote_f32");
  f.set(addend!);
  f.get(sumToOdd(f, product!, addend!));
  f.op("f32.demote_f64");
}

function engineFma64(f: FunctionBuilder): void {
  for (const i of [0, 1, 2]) {
    f.get(f.param(i));
    f.vector("f64x2.splat");
  }
  f.vector("f64x2.relaxed_madd");
  f.vector("f64x2.extract_lane", 0);
}

/** The functions that `instructions/rv64fd.ts` calls as "fma64" and "fma32": a · b + c. */
export function fmaLibrary(features: WasmFeatures): readonly LibraryFunction[] {
  return [
    {
      name: "fma64",
      type: { params: ["f64", "f64", "f64"], results: ["f64"] },
      inline: features.fusedMultiplyAdd,
      build: features.fusedMultiplyAdd ? engineFma64 : softwareFma64,
    },
    // Cheap enough in doubles to need no promise of the engine.
    { name: "fma32", type: { params: ["f32", "f32", "f32"], results: ["f32"] }, build: softwareFma32 },
  ];
}
