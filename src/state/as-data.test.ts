import { expect, test } from "vitest";
import { describeStateAsData, valueAsData } from "./as-data.ts";
import { blob, describeState, field, list, optional, struct, text, u32, u64 } from "./describe.ts";

test("a description survives JSON with its types, versions and defaults", () => {
  const description = describeState("ring", 3, [
    field("ctl", u32),
    field("slots", list(struct([field("base", u64)])), { since: 2, default: [{ base: 16n }] }),
    field("label", optional(text), { since: 3, default: undefined }),
  ]);
  const data = describeStateAsData(description);
  expect(JSON.parse(JSON.stringify(data))).toEqual(data);
  expect(data).toEqual({
    name: "ring",
    version: 3,
    fields: [
      { name: "ctl", type: "u32", since: 1 },
      {
        name: "slots",
        type: { list: { struct: [{ name: "base", type: "u64", since: 1 }] } },
        since: 2,
        default: [{ base: "0x10" }],
      },
      { name: "label", type: { optional: "text" }, since: 3, default: null },
    ],
  });
});

test("values that JSON does not have become texts", () => {
  expect(valueAsData({ a: 255n, b: Uint8Array.of(1, 0xab), c: Number.NaN, d: undefined })).toEqual({
    a: "0xff",
    b: "01ab",
    c: "NaN",
    d: null,
  });
  expect(describeStateAsData(describeState("b", 1, [field("data", blob)])).fields[0]!.type).toBe("blob");
});
