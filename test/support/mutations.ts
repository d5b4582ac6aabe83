// For tests: damages valid files the way disks, networks and enemies do.
import fc from "fast-check";
import { expect } from "vitest";
import { FormatError } from "../../src/format/index.ts";

type Edit =
  | { kind: "byte"; at: number; value: number }
  | { kind: "word"; at: number; value: number }
  | { kind: "cut"; at: number }
  | { kind: "insert"; at: number; value: number };

const position = fc.double({ min: 0, max: 1, noNaN: true });
const editArbitrary: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant("byte" as const), at: position, value: fc.nat(255) }),
  fc.record({
    kind: fc.constant("word" as const),
    at: position,
    value: fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8),
  }),
  fc.record({ kind: fc.constant("cut" as const), at: position }),
  fc.record({ kind: fc.constant("insert" as const), at: position, value: fc.nat(255) }),
);

/** Copies of `file` with one to four damages; `head` bytes are hit as often as all the rest. */
export function damaged(file: Uint8Array, head = 128): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.array(editArbitrary, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([edits, inHead]) => edits.reduce((bytes, edit) => applyEdit(bytes, edit, inHead ? head : Infinity), file));
}

function applyEdit(file: Uint8Array, edit: Edit, within: number): Uint8Array {
  const at = Math.floor(edit.at * Math.min(file.length, within));
  if (edit.kind === "cut") return file.slice(0, at);
  if (edit.kind === "insert") return new Uint8Array([...file.slice(0, at), edit.value, ...file.slice(at)]);
  const out = file.slice();
  if (edit.kind === "byte") out[at] = edit.value;
  else for (let i = 0; i < 4 && at + i < out.length; i++) out[at + i] = (edit.value >>> (8 * i)) & 0xff;
  return out;
}

/** Holds `parse` to its promise: on any input it returns or throws a `FormatError`. */
export function expectOnlyFormatErrors(parse: (file: Uint8Array) => unknown, file: Uint8Array, runs = 2000): void {
  fc.assert(
    fc.property(damaged(file), (input) => {
      try {
        parse(input);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: runs },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      try {
        parse(input);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 200 },
  );
}
