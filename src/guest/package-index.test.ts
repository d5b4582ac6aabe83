import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dependencyNames, parsePackageIndex } from "./package-index.ts";

const hash = "ab".repeat(32);
const stanza = (name: string, extra = ""): string =>
  `Package: ${name}\nVersion: 1.0-1\n${extra}Filename: pool/main/${name}.deb\nSize: 12\nSHA256: ${hash}\n\n`;

describe("parsePackageIndex", () => {
  test("takes what plans need of a wanted package", () => {
    const extra = "Depends: libc6 (>= 2.38),\n libx\nPre-Depends: init\nDescription: text\n with a second line\n";
    expect(parsePackageIndex(stanza("other") + stanza("want", extra), "trixie", (name) => name === "want")).toEqual([
      {
        name: "want",
        version: "1.0-1",
        path: "pool/main/want.deb",
        lengthBytes: 12,
        sha256: hash,
        depends: "init, libc6 (>= 2.38), libx",
        suite: "trixie",
      },
    ]);
  });
  test("skips a stanza that names no file, no size or no hash", () => {
    const texts = [
      "Package: a\nVersion: 1\n\n",
      stanza("a").replace("Size: 12", "Size: many"),
      stanza("a").replace(hash, "ab"),
    ];
    for (const text of texts) expect(parsePackageIndex(text, "s", () => true)).toEqual([]);
  });
  test("skips a path that leaves the archive", () => {
    const text = stanza("a").replace("pool/main/a.deb", "../../etc/passwd");
    expect(parsePackageIndex(text, "s", () => true)).toEqual([]);
  });
  test("takes any text without failing", () => {
    const pieces = fc.constantFrom("Package: a", "\n", "\n\n", " x", "Size: 1", ":", "Filename: p", "");
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        expect(Array.isArray(parsePackageIndex(parts.join("\n"), "s", () => true))).toBe(true);
      }),
    );
  });
});

test("dependencyNames gives first alternatives without versions", () => {
  expect(dependencyNames("dracut | initramfs-tools (>= 0.120), linux-base-7.2 (= 1~x), kmod:any")).toEqual([
    "dracut",
    "linux-base-7.2",
    "kmod",
  ]);
});
