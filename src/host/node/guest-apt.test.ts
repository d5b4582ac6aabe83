// The whole way against an archive of our own: signed by a key made here, served over HTTP, read by the real apt.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { USER_SPACE_PACKAGES, kernelPackage, makeKernel, publish } from "../../../test/support/packages.ts";
import { has } from "../../../test/support/tools.ts";
import { fetchGuest } from "../../guest/index.ts";
import type { GuestProgress } from "../../guest/port.ts";
import { nodeGuestHost } from "./guest-host.ts";

const ready = has("apt-get") && has("gpg");

describe.skipIf(!ready)("a signed archive read through apt (skipped where apt-get or gpg is not installed)", () => {
  let folder: string;
  let server: Server;
  let pages: Map<string, Uint8Array | string>;
  let requests: string[];
  let mirror: string;

  const gpg = (...args: string[]): Buffer =>
    execFileSync("gpg", ["--homedir", join(folder, "gpg"), "--batch", "--quiet", ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
  const keyring = (): string => join(folder, "keyring.gpg");
  const caches = (): string => mkdtempSync(join(folder, "cache-"));
  const sha = (text: string): string => createHash("sha256").update(text).digest("hex");

  /** Puts a suite with these packages on the server; its files by hash are those of the release file. */
  function putSuite(name: string, codename: string, packages: readonly Parameters<typeof publish>[0][]): void {
    const published = packages.map(publish);
    for (const { path, bytes } of published) pages.set(`/debian/${path}`, bytes);
    const index = published.map(({ stanza }) => stanza).join("");
    pages.set(`/debian/dists/${name}/main/binary-riscv64/Packages`, index);
    const release = [
      "Origin: Debian",
      "Label: Debian",
      `Suite: ${name}`,
      `Codename: ${codename}`,
      "Architectures: riscv64",
      "Components: main",
      "Date: Sat, 21 Nov 2020 02:10:46 UTC",
      "SHA256:",
      ` ${sha(index)} ${index.length} main/binary-riscv64/Packages`,
      "",
    ].join("\n");
    writeFileSync(join(folder, "Release"), release);
    pages.set(`/debian/dists/${name}/InRelease`, gpg("--clearsign", "-o", "-", join(folder, "Release")));
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "ratite-apt-"));
    mkdirSync(join(folder, "gpg"), { mode: 0o700 });
    gpg("--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign", "never");
    gpg("--export", "-o", keyring());
    server = createServer((request, response) => {
      requests.push(request.url ?? "");
      const page = pages.get(decodeURIComponent(request.url ?? ""));
      if (page === undefined) response.writeHead(404).end();
      else response.end(page);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
  });
  afterAll(async () => {
    execFileSync("gpgconf", ["--homedir", join(folder, "gpg"), "--kill", "all"], { stdio: "ignore" });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    pages = new Map();
    requests = [];
    putSuite("trixie", "trixie", [
      kernelPackage("6.12.9+deb13-riscv64", "6.12.9-1"),
      kernelPackage("6.12.107+deb13-riscv64", "6.12.107-1"),
      ...USER_SPACE_PACKAGES,
    ]);
  });

  test("gives a guest, and the second time needs no network", async () => {
    const cacheFolder = caches();
    const files = await fetchGuest(nodeGuestHost({ mirror, keyring: keyring(), cacheFolder }), "debian");
    expect(new Uint8Array(readFileSync(files.kernelPath))).toEqual(makeKernel("6.12.107+deb13-riscv64"));
    expect(files.origins).toEqual([`${mirror} trixie`]);
    expect(existsSync(join(cacheFolder, "apt"))).toBe(false);
    requests = [];
    const again = await fetchGuest(nodeGuestHost({ mirror: "none:none", keyring: "/none", cacheFolder }), "debian");
    expect(again).toEqual(files);
    expect(requests).toEqual([]);
  });
  test("takes the next older kernel when the pool has lost the newest", async () => {
    pages.delete(`/debian/pool/main/linux-image-6.12.107+deb13-riscv64_6.12.107-1_riscv64.deb`);
    const notices: string[] = [];
    const report = (p: GuestProgress): void => void (p.phase === "notice" && notices.push(p.subject));
    const host = nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches() });
    const files = await fetchGuest(host, "debian", { report });
    expect(files.kernelRelease).toBe("6.12.9+deb13-riscv64");
    expect(notices).toEqual([expect.stringContaining("trying linux-image-6.12.9+deb13-riscv64 6.12.9-1")]);
  });
  test("takes the suite under its other name when the first is out of step", async () => {
    putSuite("stable", "trixie", [kernelPackage("6.12.9-riscv64", "6.12.9-1"), ...USER_SPACE_PACKAGES]);
    pages.set("/debian/dists/trixie/main/binary-riscv64/Packages", "Package: other\n\n");
    const host = nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches() });
    expect((await fetchGuest(host, "debian")).origins).toEqual([`${mirror} stable`]);
  });
  test("does not take a suite whose codename is another one's", async () => {
    putSuite("stable", "forky", USER_SPACE_PACKAGES);
    pages.delete("/debian/dists/trixie/InRelease");
    const host = nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches() });
    await expect(fetchGuest(host, "debian")).rejects.toMatchObject({ code: "noRelease" });
  });
  test("refuses an archive signed by a key that is not in the keyring", async () => {
    const debians = "/usr/share/keyrings/debian-archive-keyring.gpg";
    const other = existsSync(debians) ? debians : join(folder, "Release");
    const host = nodeGuestHost({ mirror, keyring: other, cacheFolder: caches() });
    await expect(fetchGuest(host, "debian")).rejects.toMatchObject({ code: "unverified" });
    expect(requests.some((url) => url.includes("pool"))).toBe(false);
  });
  test("refuses an index that was changed after signing", async () => {
    const path = "/debian/dists/trixie/main/binary-riscv64/Packages";
    pages.set(path, (pages.get(path) as string).replace("busybox", "busyb0x"));
    const host = nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches() });
    await expect(fetchGuest(host, "debian")).rejects.toMatchObject({ code: "outOfStep" });
  });
  test("refuses a package that was changed in the pool", async () => {
    for (const [path, bytes] of pages) {
      if (path.includes("/libc6_")) pages.set(path, Buffer.from(bytes as Uint8Array).fill(0x20, 100, 110));
    }
    const host = nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches() });
    await expect(fetchGuest(host, "debian")).rejects.toThrow("no complete version of libc6");
  });
  test("names a mirror that does not answer, one that is none, and a keyring that is not there", async () => {
    const at = (options: { mirror?: string; keyring?: string }): Promise<unknown> =>
      fetchGuest(nodeGuestHost({ mirror, keyring: keyring(), cacheFolder: caches(), ...options }), "debian");
    await expect(at({ mirror: "http://127.0.0.1:1/debian" })).rejects.toMatchObject({ code: "unreachable" });
    await expect(at({ mirror: "not a mirror" })).rejects.toMatchObject({ code: "badMirror" });
    await expect(at({ mirror: `${mirror}/nothing` })).rejects.toMatchObject({ code: "noRelease" });
    await expect(at({ keyring: "/none.gpg" })).rejects.toMatchObject({ code: "noKeyring" });
  });
  test("reads an archive on disk through apt's own methods", async () => {
    const root = mkdtempSync(join(folder, "disk-"));
    for (const [path, bytes] of pages) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), bytes);
    }
    const host = nodeGuestHost({ mirror: `file:${root}/debian`, keyring: keyring(), cacheFolder: caches() });
    expect((await fetchGuest(host, "debian")).kernelRelease).toBe("6.12.107+deb13-riscv64");
    expect(requests).toEqual([]);
  });
});
