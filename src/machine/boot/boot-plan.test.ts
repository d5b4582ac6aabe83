import { describe, expect, test } from "vitest";
import { parseTree, flattenTree, DeviceTreeNode } from "../../format/index.ts";
import { asEfiStub, testElf, testImage } from "../testing/test-images.ts";
import { plainOptions } from "../virt/options.ts";
import { buildBoardTree } from "../virt/device-tree.ts";
import { planBoot, type BootConfig, type BootPlan } from "./boot-plan.ts";

const MiB = 2 ** 20;
const RAM = 0x8000_0000;
const SEED = new Uint8Array(32).fill(7);
const isa = { base: "rv64i", extensions: ["i"], mmuType: "riscv,sv57" };

function plan(config: Partial<BootConfig>, memoryBytes = 512 * MiB): BootPlan {
  const board = buildBoardTree({ harts: [{ id: 0, isa }], memoryBytes, options: plainOptions });
  return planBoot({ firmware: "default", commandLine: "", ...config }, { base: RAM, lengthBytes: memoryBytes }, board);
}

function placed(boot: BootPlan): [string, number, number][] {
  return boot.segments(SEED).map(({ what, at, lengthBytes }) => [what.split(" ")[0]!, at, lengthBytes]);
}

const image = { name: "Image", bytes: testImage(0x1000, 0x3000) };
const initrd = { name: "initrd.gz", bytes: new Uint8Array(100) };

describe("with the built-in SBI", () => {
  test("the kernel is where it would be behind OpenSBI, the initrd half the memory further, the tree at the end", () => {
    const boot = plan({ kernel: image, initrd });
    expect(placed(boot).slice(0, 2)).toEqual([
      ["Kernel", 0x8020_0000, 0x3000],
      ["Initrd", 0x9020_0000, 100],
    ]);
    expect(boot.deviceTreeAt).toBe(0x9fe0_0000);
    expect(boot.start).toEqual({ kind: "supervisor", entry: 0x8020_0000 });
  });

  test("with much memory the initrd is 512 MiB behind the kernel", () => {
    expect(placed(plan({ kernel: image, initrd }, 2048 * MiB))[1]).toEqual(["Initrd", 0xa020_0000, 100]);
  });

  test("an ELF kernel goes where it is linked and starts at its lowest address", () => {
    const elf = testElf(0x8040_0010, [
      { at: 0x8050_0000, bytes: [1], memoryBytes: 0x100 },
      { at: 0x8040_0000, bytes: [2, 3] },
    ]);
    const boot = plan({ kernel: { name: "vmlinux", bytes: elf } });
    expect(boot.start).toEqual({ kind: "supervisor", entry: 0x8040_0000 });
    expect(boot.segments(SEED)[0]).toMatchObject({ at: 0x8050_0000, lengthBytes: 0x100, zeroRest: true });
  });

  test("the tree names the initrd, the boot arguments and the seed", () => {
    const boot = plan({ kernel: image, initrd, commandLine: "console=ttyS0" });
    const chosen = parseTree(boot.boardTree(SEED)).root.find("/chosen")!;
    expect(chosen.getString("bootargs")).toBe("console=ttyS0");
    expect(chosen.getU64("linux,initrd-start")).toBe(0x9020_0000n);
    expect(chosen.getU64("linux,initrd-end")).toBe(0x9020_0064n);
    expect(chosen.properties.get("rng-seed")).toEqual(SEED);
    expect(chosen.getString("stdout-path")).toBe("/soc/serial@10000000");
  });

  test("the guest's tree has the machine contexts off, the board's has them on", () => {
    const boot = plan({ kernel: image });
    const path = "/soc/interrupt-controller@c000000";
    const guests = parseTree(boot.segments(SEED).at(-1)!.bytes).root.find(path)!;
    const boards = parseTree(boot.boardTree(SEED)).root.find(path)!;
    expect(guests.getU32s("interrupts-extended")![1]).toBe(0xffffffff);
    expect(boards.getU32s("interrupts-extended")![1]).toBe(11);
  });

  test("without a kernel nothing starts", () => {
    expect(plan({}).start).toEqual({ kind: "nothing" });
  });

  test("the tree has room for what a boot loader writes into it in place", () => {
    const guests = plan({ kernel: image }).segments(SEED).at(-1)!.bytes;
    expect(guests.length - flattenTree(parseTree(guests).root).length).toBe(4096);
  });
});

