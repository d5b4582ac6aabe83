// The rooms under src/ and the arrows between them, as data. It grows by a deliberate edit with a reason.

export interface RoomRule {
  /**
   * Rooms whose door (`index.ts`) or `port.ts` may be imported; `block/port.ts` means that file only, `device/pci` the
   * door of that folder, a star stands for one folder. Every room may import `base`.
   */
  readonly mayImport: readonly string[];
  readonly mustNotKnow: string;
  /** May use Node, browser or Linux facilities, and packages from package.json. */
  readonly touchesPlatform?: true;
  /** Nobody imports it, so it needs no door. */
  readonly isProgram?: true;
}

const BELOW_MACHINE =
  "wasm format object state memory chardev block net iommufd accel target/* device device/* vfiohost vfio migration".split(
    " ",
  );

export const ROOMS: Readonly<Record<string, RoomRule>> = {
  base: { mayImport: [], mustNotKnow: "anything above it" },
  wasm: { mayImport: [], mustNotKnow: "guests, devices, platforms" },
  format: { mayImport: [], mustNotKnow: "guests, devices, platforms" },
  object: { mayImport: [], mustNotKnow: "guests, devices, platforms" },
  state: { mayImport: ["object"], mustNotKnow: "guests, devices, platforms" },
  memory: { mayImport: ["object", "state"], mustNotKnow: "who maps the regions" },
  chardev: { mayImport: ["object", "state"], mustNotKnow: "who uses the bytes" },
  block: { mayImport: ["object", "state", "chardev", "format"], mustNotKnow: "virtio, PCI" },
  net: { mayImport: ["object", "state", "chardev", "format"], mustNotKnow: "virtio, PCI" },
  // A host description is JSON, whose reader is a format.
  iommufd: { mayImport: ["memory", "state", "format"], mustNotKnow: "PCI, vfio, FFI" },
  // Knows which Debian packages make a guest and composes the initramfs; host/node implements its ports.
  guest: { mayImport: ["format"], mustNotKnow: "platforms, machines" },
  accel: { mayImport: ["wasm", "memory", "state"], mustNotKnow: "any instruction set" },
  "target/*": { mayImport: ["accel", "wasm", "memory", "state", "format"], mustNotKnow: "boards, devices" },
  device: {
    mayImport: ["object", "state", "memory", "chardev", "block/port.ts", "net/port.ts"],
    mustNotKnow: "accelerators, image formats, boards",
  },
  vfiohost: {
    mayImport: ["device", "device/*", "iommufd", "memory", "object", "state"],
    mustNotKnow: "sockets, processes, our VMM",
  },
  vfio: {
    mayImport: ["device/pci", "device/port.ts", "iommufd", "memory", "object", "state"],
    mustNotKnow: "whether the host is software or Linux",
  },
  // Checksums of gigabytes are for generated code.
  migration: {
    mayImport: ["wasm", "object", "state", "memory", "chardev", "block/port.ts"],
    mustNotKnow: "device classes",
  },
  machine: { mayImport: BELOW_MACHINE, mustNotKnow: "monitor, cli, platforms" },
  replay: { mayImport: [...BELOW_MACHINE, "machine"], mustNotKnow: "monitor, cli, platforms" },
  // A monitor is served on a character device.
  monitor: {
    mayImport: ["machine", "object", "migration", "block", "chardev/port.ts", "accel/port.ts"],
    mustNotKnow: "host/*",
  },
  // The format door: a fetched archive is unpacked where it arrives.
  "host/node": {
    mayImport: ["*/port.ts", "*/*/port.ts", "format"],
    mustNotKnow: "implementations",
    touchesPlatform: true,
  },
  "host/*": { mayImport: ["*/port.ts", "*/*/port.ts"], mustNotKnow: "implementations", touchesPlatform: true },
  cli: { mayImport: ["*", "*/*"], mustNotKnow: "nothing: it joins the rooms", touchesPlatform: true, isProgram: true },
};

/** Files directly under src/: the package's doors and what belongs to one door only (`node-worker.ts`). */
export const DOOR_FILE: RegExp = /^(?<door>index|node|browser)(?:-[a-z0-9-]+)?\.ts$/;

/** What only a platform has; the core asks a port for it. */
export const PLATFORM_GLOBALS: ReadonlySet<string> = new Set(
  [
    "Date setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate queueMicrotask",
    "structuredClone process Buffer console performance crypto require __dirname __filename",
    "fetch XMLHttpRequest WebSocket Worker MessageChannel navigator window document localStorage indexedDB",
    "self global globalThis",
  ].flatMap((names) => names.split(" ")),
);

/** Members of otherwise harmless globals that give time, randomness or block the thread. */
export const PLATFORM_MEMBERS: ReadonlySet<string> = new Set(["Math.random", "Atomics.wait", "import.meta"]);

export const SOURCE_LINE_LIMIT = 800;
export const README_LINE_LIMIT = 30;
