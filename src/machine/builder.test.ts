import { describe, expect, test } from "vitest";
import type { VcpuExit } from "../accel/port.ts";
import type { CharBackend } from "../chardev/port.ts";
import { parseTree } from "../format/index.ts";
import type { CpuBus, World } from "../memory/index.ts";
import { buildMachine } from "./builder.ts";
import type { VirtualMachine } from "./machine.ts";
import type { HartPlanner, HartSurroundings, MachineConfig, MachineHost, RunState } from "./port.ts";
import { FakeHart } from "./testing/fake-hart.ts";
import { testImage } from "./testing/test-images.ts";

const FINISHER = 0x10_0000;
const UART = 0x1000_0000;
const KERNEL = 0x8020_0000;

/** What a hart does in one turn, with its bus. */
type Script = (bus: CpuBus, hart: FakeHart) => VcpuExit;

class Bench {
  readonly harts: FakeHart[] = [];
  readonly console = new TestConsole();
  readonly states: RunState[] = [];
  readonly config: MachineConfig;
  readonly host: MachineHost;
  readonly machine: VirtualMachine;
  world!: World;
  surroundings!: HartSurroundings;
  hostNs = 0;
  #seeds = 0;

  constructor(script: Script, config: Partial<MachineConfig> = {}, host: Partial<MachineHost> = {}) {
    this.config = {
      board: "virt",
      boardOptions: {},
      cpu: { model: "rv64", features: {} },
      smp: 1,
      memoryBytes: 32 << 20,
      firmware: "default",
      kernel: { name: "Image", bytes: testImage(0x1000) },
      commandLine: "",
      serials: ["serial0"],
      devices: [],
      noReboot: false,
      noShutdown: false,
      startPaused: false,
      rtc: { base: 0n, clock: "vm" },
      ...config,
    };
    const clock = { nowNs: () => (this.hostNs += 1000) };
    this.host = {
      clock,
      wallClock: { nowUnixNs: () => 0n },
      timers: { clock, create: () => ({ arm: () => undefined, disarm: () => undefined, deadlineNs: undefined }) },
      rng: { fill: (bytes) => void bytes.fill(++this.#seeds) },
      trace: { guestError: () => undefined },
      yield: {
        turn: () => new Promise((resolve) => setImmediate(resolve)),
        sleep: () => new Promise((resolve) => setImmediate(resolve)),
        wake: () => undefined,
      },
      chardevs: new Map([["serial0", this.console]]),
      blockNodes: new Map(),
      ...host,
    };
    const planHarts: HartPlanner = (_plan, configs) => ({
      create: (world, surroundings) => {
        this.world = world;
        this.surroundings = surroundings;
        const bus = surroundings.bus("hart");
        this.harts.push(...configs.map(({ hartId }) => new FakeHart(hartId, { run: (hart) => script(bus, hart) })));
        return this.harts;
      },
    });
    this.machine = buildMachine(this.config, this.host, planHarts);
    this.machine.observe({ runState: (state) => this.states.push(state) });
  }

  /** A guest-physical word, as a hart loads it. */
  word(gpa: number): number {
    return this.#load(gpa, 4);
  }

  byte(gpa: number): number {
    return this.#load(gpa, 1);
  }

  #load(gpa: number, width: 1 | 4): number {
    const bus = this.surroundings.bus("test");
    bus.load(gpa, width);
    return bus.low;
  }
}

class TestConsole implements CharBackend {
  readonly label = "serial0";
  text = "";
  attached = false;