describe("with firmware from a file", () => {
  test("a raw one is at the start of RAM, the kernel at the next 2 MiB behind it", () => {
    const firmware = { name: "fw.bin", bytes: new Uint8Array(3 * MiB) };
    const boot = plan({ firmware, kernel: image });
    expect(placed(boot).slice(0, 2)).toEqual([
      ["Firmware", RAM, 3 * MiB],
      ["Kernel", 0x8040_0000, 0x3000],
    ]);
    expect(boot.start).toEqual({ kind: "machineMode" });
  });

  test("the mask ROM jumps to an ELF firmware's entry and names the kernel to it", () => {
    const bytes = testElf(0x8000_0040, [{ at: RAM, bytes: Array.from({ length: 0x80 }, () => 1) }]);
    const rom = plan({ firmware: { name: "fw.elf", bytes }, kernel: image }).maskRom;
    const words = new BigUint64Array(rom.buffer, 24, 8);
    // Start, device tree; then fw_dynamic: magic, version, next address, next mode, options, boot hart.
    expect([...words]).toEqual([0x8000_0040n, 0x9fe0_0000n, 0x4942534fn, 2n, 0x8020_0000n, 1n, 0n, 0n]);
  });

  test("the tree is the board's", () => {
    const boot = plan({ firmware: { name: "fw.bin", bytes: new Uint8Array(4) } });
    expect(boot.segments(SEED).at(-1)!.bytes).toEqual(boot.boardTree(SEED));
  });

  test("finds the APLIC's delegation under its earlier name too, which dumpdtb does not show", () => {
    const firmware = { name: "fw.bin", bytes: new Uint8Array(4) };
    const board = buildBoardTree({
      harts: [{ id: 0, isa }],
      memoryBytes: 64 * MiB,
      options: { aclint: false, aia: "aplic" },
    });
    const boot = planBoot({ firmware, commandLine: "" }, { base: RAM, lengthBytes: 64 * MiB }, board);
    const domain = "/soc/interrupt-controller@c000000";
    const guests = parseTree(boot.segments(SEED).at(-1)!.bytes).root.find(domain)!;
    const boards = parseTree(boot.boardTree(SEED)).root.find(domain)!;
    expect(guests.getU32s("riscv,delegate")).toEqual(boards.getU32s("riscv,delegation"));
    expect(boards.has("riscv,delegate")).toBe(false);
  });
});

describe("without firmware", () => {
  test("a raw kernel runs in machine mode from the start of RAM", () => {
    const boot = plan({ firmware: "none", kernel: { name: "payload.bin", bytes: Uint8Array.of(0x13, 0, 0, 0) } });
    expect(placed(boot)[0]).toEqual(["Kernel", RAM, 4]);
    expect(boot.start).toEqual({ kind: "machineMode" });
  });

  const startOf = (kernel: Uint8Array): bigint => {
    const boot = plan({ firmware: "none", kernel: { name: "k", bytes: kernel } });
    expect(boot.start).toEqual({ kind: "machineMode" });
    return new BigUint64Array(boot.maskRom.buffer, 24, 1)[0]!;
  };

  test("an ELF file is run from the start of RAM too, wherever its entry is", () => {
    expect(startOf(testElf(RAM, [{ at: RAM, bytes: [1, 2, 3, 4] }]))).toBe(BigInt(RAM));
    expect(startOf(testElf(RAM + 2, [{ at: RAM, bytes: [1, 2, 3, 4] }]))).toBe(BigInt(RAM));
  });

  test("an ELF file that leaves the start of RAM empty is run from its entry", () => {
    expect(startOf(testElf(0x8020_0001, [{ at: 0x8020_0000, bytes: [1, 2] }]))).toBe(0x8020_0001n);
  });

  test("and so is one with its own header there", () => {
    const header = [0x7f, 0x45, 0x4c, 0x46, 1, 1];
    expect(startOf(testElf(RAM + 4, [{ at: RAM, bytes: header }]))).toBe(BigInt(RAM + 4));
  });

  test("an ELF file with neither code at the start of RAM nor at its entry is refused", () => {
    expect(() => startOf(testElf(0x8030_0000, [{ at: 0x8020_0000, bytes: [1] }]))).toThrow(
      'Kernel "k" begins at 0x80200000 and has its entry at 0x80300000, where it has nothing; ' +
        "without firmware (-bios none) harts start at 0x80000000 or at the entry",
    );
  });

  test("a read-only segment outside RAM, which holds the file's own headers, is left out", () => {
    const bytes = testElf(RAM, [
      { at: 0x1_0000, bytes: [1], flags: 4 },
      { at: RAM, bytes: [2] },
    ]);
    const boot = plan({ firmware: "none", kernel: { name: "k", bytes } });
    expect(placed(boot).filter(([what]) => what === "Kernel")).toEqual([["Kernel", RAM, 1]]);
  });

  test("and so is the page before RAM, where the headers share the program's segment", () => {
    const header = Array.from({ length: 0x1002 }, (_, i) => [0x7f, 0x45, 0x4c, 0x46][i] ?? i & 0x7f);
    const boot = plan({
      firmware: "none",
      kernel: { name: "k", bytes: testElf(RAM, [{ at: RAM - 0x1000, bytes: header }]) },
    });
    const [kernel] = boot.segments(SEED);
    expect(kernel).toMatchObject({ at: RAM, lengthBytes: 2 });
    expect([...kernel!.bytes]).toEqual([0, 1]);
  });

  test("but no program that begins before RAM", () => {
    const code = Array.from({ length: 0x1002 }, () => 1);
    const bytes = testElf(RAM, [{ at: RAM - 0x1000, bytes: code }]);
    expect(() => plan({ firmware: "none", kernel: { name: "k", bytes } })).toThrow("is to be loaded at 0x7ffff000");
  });
});

