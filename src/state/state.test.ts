import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeState, loadState, readSection } from "./decode.ts";
import { blob, bool, describeState, f64, field, list, optional, struct, text, u16, u32, u64, u8 } from "./describe.ts";
import type { Saveable, StateDescription, StateOf, StateType } from "./describe.ts";
import { encodeState, encodeValues } from "./encode.ts";
import { StateError } from "./errors.ts";

const pulseV1 = describeState("pulse", 1, [field("ctl", u32), field("elapsed", u64)]);
const pulseV2 = describeState("pulse", 2, [
  field("ctl", u32),
  field("elapsed", u64),
  field("jitter", u16, { since: 2, default: 7 }),
]);

describe("a section", () => {
  test("has these bytes", () => {
    expect([...encodeValues(pulseV1, { ctl: 0x01020304, elapsed: 5n })]).toEqual([
      ...[0x52, 0x53, 0x54, 0x53], // magic: RSTS
      ...[1, 0], // format version
      ...[5, 0], // length of the name
      ...[1, 0, 0, 0], // the description's version
      ...[30, 0, 0, 0], // length of what follows the name
      ...[0x70, 0x75, 0x6c, 0x73, 0x65], // pulse
      ...[2, 0], // fields
      ...[0, 3, 0x63, 0x74, 0x6c, 3], // ctl, u32
      ...[0, 7, 0x65, 0x6c, 0x61, 0x70, 0x73, 0x65, 0x64, 4], // elapsed, u64
      ...[4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0],
    ]);
  });

  test("can be read without a description", () => {
    const bytes = encodeValues(pulseV2, { ctl: 1, elapsed: 2n, jitter: 3 });
    expect(readSection(bytes)).toMatchObject({
      name: "pulse",
      version: 2,
      values: { ctl: 1, elapsed: 2n, jitter: 3 },
      lengthBytes: bytes.length,
    });
  });

  test("leaves what follows it to the next reader", () => {
    const one = encodeValues(pulseV1, { ctl: 1, elapsed: 2n });
    expect(readSection(Uint8Array.from([...one, ...one])).lengthBytes).toBe(one.length);
  });

  test("is taken from a saveable and given to one", () => {
    class Pulse implements Saveable<typeof pulseV1> {
      readonly stateDescription = pulseV1;
      state = { ctl: 0, elapsed: 0n };
      saveState(): StateOf<typeof pulseV1> {
        return this.state;
      }
      loadState(values: StateOf<typeof pulseV1>): void {
        this.state = values;
      }
    }
    const from = new Pulse();
    from.state = { ctl: 9, elapsed: 1n << 63n };
    const to = new Pulse();
    loadState(to, encodeState(from));
    expect(to.state).toEqual(from.state);
  });
});

