import { beforeEach, describe, expect, test } from "vitest";
import { nodeDecompress } from "../host/node/index.ts";
import {
  type TestPackage,
  USER_SPACE_PACKAGES,
  kernelPackage,
  makeKernel,
  publish,
} from "../../test/support/packages.ts";
import { readCpio } from "../format/index.ts";
import { availableGuests, fetchGuest, listGuests, removeGuest } from "./fetch.ts";
import {
  GuestError,
  type GuestFiles,
  type GuestHost,
  type GuestManifest,
  type GuestProgress,
  type PackageRecord,
} from "./port.ts";

/** An archive and a store in memory; `lost` are packages that the index names and the pool lacks. */
class MemoryHost implements GuestHost {
  readonly decompress = nodeDecompress();
  readonly suites = new Map<string, TestPackage[]>();
  readonly lost = new Set<string>();
  readonly stored = new Map<string, { files: GuestFiles; kernel: Uint8Array; initrd: Uint8Array }>();
  indexReads = 0;
  discards = 0;

  readonly archive: GuestHost["archive"] = {
    readIndex: (suite) => {
      this.indexReads++;
      const text = (this.suites.get(suite.codename) ?? []).map((item) => publish(item).stanza).join("");
      return Promise.resolve({ text, origin: `memory ${suite.codename}` });
    },
    fetch: (record: PackageRecord) => {
      if (this.lost.has(record.name)) return Promise.reject(new GuestError("outOfStep", `${record.name} is not there`));
      const item = this.suites.get(record.suite)!.find((p) => p.name === record.name && p.version === record.version)!;
      return Promise.resolve(publish(item).bytes);
    },
    discardDownloads: () => {
      this.discards++;
      return Promise.resolve();
    },
  };
  readonly store: GuestHost["store"] = {
    read: (id) => Promise.resolve(this.stored.get(`${id.name} ${id.release}`)?.files),
    write: (manifest: GuestManifest, { kernel, initrd }) => {
      const files = { ...manifest, kernelPath: "/kernel", initrdPath: "/initrd" };
      this.stored.set(`${manifest.name} ${manifest.release}`, { files, kernel, initrd });
      return Promise.resolve(files);
    },
    list: () => Promise.resolve([...this.stored.values()].map(({ files }) => files)),
    remove: (id) => Promise.resolve(this.stored.delete(`${id.name} ${id.release}`)),
    exclusively: (_options, body) => body(),
  };
}

let host: MemoryHost;
beforeEach(() => {
  host = new MemoryHost();
  host.suites.set("trixie", [
    kernelPackage("6.12.9-riscv64", "6.12.9-1"),
    kernelPackage("6.12.107-riscv64", "6.12.107-1"),
    ...USER_SPACE_PACKAGES,
  ]);
});

