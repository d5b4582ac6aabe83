import { describe, expect, test } from "vitest";
import { has, run } from "../../test/support/tools.ts";
import { compareVersions } from "./version.ts";

/** From old to new. */
const ordered = [
  "0~rc1",
  "0",
  "1.0~beta-1",
  "1.0-1",
  "1.0-1.1",
  "1.0-10",
  "1.0a-1",
  "1.0+dfsg-1",
  "6.12.9-1",
  "6.12.107-1",
  "7.2.6-1~bpo13+1",
  "7.2.11-1~bpo13+1",
  "7.2.11-1",
  "1:0.1",
  "2:0.0.1",
];

describe("compareVersions", () => {
  test("orders epochs, tildes, digits and letters as Debian does", () => {
    expect([...ordered].reverse().sort(compareVersions)).toEqual(ordered);
  });
  test("takes versions that differ only in leading zeros for equal", () => {
    expect(compareVersions("1.010-1", "1.10-01")).toBe(0);
  });
  test.skipIf(!has("dpkg"))("agrees with dpkg on every pair (skipped where dpkg is not installed)", () => {
    const script = ordered.map((v) => `'${v}'`).join(" ");
    const loop = `for a in ${script}; do for b in ${script}; do dpkg --compare-versions "$a" lt "$b" && echo "$a $b"; done; done; true`;
    const theirs = run("sh", ["-c", loop]).toString().trim().split("\n");
    const ours = ordered.flatMap((a) => ordered.filter((b) => compareVersions(a, b) < 0).map((b) => `${a} ${b}`));
    expect(ours.sort()).toEqual(theirs.sort());
  });
});
