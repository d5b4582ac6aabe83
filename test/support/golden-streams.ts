// Streams of released machine types that must load forever, and the machines that they are of.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { pour, type MigrationChannel } from "../../src/migration/index.ts";
import type { MovingGuestOptions } from "./moving-guest.ts";

const FOLDER = new URL("../fixtures/migration/streams/", import.meta.url);

/** By file name; the first three have streams of version 1, the next one has frames without numbers. A machine type that changes gets further entries; none is ever made anew. */
export const goldenStreams: Readonly<Record<string, MovingGuestOptions>> = {
  "virt-1.0-assigned": {
    devices: [{ kind: "dma-engine" }, { kind: "nvme" }, { kind: "dma-engine", dmaLog: true }],
    smp: 2,
  },
  "virt-1.0-devices": {
    devices: [],
    more: [
      { driver: "virtio-blk-device", properties: { drive: "disk1" } },
      { driver: "virtio-rng-device", properties: {} },
      { driver: "virtio-serial-device", properties: {} },
      { driver: "dma-engine", properties: { addr: "2" } },
      { driver: "nvme", properties: { serial: "s", drive: "disk0", addr: "3" } },
      { driver: "edu", properties: { addr: "4" } },
      { driver: "virtio-blk-pci", properties: { drive: "disk2", addr: "5" } },
      { driver: "virtio-rng-pci", properties: { addr: "6" } },
      { driver: "pcie-root-port", id: "rp0", properties: { addr: "7" } },
    ],
  },
  "virt-1.0-imsic": {
    devices: [{ kind: "nvme", dmaLog: true }],
    more: [{ driver: "dma-engine", properties: { addr: "4" } }],
    boardOptions: { aia: "aplic-imsic", aclint: "on" },
    smp: 2,
  },
  "virt-1.0-stream-2": {
    devices: [{ kind: "nvme" }],
    more: [{ driver: "virtio-blk-device", properties: { drive: "disk1" } }],
  },
  "virt-1.0-numbered": {
    devices: [{ kind: "dma-engine", dmaLog: true }],
    more: [{ driver: "virtio-rng-device", properties: {} }],
  },
  "virt-1.0-packed": {
    devices: [{ kind: "nvme", dmaLog: true }],
    more: [{ driver: "virtio-rng-pci", properties: { addr: "4" } }],
  },
};
/** Those whose pages are compressed, so many frames together. */
export const packedStreams: ReadonlyMap<string, number> = new Map([["virt-1.0-packed", 3]]);

export function goldenFile(name: string): URL {
  return new URL(`${name}.gz`, FOLDER);
}

export function readGolden(name: string): Uint8Array {
  // A Buffer's `slice` is no copy.
  return new Uint8Array(gunzipSync(readFileSync(goldenFile(name))));
}

/** A file with these bytes. */
export function streamChannel(bytes: Uint8Array): MigrationChannel {
  let left: Uint8Array | undefined = bytes;
  return {
    name: "file",
    isDuplex: false,
    unwrittenBytes: 0,
    write: () => Promise.reject(new Error("it is read")),
    read: async (sink) => {
      if (left !== undefined) left = pour(left, sink);
      return left !== undefined;
    },
    flush: async () => undefined,
    close: () => undefined,
  };
}