describe("versions", () => {
  test("a field that an older stream lacks gets its default", () => {
    expect(decodeState(pulseV2, encodeValues(pulseV1, { ctl: 1, elapsed: 2n }))).toEqual({
      ctl: 1,
      elapsed: 2n,
      jitter: 7,
    });
  });

  test("a default is a copy for each load", () => {
    const later = describeState("pulse", 2, [field("ctl", u32), field("log", list(u8), { since: 2, default: [1] })]);
    const earlier = describeState("pulse", 1, [field("ctl", u32)]);
    const bytes = encodeValues(earlier, { ctl: 0 });
    decodeState(later, bytes).log.push(2);
    expect(decodeState(later, bytes).log).toEqual([1]);
  });

  test("a newer field that matters is refused by name", () => {
    expect(() => decodeState(pulseV1, encodeValues(pulseV2, { ctl: 1, elapsed: 2n, jitter: 8 }))).toThrow(
      expect.objectContaining({
        code: "unknownField",
        subject: "pulse.jitter",
        message: "Saved state (version 2) has pulse.jitter, which this build (version 1) does not know",
      }),
    );
  });

  test("a newer field with its default is left out by older builds", () => {
    expect(decodeState(pulseV1, encodeValues(pulseV2, { ctl: 1, elapsed: 2n, jitter: 7 }))).toEqual({
      ctl: 1,
      elapsed: 2n,
    });
  });

  test("a field that the stream should have is missed by name", () => {
    const short = describeState("pulse", 1, [field("ctl", u32)]);
    expect(() => decodeState(pulseV1, encodeValues(short, { ctl: 1 }))).toThrow(
      expect.objectContaining({ code: "missingField", subject: "pulse.elapsed" }),
    );
  });

  test("a field of another kind is refused with both kinds", () => {
    const other = describeState("pulse", 1, [field("ctl", u64), field("elapsed", u64)]);
    expect(() => decodeState(pulseV1, encodeValues(other, { ctl: 1n, elapsed: 2n }))).toThrow(
      "Saved state has pulse.ctl as u64; this build has it as u32",
    );
  });

  test("elements of another kind are refused even when there are none", () => {
    const bytes = describeState("s", 1, [field("a", list(u8)), field("b", optional(u8))]);
    const words = describeState("s", 1, [field("a", list(u16)), field("b", optional(u8))]);
    const maybeWord = describeState("s", 1, [field("a", list(u8)), field("b", optional(u16))]);
    const none = encodeValues(bytes, { a: [], b: undefined });
    expect(() => decodeState(words, none)).toThrow("s.a as u8");
    expect(() => decodeState(maybeWord, none)).toThrow("s.b as u8");
  });

  test("fields of nested structs follow the same rules", () => {
    const slotV1 = struct([field("base", u64)]);
    const slotV2 = struct([field("base", u64), field("flags", u8, { since: 2, default: 1 })]);
    const ringV1 = describeState("ring", 1, [field("slots", list(slotV1))]);
    const ringV2 = describeState("ring", 2, [field("slots", list(slotV2))]);
    expect(decodeState(ringV2, encodeValues(ringV1, { slots: [{ base: 3n }] }))).toEqual({
      slots: [{ base: 3n, flags: 1 }],
    });
    expect(() => decodeState(ringV1, encodeValues(ringV2, { slots: [{ base: 3n, flags: 1 }] }))).toThrow(
      expect.objectContaining({ code: "unknownField", subject: "ring.slots.flags" }),
    );
  });

  test("the section of another device is refused", () => {
    const uart = describeState("uart", 1, [field("ctl", u32)]);
    expect(() => decodeState(pulseV1, encodeValues(uart, { ctl: 1 }))).toThrow(
      'Saved state is of "uart" where "pulse" is expected',
    );
  });
});

describe("declaring", () => {
  test("a later field without default is our own mistake", () => {
    const bad = { name: "b", type: u8, since: 2 } as const;
    expect(() => describeState("x", 2, [bad])).toThrow("a later field of x has a default");
  });

  test("a field newer than its description is, in a nested struct too", () => {
    const nested = struct([field("b", u8, { since: 3, default: 0 })]);
    expect(() => describeState("x", 2, [field("a", list(nested))])).toThrow("state x is as new as its fields");
  });

  test("so are two fields of one name and a struct without fields", () => {
    expect(() => describeState("x", 1, [field("a", u8), field("a", u16)])).toThrow("names each field once");
    expect(() => struct([])).toThrow("a struct of saved state has fields");
  });

  test("a value that is not described is named", () => {
    const values = { ctl: 1, elapsed: 0n, forgotten: 2 };
    expect(() => encodeValues(pulseV1, values)).toThrow("the description of pulse has the field (forgotten)");
    const nested = describeState("n", 1, [field("slot", struct([field("base", u64)]))]);
    const extra = { base: 1n, end: 2n };
    expect(() => encodeValues(nested, { slot: extra })).toThrow("the description of n.slot has the field (end)");
  });

  test("a value that its type cannot hold is named", () => {
    expect(() => encodeValues(pulseV1, { ctl: -1, elapsed: 0n })).toThrow("pulse.ctl is a u32 (-1)");
    expect(() => encodeValues(pulseV1, { ctl: 1, elapsed: 1n << 64n })).toThrow("pulse.elapsed is a u64");
    const devices = describeState("d", 1, [field("list", list(struct([field("on", bool)])))]);
    expect(() => encodeValues(devices, { list: [{ on: 1 as unknown as boolean }] })).toThrow(
      "d.list[0].on is a boolean",
    );
  });
});

interface Sample {
  readonly type: StateType<unknown>;
  readonly value: fc.Arbitrary<unknown>;
}

