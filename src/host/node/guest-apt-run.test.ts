import { describe, expect, test } from "vitest";
import { explainApt, runApt } from "./guest-apt-run.ts";

const place = { origin: "http://mirror/debian trixie", keyring: "/k.gpg" };
const explain = (errors: string): { code: string; message: string } =>
  explainApt({ status: 100, output: "", errors }, place);

describe("explainApt", () => {
  const messages: [string, string, string][] = [
    [
      "unreachable",
      "does not answer",
      "W: Failed to fetch http://m/debian/dists/trixie/InRelease  Temporary failure resolving 'm'",
    ],
    [
      "unreachable",
      "does not answer",
      "Err:1 http://m trixie InRelease\n  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)",
    ],
    [
      "unverified",
      "not signed by a key of /k.gpg",
      "W: GPG error: http://m trixie InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131",
    ],
    ["unverified", "not signed by a key of /k.gpg", "E: The repository 'http://m trixie InRelease' is not signed."],
    [
      "outOfStep",
      "being updated, or is broken",
      "E: Failed to fetch http://m/Packages.xz  File has unexpected size (248120 != 253752). Mirror sync in progress? [IP: 203.0.113.80 80]",
    ],
    ["outOfStep", "being updated, or is broken", "E: Failed to fetch http://m/Packages.xz  Hash Sum mismatch"],
    [
      "outOfStep",
      "out of date",
      "E: Release file for http://m/dists/trixie-backports/InRelease is expired (invalid since 16d 9h 42min 31s).",
    ],
    ["noRelease", "is not there", "E: The repository 'http://m nosuch Release' does not have a Release file."],
    ["busy", "another apt", "E: Could not get lock /c/lists/lock. It is held by process 77 (apt-get)"],
    ["cacheFailed", "does not fit", "E: Write error - write (28: No space left on device)"],
  ];
  for (const [code, found, text] of messages) {
    test(`takes "${text.slice(0, 60)}…" for ${code}`, () => {
      expect(explain(text).code).toBe(code);
      expect(explain(text).message).toContain(found);
    });
  }
  test("passes on what it does not know", () => {
    expect(explain("W: noise\nE: Something new.")).toMatchObject({ code: "aptFailed" });
    expect(explain("W: noise\nE: Something new.").message).toBe(
      "apt cannot read http://mirror/debian trixie: Something new",
    );
  });
});

test("a program that is not there is named, with what would do", async () => {
  await expect(runApt("apt-get-that-is-not-there", [], {})).rejects.toMatchObject({ code: "noApt" });
  await expect(runApt("apt-get-that-is-not-there", [], {})).rejects.toThrow("by -kernel and -initrd");
});
