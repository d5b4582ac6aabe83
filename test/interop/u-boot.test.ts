// Debian's U-Boot on our board: its drivers find what they look for, and it boots a kernel from a virtio disk.
// `npm run matrix` does the same with Debian's kernels.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canMakeDisk, extlinux, makeDisk } from "../support/boot-disk.ts";
import { openSbi, uBoot, type FoundFile } from "../support/firmware-files.ts";

const door = (await import(new URL("../../dist/node.js", import.meta.url).href)) as typeof import("../../src/node.ts");
type Options = Parameters<typeof door.createMachine>[0];
type Machine = Awaited<ReturnType<typeof door.createMachine>>;

/**
 * A kernel that says so, by the SBI's legacy console, and powers off, by SRST. The header is Linux's for riscv
 * (Documentation/arch/riscv/boot-image-header.rst); `li` and `la` take two instructions each.
 *
 *     start: li a7, 1;  la s0, text
 *     1: lbu a0, (s0);  beqz a0, 2f;  ecall;  addi s0, s0, 1;  j 1b
 *     2: li a7, 0x53525354;  li a6, 0;  li a0, 0;  li a1, 0;  ecall;  j .
 *     text: .asciz "kernel entered\n"
 */
const KERNEL = new Uint8Array(
  Uint32Array.from([
    // jump to start; text offset, image size, flags, version, magic numbers
    ...[0x0400006f, 0, 0x200000, 0, 0x1000, 0, 0, 0, 2, 0, 0, 0, 0x43534952, 0x56, 0x05435352, 0],
    ...[0x00100893, 0x00000417, 0x03840413, 0x00044503, 0x00050863, 0x00000073, 0x00140413, 0xff1ff06f],
    ...[0x535258b7, 0x3548889b, 0x00000813, 0x00000513, 0x00000593, 0x00000073, 0x0000006f],
    ...[0x6e72656b, 0x65206c65, 0x7265746e, 0x000a6465],
  ]).buffer,
);

const supervisorElf = uBoot("supervisor", "uboot.elf");
const supervisorBin = uBoot("supervisor", "u-boot.bin");
const machineBin = uBoot("machine", "u-boot.bin");
const firmware = openSbi("fw_dynamic.bin");
const missing = [supervisorElf, supervisorBin, machineBin, firmware].find((file) => "missing" in file);
const reason =
  missing !== undefined && "missing" in missing
    ? `: ${missing.missing}`
    : canMakeDisk()
      ? ""
      : ": Debian's package e2fsprogs is not installed";

function path(file: FoundFile): string {
  return "path" in file ? file.path : "";
}

describe.skipIf(reason !== "")(
  `U-Boot (needs opensbi, u-boot-qemu and e2fsprogs${reason})`,
  { timeout: 180_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "ratite-u-boot-"));
    let disk = "";
    beforeAll(() => {
      disk = makeDisk(folder, {
        kernel: KERNEL,
        initrd: new TextEncoder().encode("an initrd"),
        ...extlinux({ linux: "/kernel", initrd: "/initrd", append: "console=ttyS0" }),
      });
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    /** At its prompt, without the two seconds that it waits for a key. */
    async function atPrompt(options: Options): Promise<Machine> {
      const vm = await door.createMachine({ memory: "256M", drives: [{ image: disk, readOnly: true }], ...options });
      await vm.start();
      await vm.console.expect("Hit any key to stop autoboot");
      await vm.console.write(" ");
      await vm.console.expect("=> ");
      return vm;
    }

    test.each<[string, Options]>([
      ["behind the built-in SBI", { kernel: path(supervisorElf) }],
      [
        "behind OpenSBI, four harts, with IMSICs",
        {
          firmware: { image: path(firmware) },
          kernel: path(supervisorBin),
          cpus: 4,
          boardOptions: { aia: "aplic-imsic" },
        },
      ],
    ])("%s, finds the disk, loads kernel and initrd from ext4 and enters the kernel", async (_name, options) => {
      await using vm = await atPrompt(options);
      await vm.console.write("run distro_bootcmd\n");
      await vm.console.expect("Found /extlinux/extlinux.conf");
      await vm.console.expect("Starting kernel");
      await vm.console.expect("kernel entered");
      expect(await vm.ended).toEqual({ cause: "guest-shutdown", status: 0 });
    });

    test("in machine mode reads the disk and resets the board", async () => {
      await using vm = await atPrompt({ firmware: { image: path(machineBin) }, noReboot: true });
      await vm.console.write("virtio scan; load virtio 0:1 0x84000000 /initrd\n");
      await vm.console.expect("9 bytes read");
      await vm.console.expect("=> ");
      await vm.console.write("reset\n");
      expect(await vm.ended).toEqual({ cause: "guest-reset", status: 0 });
    });
  },
);