describe("fetchGuest", () => {
  test("gives the newest kernel and an initramfs with its drivers, tools and libraries", async () => {
    const files = await fetchGuest(host, "debian");
    expect(files).toMatchObject({ release: "trixie", kernelRelease: "6.12.107-riscv64", origins: ["memory trixie"] });
    expect(files.packages.map((p) => p.name)).toContain("libext2fs2t64");
    const { kernel, initrd } = host.stored.get("debian trixie")!;
    expect(kernel).toEqual(makeKernel("6.12.107-riscv64"));
    const entries = new Map(readCpio(initrd).map((entry) => [entry.path, entry]));
    expect(entries.get("init")).toMatchObject({ type: "symlink", linkTarget: "usr/bin/busybox" });
    expect(entries.get("etc/init.d/rcS")?.mode).toBe(0o755);
    expect(entries.get("dev/console")?.type).toBe("characterDevice");
    expect([...entries.keys()]).toEqual(
      expect.arrayContaining([
        "usr/lib/modules/6.12.107-riscv64/kernel/fs/ext4/ext4.ko",
        "usr/lib/modules/6.12.107-riscv64/kernel/lib/crc16.ko",
        "usr/lib/modules/6.12.107-riscv64/modules.dep",
        "usr/lib/ld-linux-riscv64-lp64d.so.1",
        "usr/lib/riscv64-linux-gnu/libext2fs.so.2",
        "usr/lib/riscv64-linux-gnu/libcom_err.so.2",
        "usr/sbin/mkfs.ext4",
      ]),
    );
  });
  test("composes the same initramfs from the same packages, parents before children", async () => {
    await fetchGuest(host, "debian");
    const first = host.stored.get("debian trixie")!.initrd;
    await fetchGuest(host, "debian", { refresh: true });
    expect(host.stored.get("debian trixie")!.initrd).toEqual(first);
    const seen = new Set([""]);
    for (const { path } of readCpio(first)) {
      expect(seen).toContain(path.split("/").slice(0, -1).join("/"));
      seen.add(path);
    }
  });
  test("does not touch the archive for a guest that is there", async () => {
    await fetchGuest(host, "debian");
    await fetchGuest(host, "debian");
    expect(host.indexReads).toBe(1);
    expect(host.discards).toBe(1);
  });
  test("fetches anew on request, and when the stored guest has another recipe", async () => {
    await fetchGuest(host, "debian");
    await fetchGuest(host, "debian", { refresh: true });
    const entry = host.stored.get("debian trixie")!;
    host.stored.set("debian trixie", { ...entry, files: { ...entry.files, recipe: 0 } });
    await fetchGuest(host, "debian");
    expect(host.indexReads).toBe(3);
  });
  test("takes the next older kernel when the archive has lost the newest, and says so", async () => {
    host.lost.add("linux-image-6.12.107-riscv64");
    const progress: GuestProgress[] = [];
    const files = await fetchGuest(host, "debian", { report: (p) => progress.push(p) });
    expect(files.kernelRelease).toBe("6.12.9-riscv64");
    expect(progress.find((p) => p.phase === "notice")?.subject).toBe(
      "linux-image-6.12.107-riscv64 is not there; trying linux-image-6.12.9-riscv64 6.12.9-1",
    );
  });
  test("says that the index is out of step when no version is left", async () => {
    host.lost.add("busybox-static");
    await expect(fetchGuest(host, "debian")).rejects.toMatchObject({ code: "outOfStep", subject: "busybox-static" });
    await expect(fetchGuest(host, "debian")).rejects.toThrow("out of step with its pool");
    expect(host.stored.size).toBe(0);
  });
  test("names the library that no package has", async () => {
    host.suites.set(
      "trixie",
      host.suites.get("trixie")!.map((p) => (p.name === "libcom-err2" ? { ...p, files: {} } : p)),
    );
    await expect(fetchGuest(host, "debian")).rejects.toThrow("needs libcom_err.so.2, which none of the packages has");
  });
  test("finds the kernel of 7.x, which lies in the module folder", async () => {
    const release = "7.2.11-riscv64";
    host.suites.set("trixie-backports", [
      {
        name: `linux-image-${release}`,
        version: "7.2",
        files: {},
        depends: `linux-binary-${release}, linux-modules-${release}`,
      },
      {
        name: `linux-binary-${release}`,
        version: "7.2",
        files: { [`usr/lib/modules/${release}/vmlinuz`]: makeKernel(release) },
      },
      { name: `linux-modules-${release}`, version: "7.2", files: {} },
    ]);
    const files = await fetchGuest(host, "debian", { release: "trixie-backports" });
    expect(files.kernelRelease).toBe(release);
    expect(host.stored.get("debian trixie-backports")!.kernel).toEqual(makeKernel(release));
  });
  test("takes the installer's kernel and initrd as they are", async () => {
    const folder = "usr/lib/debian-installer/images/13/riscv64/text/debian-installer/riscv64";
    const files = { [`${folder}/linux`]: makeKernel("d-i"), [`${folder}/initrd.gz`]: new Uint8Array([0x1f, 0x8b, 1]) };
    host.suites.set("trixie", [{ name: "debian-installer-13-netboot-riscv64", version: "2025", files }]);
    await fetchGuest(host, "debian-installer");
    expect([...host.stored.get("debian-installer trixie")!.initrd]).toEqual([0x1f, 0x8b, 1]);
  });
  test("stops between steps when it is aborted, and stores nothing", async () => {
    const controller = new AbortController();
    const report = (p: GuestProgress): void => {
      if (p.phase === "compose") controller.abort(new Error("enough"));
    };
    await expect(fetchGuest(host, "debian", { report, signal: controller.signal })).rejects.toThrow("enough");
    expect(host.stored.size).toBe(0);
  });
});

test("guests can be listed and removed by name or release", async () => {
  await fetchGuest(host, "debian");
  expect((await listGuests(host)).map(({ name, release }) => `${name} ${release}`)).toEqual(["debian trixie"]);
  expect(await removeGuest(host, "debian", "trixie-backports")).toEqual([]);
  expect(await removeGuest(host, "debian")).toEqual([{ name: "debian", release: "trixie" }]);
  await expect(removeGuest(host, "plan9")).rejects.toThrow('There is no guest "plan9"');
  expect(availableGuests().map(({ name }) => name)).toEqual(["debian", "debian-installer"]);
});