  write(bytes: Uint8Array): number {
    this.text += String.fromCharCode(...bytes);
    return bytes.length;
  }
  attach(front: unknown): void {
    this.attached = front !== undefined;
  }
  frontReady(): void {}
  close(): void {}
}

function finish(value: number): Script {
  return (bus) => {
    bus.store(FINISHER, 4, value, 0);
    return "kicked";
  };
}
const idle: Script = () => "budget";

describe("how a machine ends", () => {
  test("power off by the finisher is status 0", async () => {
    const bench = new Bench(finish(0x5555));
    bench.machine.start();
    expect(await bench.machine.ended).toEqual({ cause: "guest-shutdown", status: 0 });
    expect(bench.states).toEqual(["running", "shutdown"]);
  });

  test("failure n by the finisher is status n", async () => {
    const bench = new Bench(finish(0x0007_3333));
    bench.machine.start();
    expect(await bench.machine.ended).toEqual({ cause: "guest-panic", status: 7 });
  });

  test("shutdown for a failure by SBI is its status", async () => {
    const bench = new Bench((_bus, hart) => {
      hart.setX(10, 0n);
      hart.setX(11, 1n);
      hart.setX(16, 0n);
      hart.setX(17, 0x53525354n);
      bench.surroundings.firmware()!.machineTrap(hart, 9n, 0n);
      return "stopped";
    });
    bench.machine.start();
    expect(await bench.machine.ended).toEqual({ cause: "guest-panic", status: 1 });
  });

  test("what the guest has printed is out before the end", async () => {
    const bench = new Bench((bus) => {
      for (const byte of [104, 105]) bus.store(UART, 1, byte, 0);
      bus.store(FINISHER, 4, 0x5555, 0);
      return "kicked";
    });
    bench.machine.start();
    await bench.machine.ended;
    expect(bench.console.text).toBe("hi");
  });

  test("with noShutdown it stays in shutdown, and only a reset leads on", async () => {
    const bench = new Bench(finish(0x5555), { noShutdown: true });
    bench.machine.start();
    while (bench.machine.runState === "running") await bench.host.yield.turn();
    expect(() => bench.machine.start()).toThrow('A machine in state "shutdown" cannot go on; a reset would do');
    bench.machine.reset();
    expect(bench.machine.runState).toBe("prelaunch");
    bench.machine.start();
    expect(bench.machine.runState).toBe("running");
    await bench.machine.close();
  });

  test("quit ends it from outside, and nothing starts it again", async () => {
    const bench = new Bench(idle);
    bench.machine.start();
    bench.machine.quit("host-signal");
    expect(await bench.machine.ended).toEqual({ cause: "host-signal", status: 0 });
    expect(() => bench.machine.start()).toThrow("The machine has ended (host-signal); a new one would do");
  });

  test("our own mistake stops it and says where", async () => {
    const bench = new Bench(() => {
      throw new Error("an invariant");
    });
    bench.machine.start();
    const exit = await bench.machine.ended;
    expect(exit).toMatchObject({ cause: "internal-error", status: 1 });
    expect(exit.message).toContain("an invariant");
    expect(bench.machine.runState).toBe("internal-error");
  });

  test("closing gives the console back and may be done twice", async () => {
    const bench = new Bench(idle);
    bench.machine.start();
    await bench.machine.close();
    await bench.machine.close();
    expect(bench.machine.runState).toBe("shutdown");
  });
});

describe("stop and start", () => {
  test("no hart runs after stop, and guest time stands still", async () => {
    let runs = 0;
    const bench = new Bench(() => {
      runs++;
      return "budget";
    });
    bench.machine.start();
    while (bench.harts[0]!.executed === 0) await bench.host.yield.turn();
    await bench.machine.stop();
    const before = { runs, ticks: bench.surroundings.timebase.ticks() };
    bench.hostNs += 1e9;
    await bench.host.yield.turn();
    expect({ runs, ticks: bench.surroundings.timebase.ticks() }).toEqual(before);
    expect(bench.machine.runState).toBe("paused");
    bench.machine.start();
    while (runs === before.runs) await bench.host.yield.turn();
    await bench.machine.close();
    expect(bench.states).toEqual(["running", "paused", "running", "shutdown"]);
  });

  test("a machine with nothing to run says so at start, not before", () => {
    const { kernel: _kernel, ...config } = new Bench(idle).config;
    const bench = new Bench(idle, { ...config, kernel: undefined } as unknown as MachineConfig);
    expect(bench.machine.boardDeviceTree.length).toBeGreaterThan(1000);
    expect(() => bench.machine.start()).toThrow("There is nothing to start; -kernel FILE or -bios FILE would do");
  });
});

describe("reset", () => {
  test("by the guest writes the images again, with a new seed, and leaves other memory alone", async () => {
    const seeds: Uint8Array[] = [];
    let turn = 0;
    const bench = new Bench((bus) => {
      seeds.push(parseTree(bench.machine.boardDeviceTree).root.find("/chosen")!.properties.get("rng-seed")!);
      if (turn++ === 0) {
        bus.store(KERNEL + 48, 4, 0, 0);
        bus.store(0x8180_0000, 4, 0xabcd, 0);
        bus.store(FINISHER, 4, 0x7777, 0);
      } else {
        bus.store(FINISHER, 4, 0x5555, 0);
      }
      return "kicked";
    });
    bench.machine.start();
    await bench.machine.ended;
    expect(bench.word(KERNEL + 48)).toBe(0x43534952);
    expect(bench.word(0x8180_0000)).toBe(0xabcd);
    expect(seeds[0]![0]).not.toBe(seeds[1]![0]);
    expect(bench.harts[0]!.calls.filter((call) => call === "reset")).toHaveLength(2);
    expect(bench.states).toEqual(["running", "shutdown"]);
  });

  test("puts devices back", async () => {
    const bench = new Bench((bus) => {
      bus.store(UART + 7, 1, 0x5a, 0);
      return "budget";
    });
    bench.machine.start();
    while (bench.harts[0]!.executed === 0) await bench.host.yield.turn();
    await bench.machine.stop();
    bench.machine.reset();
    expect(bench.byte(UART + 7)).toBe(0);
    await bench.machine.close();
  });

  test("with noReboot ends the machine instead", async () => {
    const bench = new Bench(finish(0x7777), { noReboot: true });
    bench.machine.start();
    expect(await bench.machine.ended).toEqual({ cause: "guest-reset", status: 0 });
  });
});

describe("the board", () => {
  test("enters the kernel on hart 0 with the guest's device tree in RAM", () => {
    const { harts, world } = new Bench(idle, { smp: 2 });
    expect(harts.map(({ started }) => started)).toEqual([true, false]);
    expect(harts[0]!.pc).toBe(BigInt(KERNEL));
    const ram = world.blocks.find(({ name }) => name === "virt.ram")!;
    const tree = parseTree(ram.bytes.subarray(Number(harts[0]!.x(11)) - 0x8000_0000)).root;
    expect(tree.find("/soc/interrupt-controller@c000000")!.getU32s("interrupts-extended")![1]).toBe(0xffffffff);
  });

  test("without firmware starts every hart in the mask ROM", () => {
    const bench = new Bench(idle, { smp: 2, firmware: "none", kernel: { name: "raw", bytes: new Uint8Array(4) } });
    expect(bench.harts.map(({ started, pc }) => [started, pc])).toEqual([
      [true, 0x1000n],
      [true, 0x1000n],
    ]);
    expect([bench.word(0x1000), bench.word(0x1018)]).toEqual([0x297, 0x8000_0000]);
    expect(bench.surroundings.firmware()).toBeUndefined();
  });

  test("has its devices at QEMU's addresses, each with saved state", () => {
    const bench = new Bench(idle);
    // LSR of an idle UART, "virt" of an empty slot, the PLIC's first enable word, the CLINT's msip.
    expect(bench.byte(UART + 5)).toBe(0x60);
    expect(bench.word(0x1000_8000)).toBe(0x74726976);
    expect(bench.word(0xc00_2000)).toBe(0);
    expect(bench.word(0x200_0000)).toBe(0);
    expect([...bench.machine.saveables.keys()]).toEqual([
      ...["mswi", "mtimer", "plic", "hart0", "fw-cfg", "pcie", "test", "rtc", "uart"],
      ...Array.from({ length: 8 }, (_, slot) => `virtio-mmio.${slot}`),
      "sbi",
    ]);
  });

  test("has a PCI host bridge, and windows that read ones where no BAR is", () => {
    const bench = new Bench(idle);
    expect(bench.word(0x3000_0000)).toBe(0x0008_1b36);
    expect(bench.word(0x3000_8000)).toBe(0xffff_ffff);
    for (const address of [0x300_0000, 0x300_fffc, 0x4000_0000, 0x7fff_fffc, 0x4_0000_0000, 0x7_ffff_fffc]) {
      expect(bench.word(address)).toBe(0xffff_ffff);
    }
  });

  test("drives the harts' interrupts", () => {
    const bench = new Bench(idle, { smp: 2 });
    bench.surroundings.bus("test").store(0x200_0004, 4, 1, 0);
    expect([...bench.harts[1]!.irqs]).toEqual([3]);
    bench.surroundings.bus("test").store(0x200_0004, 4, 0, 0);
    expect([...bench.harts[1]!.irqs]).toEqual([]);
  });

  test("shows the time that -rtc says", () => {
    const bench = new Bench(idle, { rtc: { base: 0x1_2345_6789n, clock: "vm" } });
    expect(bench.word(0x10_1000)).toBe(0x2345_6789);
    expect(bench.word(0x10_1004)).toBe(1);
  });
});

describe("what the board does not have is refused by name", () => {
  const refusal = (config: Partial<MachineConfig>, host: Partial<MachineHost> = {}): string => {
    try {
      void new Bench(idle, config, host);
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`;
    }
    return "accepted";
  };

  test("another board, another property, another value", () => {
    expect(refusal({ board: "sifive_u" })).toBe(
      'MachineError[unknownBoard]: There is no board "sifive_u"; known are virt, virt-1.0',
    );
    expect(refusal({ boardOptions: { foo: "1" } })).toContain('Board "virt" has no property "foo"; known are aclint');
    expect(refusal({ boardOptions: { aia: "plic" } })).toContain(
      `"aia" does not accept this value; 'none', 'aplic' or 'aplic-imsic' would do`,
    );
    expect(refusal({ boardOptions: { aclint: "maybe" } })).toContain("\"aclint\" expects 'on' or 'off'");
    expect(refusal({ boardOptions: { "aia-guests": "1" } })).toContain('"aia-guests" must be "0"');
    expect(refusal({ boardOptions: { aia: "none", acpi: "off" } })).toBe("accepted");
  });

  test("too many harts, no memory", () => {
    expect(refusal({ smp: 513 })).toContain("cannot have 513 harts; 1 to 512 would do");
    expect(refusal({ smp: 0 })).toContain("cannot have 0 harts");
    expect(refusal({ memoryBytes: 0 })).toContain("cannot have 0 bytes of memory");
    expect(refusal({ memoryBytes: 5000 })).toContain("MemoryError[badLength]");
  });

  test("a device that nobody makes here", () => {
    const devices = [{ driver: "e1000e", properties: {} }];
    expect(refusal({ devices })).toContain('There is no device "e1000e" for this board; known are virtio-blk-device');
  });

  test("an id given twice, a port without a bus for it", () => {
    const rng = { driver: "virtio-rng-device", id: "r", properties: {} };
    expect(refusal({ devices: [rng, rng] })).toContain('Id "r" of "virtio-rng-device" is used by another device');
    const port = { driver: "virtconsole", properties: {} };
    expect(refusal({ devices: [port] })).toContain("a virtio-serial-device before it would do");
    const serial = { driver: "virtio-serial-device", id: "vs", properties: {} };
    expect(refusal({ devices: [serial, port] })).toBe("accepted");
    expect(refusal({ devices: [serial, { ...port, properties: { bus: "vs.0" } }] })).toBe("accepted");
    expect(refusal({ devices: [serial, { ...port, properties: { bus: "x.0" } }] })).toContain('no bus "x.0"');
  });

  test("a back end that is in use", () => {
    const serial = { driver: "virtio-serial-device", properties: {} };
    const port = { driver: "virtconsole", properties: { chardev: "serial0" } };
    expect(refusal({ devices: [serial, port] })).toContain(
      'chardev "serial0" for "virtconsole" is in use by "serial0"',
    );
  });

  test("a back end that does not exist", () => {
    expect(refusal({ serials: ["nope"] })).toContain('There is no chardev "nope" for "serial0"; known are serial0');
    const devices = [{ driver: "virtio-blk-device", properties: { drive: "d0" } }];
    expect(refusal({ devices })).toContain('There is no block node "d0" for "virtio-blk-device.7"; there is none');
  });

  test("a second serial port", () => {
    expect(refusal({ serials: ["serial0", undefined] })).toContain(
      "The board has one serial port, and 2 are configured",
    );
  });

  test("local time where the host does not tell its zone", () => {
    expect(refusal({ rtc: { base: "localtime", clock: "host" } })).toContain("does not tell its time zone");
    expect(refusal({ rtc: { base: "localtime", clock: "host" } }, { localTimeOffsetNs: 0n })).toBe("accepted");
  });

  test("and what was opened before is closed", () => {
    const console = new TestConsole();
    const chardevs = new Map([["serial0", console]]);
    const dtb = { name: "x", bytes: new Uint8Array(4) };
    expect(refusal({ dtb }, { chardevs })).toContain('Device tree "x" cannot be used');
    expect(console.attached).toBe(false);
  });
});
