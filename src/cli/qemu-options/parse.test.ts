import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { errorLine } from "../errors.ts";
import type { ProgramPlan } from "../plan.ts";
import { catalogue } from "./known.ts";
import { parseQemuOptions } from "./parse.ts";
import { allOptions, isRefused, workingOptions } from "./table.ts";

/** Splits like a shell without quotes. */
function plan(line: string): ProgramPlan {
  const parsed = parseQemuOptions(line.split(" ").filter((word) => word !== ""));
  if (parsed.kind !== "run") throw new Error(`a plan was expected, not: ${parsed.text}`);
  return parsed.plan;
}

function text(line: string): string {
  const parsed = parseQemuOptions(line.split(" "));
  if (parsed.kind !== "information") throw new Error("a text was expected");
  return parsed.text;
}

function refusal(line: string): string {
  try {
    parseQemuOptions(line.split(" "));
  } catch (error) {
    return errorLine("prog", error);
  }
  return "accepted";
}

describe("the table", () => {
  const qemuNames = readFileSync(new URL("../../../test/fixtures/qemu/option-names-7.2.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const ourNames = allOptions.flatMap(({ name, aliases = [] }) => [name, ...aliases]);

  test.each(qemuNames)("-%s of QEMU works or is refused with a reason", (name) => {
    expect(ourNames).toContain(name);
  });

  const vfioProperties = readFileSync(
    new URL("../../../test/fixtures/qemu/vfio-pci-properties.txt", import.meta.url),
    "utf8",
  )
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

  test.each(vfioProperties)("%s of QEMU's vfio-pci works or is refused with a reason", (name) => {
    const { properties, refusedProperties = {} } = catalogue.deviceTypes.find(
      ({ typeName }) => typeName === "vfio-pci",
    )!;
    if (Object.hasOwn(properties, name)) return;
    expect(refusedProperties[name]).toMatch(/.{15,}/);
    expect(refusal(`-device vfio-pci,host=01:00.0,iommufd=f0,${name}=1`)).toContain(
      `Property 'vfio-pci.${name}' is not supported: `,
    );
  });

  test("no name stands twice", () => {
    expect(ourNames.filter((name, at) => ourNames.indexOf(name) !== at)).toEqual([]);
  });

  test("every working option has an example, and every example starts with a dash", () => {
    expect(workingOptions.filter(({ example }) => example?.startsWith("-") !== true)).toEqual([]);
  });

  test.each(allOptions.filter(isRefused))("-$name says why it is refused", ({ name, argument }) => {
    const message = refusal(argument === "text" ? `-${name} x` : `-${name}`);
    expect(message).toMatch(/^prog: -\S+( x)?: This option is not supported: .{20,}$/);
  });

  test.each(workingOptions)("the example of -$name is taken", ({ name, example = "" }) => {
    // Options that are only allowed with another one.
    const also = ["initrd", "append"].includes(name) && !example.includes("-kernel") ? "-kernel k" : "";
    expect(refusal(`${example.replaceAll(/'([^']*)'/g, "text")} ${also}`.trim())).toBe("accepted");
  });
});

describe("lines that people type", () => {
  test("a direct kernel boot", () => {
    const { machine, warnings } = plan(
      "-M virt -smp 2 -m 512M -nographic -no-reboot -kernel Image-6.12 -initrd initrd.gz -append console=ttyS0",
    );
    expect(machine).toMatchObject({
      board: "virt",
      smp: 2,
      memoryBytes: 512 * 2 ** 20,
      firmware: "default",
      kernel: { subject: "-kernel Image-6.12", path: "Image-6.12" },
      initrd: { path: "initrd.gz" },
      commandLine: "console=ttyS0",
      noReboot: true,
      serials: ["serial0"],
      chardevs: [{ id: "serial0", mux: true, backend: { kind: "stdio", signal: false } }],
    });
    expect(warnings).toEqual([]);
  });

  test("the management form: everything absent said to be absent", () => {
    const { machine, pidFile } = plan(
      "-name guest=vm1 -S -machine virt,usb=off,dump-guest-core=off -accel tcg -m size=1048576k -smp 4,sockets=4,cores=1,threads=1 -uuid 9F4F2F1E-8f0e-4f57-8e0c-2a4a4b1d7f11 -display none -audio none -nodefaults -no-user-config -net none -monitor none -rtc base=utc -no-shutdown -pidfile p",
    );
    expect(machine).toMatchObject({
      name: "vm1",
      uuid: "9f4f2f1e-8f0e-4f57-8e0c-2a4a4b1d7f11",
      memoryBytes: 2 ** 30,
      smp: 4,
      startPaused: true,
      noShutdown: true,
      serials: [],
      boardOptions: {},
    });
    expect(pidFile).toEqual({ subject: "-pidfile p", path: "p" });
  });

  test("-drive if=virtio plugs the disk in, if=none leaves it to -device", () => {
    const { machine } = plan(
      "-drive file=a.img,format=raw,if=virtio -drive file=b.img,format=raw,if=none,id=b,readonly=on -device virtio-blk,drive=b",
    );
    expect(machine.devices).toEqual([
      { driver: "virtio-blk-pci", properties: { drive: "virtio0" }, subject: "-drive file=a.img,format=raw,if=virtio" },
      { driver: "virtio-blk-pci", properties: { drive: "b" }, subject: "-device virtio-blk,drive=b" },
    ]);
    expect(machine.blockNodes).toMatchObject([
      { nodeName: "virtio0", image: "a.img", readOnly: false },
      { nodeName: "b", image: "b.img", readOnly: true },
    ]);
  });

  test("-blockdev: a raw node over a file node, by name and in JSON", () => {
    const { machine } = plan(
      '-blockdev driver=file,node-name=f,filename=d.img -blockdev driver=raw,node-name=d,file=f,read-only=on -blockdev {"driver":"raw","node-name":"j","file":{"driver":"file","filename":"j.img"}}',
    );
    expect(machine.blockNodes).toMatchObject([
      { nodeName: "f", image: "d.img", readOnly: false },
      { nodeName: "d", image: "d.img", readOnly: true },
      { nodeName: "j", image: "j.img" },
    ]);
  });

  test("dumpdtb is a request, not a property of the board", () => {
    const { machine, dumpDeviceTree } = plan("-M virt,dumpdtb=x.dtb -smp 2 -m 1G");
    expect(dumpDeviceTree?.path).toBe("x.dtb");
    expect(machine.boardOptions).toEqual({});
  });

  test("a socket for the serial port", () => {
    const { machine } = plan("-chardev socket,id=c,path=/tmp/s,server=on,wait=off -serial chardev:c");
    expect(machine.serials).toEqual(["c"]);
    expect(machine.chardevs[0]?.backend).toEqual({
      kind: "socket",
      address: { kind: "unix", path: "/tmp/s" },
      server: true,
      wait: false,
      noDelay: false,
    });
  });

  test.each([
    ["-serial tcp::4444,server=on,wait=off", { kind: "tcp", host: "0.0.0.0", port: 4444 }],
    ["-serial tcp:[::1]:4444", { kind: "tcp", host: "::1", port: 4444 }],
    ["-serial unix:/tmp/a,server=on", { kind: "unix", path: "/tmp/a" }],
    ["-chardev socket,id=c,port=80 -serial chardev:c", { kind: "tcp", host: "localhost", port: 80 }],
  ])("%s", (line, address) => {
    expect(plan(line).machine.chardevs[0]?.backend).toMatchObject({ kind: "socket", address });
  });

  test("-action is another spelling of -no-reboot and -no-shutdown", () => {
    const { machine } = plan("-action reboot=shutdown,shutdown=pause");
    expect([machine.noReboot, machine.noShutdown]).toEqual([true, true]);
  });

  test("-rtc takes a moment", () => {
    expect(plan("-rtc base=2026-01-01T00:00:00,clock=vm").machine.rtc).toEqual({
      base: 1767225600000000000n,
      clock: "vm",
    });
  });

  test("without a word about the serial port it is on the terminal, with -display none it is not", () => {
    expect(plan("-m 64M").machine.serials).toEqual(["serial0"]);
    expect(plan("-display none").machine.serials).toEqual([]);
    expect(plan("-nodefaults").machine.serials).toEqual([]);
    expect(plan("-serial none").machine.serials).toEqual([undefined]);
  });

  test("in the mux Ctrl-C belongs to the guest, on plain stdio it ends the program", () => {
    expect(plan("-serial mon:stdio").machine.chardevs[0]?.backend).toEqual({ kind: "stdio", signal: false });
    expect(plan("-serial stdio").machine.chardevs[0]?.backend).toEqual({ kind: "stdio", signal: true });
    expect(plan("-chardev stdio,id=a,mux=on -serial chardev:a").machine.chardevs[0]?.backend).toEqual({
      kind: "stdio",
      signal: false,
    });
  });
});

describe("lines that are refused", () => {
  test.each([
    // Lines that QEMU 11 takes and that need what is not here yet.
    [
      "-netdev user,id=n0 -device virtio-net-device,netdev=n0",
      "-netdev user,id=n0: This option is not supported: Ratite has no network yet",
    ],
    ["-M virt,pflash0=pf0,pflash1=pf1", "Parameter 'pflash0' is not supported: the board has no flash yet"],
    ["-icount shift=0,rr=record,rrfile=rr.bin", "runs are not recorded yet"],
    ["-tpmdev emulator,id=t,chardev=c", "Ratite has no TPM yet"],
    ["-vnc :0", "prog: -vnc :0: This option is not supported: Ratite has no display yet; use -nographic"],
    ["-display gtk", "prog: -display gtk: Ratite has no display yet; use -display none"],
    ["-accel kvm", "Accelerator 'kvm' is not supported: riscv64 guests are translated here"],
    ["-device virtio-blk-pci-transitional", "the legacy interface is not offered; virtio-blk-pci would do"],
    ["-drive file=a.qcow2,format=qcow2,if=virtio", "Parameter 'format=qcow2' is not supported: only raw images"],
    ["-drive file=a,format=raw,if=ide", "Parameter 'if=ide' is not supported: the board has no ide controller"],
    ["-drive file=a,format=raw,if=virtio,cache=none", "Parameter 'cache=none' is not supported"],
    ["-object iommufd,id=f0", 'iommufd "f0": an iommufd object of this machine\'s kernel is not implemented yet'],
    ["-object iommufd,id=f0,host=/dev/iommu", "is not implemented yet; host=software:FILE takes a host description"],
    ["-object iommufd,id=f0,fd=7", "Parameter 'fd' is not supported: an iommufd object of this machine's kernel"],
    ["-object iommufd,host=software:h.json", "Parameter 'id' is missing"],
    ["-object iommufd,id=f0,host=software:h.json,mode=x", "mode"],
    ["-object rng-random,id=r", "Object type 'rng-random' is not supported: the host's random bytes"],
    ["-device vfio-pci,host=01:00.0,iommufd=f0,fd=9", "Property 'vfio-pci.fd' is not supported: this program opens"],
    ["-device vfio-pci,host=01:00.0,iommufd=f0,x-vag=on", "Property 'vfio-pci.x-vag' not found"],
    ["-chardev pty,id=p", "Character device 'pty' is not supported: Node cannot make pseudo-terminals"],
    ["-chardev socket,id=s,path=p,reconnect=1", "Parameter 'reconnect' is not supported"],
    ["-serial pty", "Character device 'pty' is not supported"],
    ["-serial telnet:localhost:1", "'telnet' is not supported: the Telnet protocol is not spoken"],
    ["-m 1G,maxmem=2G", "Parameter 'maxmem' is not supported: memory cannot be plugged in later"],
    ["-smp 2,maxcpus=4", "Parameter 'maxcpus=4' is not supported: CPUs cannot be plugged in later"],
    ["-serial mon:stdio -monitor stdio", "cannot use stdio by multiple character devices"],
    ["-mon m0", "There is no chardev 'm0'"],
    ["-chardev null,id=m0 -mon m0,pretty=on", "'pretty' is for mode=control"],
    ["-chardev null,id=m0 -mon m0 -serial chardev:m0", "Character device 'm0' is in use by -serial"],
    ["-mon m0,mode=control", "There is no chardev 'm0'"],
    ["-serial null -qmp chardev:serial0 -qmp chardev:serial0", "Character device 'serial0' is in use by -serial"],
    // Mistakes.
    ["-foo", "prog: -foo: invalid option"],
    ["-device __proto__", "__proto__"],
    ["-m", "prog: -m: requires an argument"],
    ["-m 1X", "prog: -m 1X: Parameter 'size' expects a size"],
    ["-m 0", "A machine needs RAM"],
    ["-smp 0", "Parameter 'cpus' expects an integer from 1 to 512"],
    ["-smp 4,sockets=3", "Invalid CPU topology"],
    ["-smp 2,foo=1", "Invalid parameter 'foo'"],
    ["-M foo", "unsupported machine type"],
    ["-cpu foo", "unable to find CPU model 'foo'"],
    ["-cpu rv64,vlen=128", "Parameter 'vlen' expects 'on' or 'off'"],
    ["-cpu rv64,xyzzy=on", 'prog: -cpu rv64,xyzzy=on: CPU "rv64" has no property "xyzzy"'],
    ["-accel foo", "invalid accelerator foo"],
    ["-device foo", "prog: -device foo: 'foo' is not a valid device model name"],
    ["-device virtio-blk-device,foo=1", "Property 'virtio-blk-device.foo' not found"],
    ["-device virtio-blk-device", "drive property not set"],
    ["-device virtio-blk-device,drive=nope", "Property 'virtio-blk-device.drive' can't find value 'nope'"],
    [
      "-drive file=a,if=none,id=d -device virtio-blk-device,drive=d -device virtio-blk-device,drive=d",
      "already in use",
    ],
    ["-drive if=virtio", "Parameter 'file' is missing"],
    ["-drive file=x,format=raw", "if=virtio would do"],
    ["-drive file=x,format=raw,if=virtio,foo=1", "Invalid parameter 'foo'"],
    ["-drive file=x,if=none,id=a -drive file=x,if=none,id=a", "Duplicate ID or node name 'a'"],
    ["-blockdev driver=raw,node-name=a,file=b", "Cannot find node-name 'b'"],
    ["-blockdev driver=raw,node-name=a,file=a", "Cannot find node-name 'a'"],
    ["-blockdev driver=file,node-name=a", "Parameter 'filename' is missing"],
    ["-chardev stdio", "chardev: no id specified"],
    ["-chardev foo,id=x", "'foo' is not a valid char driver name"],
    ["-chardev null,id=x -chardev null,id=x", "Duplicate ID 'x' for chardev"],
    ["-chardev ringbuf,id=x,size=3", "Parameter 'size' expects"],
    ["-serial chardev:nope", "There is no chardev 'nope'"],
    ["-serial stdio -serial stdio", "The board has one serial port"],
    ["-nographic -chardev stdio,id=a", "cannot use stdio by multiple character devices"],
    ["-uuid foo", "failed to parse UUID string: wrong format"],
    ["-rtc base=2026-02-30", "invalid datetime format '2026-02-30'"],
    ["-append x", "prog: -append x: only allowed with -kernel option"],
    ["-initrd x", "only allowed with -kernel option"],
    ["disk.img", "prog: disk.img: A disk without an option would be an IDE disk"],
  ])("%s", (line, expected) => {
    expect(refusal(line)).toContain(expected);
  });
});

describe("accelerators", () => {
  test.each([
    ["-accel jit", { tier: "jit", cacheBytes: 128 << 20 }],
    ["-accel kvm:interpreter", { tier: "interpreter", cacheBytes: 128 << 20 }],
    ["-accel jit,tb-size=64", { tier: "jit", cacheBytes: 64 << 20 }],
    ["-accel jit,one-insn-per-tb=on", { tier: "interpreter", cacheBytes: 128 << 20 }],
    ["-accel interpreter,tb-size=0", { tier: "interpreter", cacheBytes: 128 << 20 }],
    ["-accel kvm -accel jit,tb-size=32 -accel interpreter", { tier: "jit", cacheBytes: 32 << 20 }],
    ["-machine virt,accel=kvm:jit", { tier: "jit", cacheBytes: 128 << 20 }],
  ])("%s", (line, accelerator) => {
    expect(plan(line).machine.accelerator).toEqual(accelerator);
  });

  test.each([
    ["-accel jit,tb-size=1025", "Parameter 'tb-size' expects an integer from 0 to 1024"],
    ["-accel jit,tb-size=all", "prog: -accel jit,tb-size=all: Parameter 'tb-size' expects"],
    ["-accel tcg,one-insn-per-tb=maybe", "Parameter 'one-insn-per-tb' expects 'on' or 'off'"],
    ["-accel tcg,thread=multi", "Parameter 'thread=multi' is not supported: harts share one thread"],
    ["-accel kvm -accel foo", "prog: -accel kvm: Accelerator 'kvm' is not supported"],
    ["-accel tcg -machine accel=tcg", 'The -accel and "-machine accel=" options are incompatible'],
  ])("%s is refused", (line, expected) => {
    expect(refusal(line)).toContain(expected);
  });
});

describe("information", () => {
  test("-M help, -cpu help, -chardev help, -accel help and -device help list what there is", () => {
    expect(text("-M help")).toContain("virt ");
    expect(text("-cpu help")).toContain("rv64 ");
    expect(text("-chardev help")).toContain("ringbuf ");
    expect(text("-accel help")).toContain("tcg");
    expect(text("-device help")).toContain('name "virtio-blk-device", bus virtio-bus');
  });

  test("-device X,help lists the properties with types and defaults", () => {
    expect(text("-device virtio-blk-device,help")).toMatch(/^virtio-blk-device options:\n {2}.*drive=</s);
  });

  test("-version comes before anything is opened", () => {
    expect(text("-kernel /nonexistent -version")).toMatch(/^Ratite emulator version \d+\.\d+\.\d+ /);
  });

  test("-help has every working option, and no line is wider than a terminal unless it is a synopsis", () => {
    const help = text("-help");
    expect(workingOptions.filter(({ name }) => !help.includes(`\n-${name}`))).toEqual([]);
    expect(help.split("\n").filter((line) => line.startsWith("        ") && line.length > 110)).toEqual([]);
  });
});

describe("-fw_cfg", () => {
  test("a text or a file, by name", () => {
    const { machine, warnings } = plan("-fw_cfg opt/a,string=hello -fw_cfg name=opt/b,file=b.bin");
    expect(machine.fwCfg).toEqual([
      {
        name: "opt/a",
        content: { subject: "-fw_cfg opt/a,string=hello", name: "opt/a", bytes: new TextEncoder().encode("hello") },
      },
      { name: "opt/b", content: { subject: "-fw_cfg name=opt/b,file=b.bin", path: "b.bin" } },
    ]);
    expect(warnings).toEqual([]);
  });

  test("names outside opt/ are warned of", () => {
    expect(plan("-fw_cfg etc/x,string=y").warnings).toEqual([
      '-fw_cfg etc/x,string=y: externally provided fw_cfg item names should be prefixed with "opt/"',
    ]);
  });

  test.each([
    ["opt/a", "name, plus exactly one of file and string, are needed"],
    ["opt/a,file=x,string=y", "name, plus exactly one of file and string, are needed"],
    ["string=y", "name, plus exactly one of file and string, are needed"],
    ["opt/a,gen_id=x", "Parameter 'gen_id' is not supported: no object makes such content; use file= or string="],
  ])("-fw_cfg %s is refused", (argument, message) => {
    expect(refusal(`-fw_cfg ${argument}`)).toBe(`prog: -fw_cfg ${argument}: ${message}`);
  });
});

describe("-icount, -seed, -rtc", () => {
  test("the shift alone, as QEMU's implied parameter, in any C notation", () => {
    expect(plan("-icount 0x3").machine.icount).toEqual({ shift: 3, align: false, sleep: true });
    expect(plan("-icount shift=auto").machine.icount).toEqual({ shift: "auto", align: false, sleep: true });
    expect(plan("-icount 1,sleep=off").machine.icount).toEqual({ shift: 1, align: false, sleep: false });
  });

  test.each([
    ["shift=11", "icount: Invalid shift value; 0 to 10 or auto would do"],
    ["shift=x", "icount: Invalid shift value; 0 to 10 or auto would do"],
    ["shift=-1", "icount: Invalid shift value; 0 to 10 or auto would do"],
    ["align=on", "Please specify shift option when using align"],
    ["sleep=off", "Please specify shift option when using sleep"],
    ["shift=1,align=on,sleep=off", "align=on and sleep=off are incompatible"],
    ["shift=auto,sleep=off", "shift=auto and sleep=off are incompatible"],
    ["shift=auto,align=on", "shift=auto and align=on are incompatible"],
    ["shift=0,align=maybe", "Parameter 'align' expects 'on' or 'off'; given was 'maybe'"],
  ])("-icount %s is refused", (argument, message) => {
    expect(refusal(`-icount ${argument}`)).toBe(`prog: -icount ${argument}: ${message}`);
  });

  test("record and replay are refused with what would do", () => {
    expect(refusal("-icount shift=0,rr=record,rrfile=x")).toContain("'rr' is not supported: runs are not recorded yet");
  });

  test("a seed is an unsigned 64-bit number", () => {
    expect(plan("-seed 0xffffffffffffffff").machine.seed).toBe(0xffff_ffff_ffff_ffffn);
    expect(refusal("-seed 18446744073709551616")).toBe(
      "prog: -seed 18446744073709551616: Invalid seed number: 18446744073709551616",
    );
    expect(refusal("-seed -1")).toBe("prog: -seed -1: Invalid seed number: -1");
  });

  test("a fixed shift takes nothing from the host that was not asked for", () => {
    const repeatable = { base: 1_798_761_600_000_000_000n, clock: "vm" };
    expect(plan("-icount shift=0").machine).toMatchObject({ seed: 0n, rtc: repeatable });
    expect(plan("-icount shift=0 -seed 7 -rtc base=utc").machine).toMatchObject({
      seed: 7n,
      rtc: { base: "utc", clock: "vm" },
    });
    expect(plan("-icount shift=auto").machine).toMatchObject({ rtc: { base: "utc", clock: "host" } });
    expect(plan("").machine.seed).toBe(undefined);
  });
});