describe("-dtb", () => {
  test("replaces the board's tree and gets the boot arguments, and a seed only where it has one", () => {
    const root = new DeviceTreeNode();
    root.add("chosen").setString("x", "y");
    const boot = plan({ kernel: image, dtb: { name: "my.dtb", bytes: flattenTree(root) }, commandLine: "quiet" });
    const chosen = parseTree(boot.boardTree(SEED)).root.find("/chosen")!;
    expect([...chosen.properties.keys()]).toEqual(["x", "bootargs"]);
  });

  test("garbage is refused by name", () => {
    expect(() => plan({ dtb: { name: "my.dtb", bytes: new Uint8Array(100) } })).toThrow(
      'Device tree "my.dtb" cannot be used: The file does not begin with the device tree magic',
    );
  });
});

describe("files that cannot be used are refused with what would do", () => {
  const refused = (config: Partial<BootConfig>, memoryBytes?: number): string => {
    try {
      plan(config, memoryBytes);
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  const kernel = (bytes: Uint8Array): Partial<BootConfig> => ({ kernel: { name: "k", bytes } });

  test("an empty kernel", () => {
    expect(refused(kernel(new Uint8Array(0)))).toContain('Kernel "k" cannot be used: The kernel has no Image header');
    expect(refused({ firmware: "none", ...kernel(new Uint8Array(0)) })).toContain("it looks like an empty file");
  });

  test("a kernel for another architecture", () => {
    expect(refused(kernel(testElf(RAM, [{ at: RAM, bytes: [1] }], 62)))).toContain(
      "is for X86_64; one for RiscV would do",
    );
  });

  test("a compressed kernel", () => {
    expect(refused(kernel(Uint8Array.of(0x1f, 0x8b, 8, 0)))).toContain('Kernel "k" is compressed');
  });

  test("an EFI stub that is cut short", () => {
    const whole = asEfiStub(testImage(4096), 4096);
    expect(refused(kernel(whole))).toBe("accepted");
    expect(refused(kernel(whole.subarray(0, 4000)))).toContain("is cut short: it has 4000 bytes of 4096");
  });

  test("an ELF file that is cut short", () => {
    const whole = testElf(RAM, [{ at: RAM, bytes: [1, 2, 3, 4] }]);
    expect(refused(kernel(whole.subarray(0, -1)))).toContain("announces 4 bytes of segment");
  });

  test("an ELF file linked outside RAM", () => {
    expect(refused(kernel(testElf(0x1000, [{ at: 0x1000, bytes: [1] }])))).toContain(
      "is to be loaded at 0x1000, but RAM is from 0x80000000 to 0xa0000000; an image linked for an address in RAM would do",
    );
    expect(refused(kernel(testElf(0, [{ at: 2 ** 53, bytes: [1] }])))).toContain("is linked at 0x20000000000000");
  });

  test("a kernel larger than memory", () => {
    expect(refused(kernel(testImage(64, 40 * MiB)), 32 * MiB)).toContain(
      "needs 40 MiB at 0x80200000, where RAM has 30 MiB left; -m 42M or more would do",
    );
  });

  test("an initrd that does not fit", () => {
    const big = { name: "big.gz", bytes: new Uint8Array(20 * MiB) };
    expect(refused({ kernel: image, initrd: big }, 32 * MiB)).toContain('Initrd "big.gz" needs 20 MiB at 0x81200000');
    expect(refused({ kernel: image, initrd: big }, 16 * MiB)).toContain("more than the machine's memory of 16 MiB");
  });

  test("an initrd that the kernel would overwrite when it clears its memory", () => {
    expect(refused({ ...kernel(testImage(64, 20 * MiB)), initrd }, 32 * MiB)).toContain(
      'occupies 0x80200000 to 0x81600000 and would be overwritten by Initrd "initrd.gz"',
    );
  });

  test("an initrd without a kernel, and an empty one", () => {
    expect(refused({ initrd })).toContain("has no kernel to go with");
    expect(refused({ kernel: image, initrd: { name: "e", bytes: new Uint8Array(0) } })).toBe('Initrd "e" is empty');
  });

  test("empty firmware, and firmware for another architecture", () => {
    expect(refused({ firmware: { name: "f", bytes: new Uint8Array(0) } })).toBe('Firmware "f" is empty');
    const arm = testElf(RAM, [{ at: RAM, bytes: [1] }], 183);
    expect(refused({ firmware: { name: "f", bytes: arm } })).toContain("is for AArch64");
  });

  test("memory too small for the device tree", () => {
    const harts = Array.from({ length: 64 }, (_, id) => ({ id, isa }));
    const board = buildBoardTree({ harts, memoryBytes: 8192, options: plainOptions });
    expect(() => planBoot({ firmware: "default", commandLine: "" }, { base: RAM, lengthBytes: 8192 }, board)).toThrow(
      "Memory of 8192 bytes has no room for a device tree; -m 4M would do",
    );
  });
});