const { type: sampleType } = fc.letrec<{ type: Sample }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Sample>(
      { type: u8, value: fc.nat(0xff) },
      { type: u16, value: fc.nat(0xffff) },
      { type: u32, value: fc.nat(0xffff_ffff) },
      { type: u64, value: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) },
      { type: f64, value: fc.double() },
      { type: bool, value: fc.boolean() },
      { type: text, value: fc.string({ unit: "binary" }) },
      { type: blob, value: fc.uint8Array() },
    ),
    tie("type").map(({ type, value }) => ({ type: list(type), value: fc.array(value, { maxLength: 5 }) })),
    tie("type").map(({ type, value }) => ({ type: optional(type), value: fc.option(value, { nil: undefined }) })),
    fc.array(tie("type"), { minLength: 1, maxLength: 4 }).map((members) => ({
      type: struct(members.map(({ type }, index) => field(`f${index}`, type))),
      value: fc.record(Object.fromEntries(members.map(({ value }, index) => [`f${index}`, value]))),
    })),
  ),
}));
const sampleState = fc.array(sampleType, { maxLength: 6 }).chain((members) =>
  fc.record({
    description: fc.constant<StateDescription>(
      describeState(
        "any",
        1,
        members.map(({ type }, index) => field(`field ${index}`, type)),
      ),
    ),
    values: fc.record(Object.fromEntries(members.map(({ value }, index) => [`field ${index}`, value]))),
  }),
);

test("any values of any description come back", () => {
  fc.assert(
    fc.property(sampleState, ({ description, values }) => {
      expect(decodeState(description, encodeValues(description, values))).toEqual(values);
    }),
  );
});

function outcomeOf(decode: () => unknown): string {
  try {
    decode();
    return "decoded";
  } catch (error) {
    return error instanceof StateError ? "StateError" : String(error);
  }
}

describe("hostile bytes", () => {
  test("every truncation is refused", () => {
    const bytes = encodeValues(pulseV2, { ctl: 1, elapsed: 2n, jitter: 3 });
    for (let length = 0; length < bytes.length; length++) {
      expect(outcomeOf(() => decodeState(pulseV2, bytes.subarray(0, length)))).toBe("StateError");
    }
  });

  test("any damage is decoded or refused with a StateError, and nothing else", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(0xff)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sampleState, damage, ({ description, values }, changes) => {
        const bytes = encodeValues(description, values);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        expect(outcomeOf(() => decodeState(description, bytes))).toMatch(/^(?:decoded|StateError)$/);
      }),
    );
  });

  test("any bytes after a good header are decoded or refused with a StateError", () => {
    const byte = fc.oneof({ weight: 3, arbitrary: fc.nat(12) }, fc.nat(0xff));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 200 }), (body) => {
        const header = [0x52, 0x53, 0x54, 0x53, 1, 0, 0, 0, 1, 0, 0, 0, body.length, 0, 0, 0];
        expect(outcomeOf(() => readSection(Uint8Array.from([...header, ...body])))).toMatch(/^(?:decoded|StateError)$/);
      }),
    );
  });

  function sectionOf(body: number[]): Uint8Array {
    return Uint8Array.from([0x52, 0x53, 0x54, 0x53, 1, 0, 1, 0, 1, 0, 0, 0, body.length, 0, 0, 0, 0x78, ...body]);
  }

  test("a list that claims more elements than bytes is refused before it is made", () => {
    const body = [1, 0, 0, 1, 0x61, 9, 1, 0xff, 0xff, 0xff, 0xff];
    expect(() => readSection(sectionOf(body))).toThrow("Saved state of x: a has 4294967295 elements; 0 bytes are left");
  });

  test("a text that claims more bytes than there are is refused before it is made", () => {
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, 7, 0xff, 0xff, 0xff, 0x7f]))).toThrow(
      "a needs 2147483647 bytes; 0 are left",
    );
  });

  test("a type that nests without end is refused", () => {
    const lists = Array.from({ length: 1000 }, () => 9);
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, ...lists]))).toThrow('the type of "a" nests deeper than 16');
  });

  test("a struct without fields is refused, for lists of it would have no bound", () => {
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, 9, 11, 0, 0, 0xff, 0xff, 0xff, 0xff]))).toThrow(
      'the struct "a" has no fields',
    );
  });

  test("a boolean is 0 or 1", () => {
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, 6, 2]))).toThrow("a is 2 where 0 or 1 stands");
  });

  test("text that is not UTF-8 is refused", () => {
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, 7, 1, 0, 0, 0, 0xff]))).toThrow("a is not UTF-8");
  });

  test("a kind of a later format is refused by the field's name", () => {
    expect(() => readSection(sectionOf([1, 0, 0, 1, 0x61, 12]))).toThrow(
      expect.objectContaining({ code: "unknownFormat", subject: "x.a" }),
    );
  });

  test("bytes after the section are refused", () => {
    const bytes = encodeValues(pulseV1, { ctl: 1, elapsed: 2n });
    expect(() => decodeState(pulseV1, Uint8Array.from([...bytes, 0]))).toThrow("1 bytes follow the section");
  });
});
