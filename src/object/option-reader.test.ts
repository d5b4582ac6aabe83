import { expect, test } from "vitest";
import { OptionReader } from "./option-reader.ts";
import { parseOptions } from "./options.ts";
import { bool, size, str, uint32 } from "./properties.ts";

function readerOf(text: string): OptionReader {
  return new OptionReader(parseOptions("-chardev", text, { impliedKey: "backend", json: true }));
}

test("reads parameters by type, with fall-backs", () => {
  const reader = readerOf("socket,id=a,server=on,size=4K");
  expect(reader.required("backend", str)).toBe("socket");
  expect(reader.orElse("server", bool, false)).toBe(true);
  expect(reader.orElse("wait", bool, true)).toBe(true);
  expect(reader.optional("size", size)).toBe(4096);
  expect(reader.optional("port", uint32)).toBeUndefined();
});

test("reads JSON by the same types", () => {
  const reader = readerOf('{"backend":"socket","server":true,"port":"0x10"}');
  expect(reader.required("server", bool)).toBe(true);
  expect(reader.required("port", uint32)).toBe(16);
});

test("what nobody asked for is refused with what is known", () => {
  const reader = readerOf("null,id=a,sever=on");
  reader.required("backend", str);
  reader.required("id", str);
  reader.optional("server", bool);
  expect(() => reader.end()).toThrow(
    expect.objectContaining({
      code: "unknownParameter",
      subject: "-chardev null,id=a,sever=on",
      message: "Invalid parameter 'sever'; known are backend, id, server",
    }),
  );
});

test("a missing parameter is named", () => {
  expect(() => readerOf("null").required("id", str)).toThrow("Parameter 'id' is missing");
});

test("the rest can be handed on, typed when it came typed", () => {
  const reader = readerOf('{"backend":"x","a":true,"b":7}');
  reader.required("backend", str);
  expect(reader.rest()).toEqual({ a: true, b: 7 });
  expect(() => reader.end()).not.toThrow();
});

test("a nested value is no plain property", () => {
  expect(() => readerOf('{"a":{"b":1}}').rest()).toThrow("Parameter 'a' expects a plain value");
});
