import fc from "fast-check";
import { expect, test } from "vitest";
import { VmError } from "../../base/index.ts";
import { parseQemuOptions } from "./parse.ts";
import { allOptions, workingOptions } from "./table.ts";

const keys =
  "id driver file filename node-name if format readonly backend path host port server wait mux size cpus sockets base clock type accel drive chardev bus help x".split(
    " ",
  );
const values = [
  ..."on off none virtio raw file null stdio socket ringbuf 1 0 -1 4G 1e9 help ? virt rv64 utc tcg".split(" "),
  "virtio-blk-device",
  "mon:stdio",
  "unix:/a,server",
  "tcp::1",
  "chardev:a",
  "2026-01-01",
  "{}",
  '{"driver":"raw","node-name":"a","file":{"driver":"raw","file":"a"}}',
  "__proto__",
  "constructor",
  "",
  ",",
  "=",
  "a.b.0",
];
const value = fc.oneof(fc.constantFrom(...values), fc.string({ maxLength: 12 }));
const pair = fc
  .tuple(fc.oneof(fc.constantFrom(...keys), fc.string({ maxLength: 6 })), value)
  .map(([k, v]) => `${k}=${v}`);
const argument = fc.array(fc.oneof(value, pair), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(","));
const option = fc.constantFrom(...allOptions.map(({ name }) => `-${name}`));
const working = fc.constantFrom(...workingOptions.map(({ name }) => `-${name}`));
const command = fc.array(fc.oneof({ weight: 6, arbitrary: fc.tuple(working, argument) }, fc.tuple(option, argument)), {
  maxLength: 4,
});

test("any command line gives a plan, a text or a typed error", () => {
  fc.assert(
    fc.property(command, (options) => {
      try {
        const parsed = parseQemuOptions(options.flat());
        return parsed.kind === "run" || parsed.text.length > 0;
      } catch (error) {
        expect(error).toBeInstanceOf(VmError);
        return (error as VmError).message.length > 0;
      }
    }),
    { numRuns: 5000 },
  );
});

test("a plan is plain data: it crosses to a worker unchanged", () => {
  fc.assert(
    fc.property(command, (options) => {
      let parsed: ReturnType<typeof parseQemuOptions>;
      try {
        parsed = parseQemuOptions(options.flat());
      } catch {
        return true;
      }
      if (parsed.kind === "run") expect(structuredClone(parsed.plan)).toEqual(parsed.plan);
      return true;
    }),
    { numRuns: 2000 },
  );
});
