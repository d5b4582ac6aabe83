import { describe, expect, test } from "vitest";
import { findGuest, findRelease, mayBeWanted } from "./catalog.ts";
import { planGuest } from "./plan.ts";
import type { PackageRecord } from "./port.ts";

function record(name: string, version: string, suite = "trixie", depends = ""): PackageRecord {
  return { name, version, path: `pool/${name}.deb`, lengthBytes: 1, sha256: "00", depends, suite };
}
const userSpace = ["busybox-static", "e2fsprogs", "libc6", "libext2fs2t64", "libcom-err2", "libblkid1", "libuuid1"].map(
  (name) => record(name, "1"),
);
const debian = findGuest("debian");
const ways = (release: string, records: PackageRecord[]): string[][] =>
  planGuest(debian, findRelease(debian, release), records)[0]!.ways.map((way) =>
    way.map((r) => `${r.name} ${r.version}`),
  );

describe("planGuest", () => {
  test("takes the kernel that the metapackage names, then the others from new to old", () => {
    const records = [
      record("linux-image-6.12.9+deb13-riscv64", "6.12.9-1"),
      record("linux-image-6.12.107+deb13-riscv64", "6.12.107-1"),
      record("linux-image-6.12.57+deb13-riscv64", "6.12.57-1"),
      record("linux-image-riscv64", "6.12.57-1", "trixie", "linux-image-6.12.57+deb13-riscv64 (= 6.12.57-1)"),
      record("linux-image-6.12.107+deb13-riscv64-dbg", "6.12.107-1"),
      ...userSpace,
    ];
    expect(ways("trixie", records)).toEqual([
      ["linux-image-6.12.57+deb13-riscv64 6.12.57-1"],
      ["linux-image-6.12.107+deb13-riscv64 6.12.107-1"],
      ["linux-image-6.12.9+deb13-riscv64 6.12.9-1"],
    ]);
  });
  test("takes the parts of a split kernel with it, and passes over one whose parts are gone", () => {
    const bpo = "trixie-backports";
    const image = (v: string): PackageRecord =>
      record(
        `linux-image-${v}-riscv64`,
        v,
        bpo,
        `kmod, linux-base-${v}-riscv64, linux-binary-${v}-riscv64 (= ${v}), linux-modules-${v}-riscv64`,
      );
    const records = [
      image("7.2.9"),
      image("7.2.11"),
      record("linux-binary-7.2.11-riscv64", "7.2.11", bpo),
      record("linux-binary-7.2.9-riscv64", "7.2.9", bpo),
      record("linux-modules-7.2.9-riscv64", "7.2.9", bpo),
      record("linux-image-6.12.107-riscv64", "6.12.107-1"),
      ...userSpace,
    ];
    expect(ways(bpo, records)).toEqual([
      ["linux-image-7.2.9-riscv64 7.2.9", "linux-binary-7.2.9-riscv64 7.2.9", "linux-modules-7.2.9-riscv64 7.2.9"],
    ]);
  });
  test("says which package is missing, and of which suites", () => {
    const records = [record("linux-image-6.12.9-riscv64", "6"), ...userSpace.filter((r) => r.name !== "e2fsprogs")];
    expect(() => ways("trixie", records)).toThrow("index of trixie for riscv64 has no package for e2fsprogs");
  });
});

describe("the catalog", () => {
  test("names what it has when asked for something else", () => {
    expect(() => findGuest("ubuntu")).toThrow('There is no guest "ubuntu"; there are debian, debian-installer');
    expect(() => findRelease(debian, "sid")).toThrow("there are trixie, trixie-backports");
  });
  test("wants kernels and their parts, and no debug symbols or other flavours", () => {
    expect(mayBeWanted("linux-image-6.12.107+deb13-riscv64")).toBe(true);
    expect(mayBeWanted("linux-modules-7.2.11+deb13-riscv64")).toBe(true);
    expect(mayBeWanted("debian-installer-13-netboot-riscv64")).toBe(true);
    expect(mayBeWanted("linux-image-6.12.107+deb13-riscv64-dbg")).toBe(false);
    expect(mayBeWanted("linux-image-6.12.107+deb13-rt-riscv64")).toBe(false);
    expect(mayBeWanted("debian-installer-13-netboot-amd64")).toBe(false);
  });
});
