import { describe, expect, test } from "vitest";
import { ManualTimers } from "../../../base/index.ts";
import { DmaStatus, type DmaPort } from "../../../memory/port.ts";
import { HartIrq } from "../../../target/riscv/port.ts";
import type { GuestRequest } from "../../guest-request.ts";
import { FakeHart } from "../../testing/fake-hart.ts";
import { Csr } from "./csr.ts";
import { BuiltInSbi } from "./sbi.ts";
import { ALL_ONES, Eid, LegacyCall, SbiError } from "./spec.ts";

const RAM_BASE = 0x8000_0000;
const RAM_BYTES = 0x1_0000;
const ECALL_AT = 0xffff_ffff_8000_0100n;

class TestBoard {
  readonly harts: FakeHart[];
  readonly time = new ManualTimers();
  readonly ram = new Uint8Array(RAM_BYTES);
  readonly sent: number[] = [];
  received: number[] = [];
  consoleRoom = Infinity;
  readonly requests: GuestRequest[] = [];
  readonly sbi: BuiltInSbi;

  constructor({ harts = 4, extensions = ["i", "sstc"] }: { harts?: number; extensions?: readonly string[] } = {}) {
    this.harts = Array.from({ length: harts }, (_, id) => new FakeHart(id, { extensions }));
    this.sbi = new BuiltInSbi({
      harts: this.harts,
      timers: this.time,
      timebase: { frequencyHz: 10_000_000, ticks: () => Math.floor(this.time.clock.nowNs() / 100) },
      memory: this.#memory(),
      console: {
        put: (byte) => this.sent.length < this.consoleRoom && this.sent.push(byte) > 0,
        get: () => this.received.shift(),
      },
      request: (request) => this.requests.push(request),
    });
    this.sbi.boot(0x8020_0000n, 0x8fe0_0000n);
    for (const hart of this.harts) hart.calls.length = 0;
  }

  /** Makes hart 0 (or `from`) call; returns a0 and a1 as signed numbers. */
  call(eid: number | bigint, functionId: number, args: readonly (number | bigint)[] = [], from = 0): [bigint, bigint] {
    const hart = this.harts[from]!;
    args.forEach((arg, i) => hart.setX(10 + i, BigInt.asUintN(64, BigInt(arg))));
    hart.setX(16, BigInt(functionId));
    hart.setX(17, BigInt(eid));
    hart.pc = ECALL_AT;
    this.sbi.machineTrap(hart, 9n, 0n);
    return [BigInt.asIntN(64, hart.x(10)), BigInt.asIntN(64, hart.x(11))];
  }

  error(eid: number | bigint, functionId: number, args: readonly (number | bigint)[] = [], from = 0): number {
    return Number(this.call(eid, functionId, args, from)[0]);
  }

  #memory(): DmaPort {
    const window = (at: bigint, lengthBytes: number): Uint8Array | undefined => {
      const offset = Number(at) - RAM_BASE;
      const inside = offset >= 0 && offset + lengthBytes <= RAM_BYTES;
      return inside ? this.ram.subarray(offset, offset + lengthBytes) : undefined;
    };
    return {
      read: (at, into) => {
        const bytes = window(at, into.length);
        if (bytes !== undefined) into.set(bytes);
        return bytes === undefined ? DmaStatus.decodeError : DmaStatus.ok;
      },
      write: (at, bytes) => {
        const target = window(at, bytes.length);
        target?.set(bytes);
        return target === undefined ? DmaStatus.decodeError : DmaStatus.ok;
      },
      readWindow: window,
      writeWindow: window,
      fence: () => undefined,
    };
  }
}

function hasIpi(hart: FakeHart): boolean {
  return hart.irqs.has(HartIrq.ssip);
}

describe("before supervisor mode", () => {
  test("the first hart enters at the kernel with its id and the device tree, the others wait", () => {
    const { harts } = new TestBoard();
    expect(harts.map((hart) => hart.started)).toEqual([true, false, false, false]);
    expect([harts[0]!.pc, harts[0]!.mode]).toEqual([0x8020_0000n, "S"]);
    expect([harts[0]!.x(10), harts[0]!.x(11)]).toEqual([0n, 0x8fe0_0000n]);
  });

  test("exceptions and interrupts are delegated as OpenSBI delegates them", () => {
    const { harts } = new TestBoard();
    expect(harts[0]!.readCsr(Csr.medeleg)).toBe(0xb109n);
    expect(harts[0]!.readCsr(Csr.mideleg)).toBe(0x222n);
    expect(harts[0]!.readCsr(Csr.mie)).toBe(0n);
  });

  test("the whole space is open to S- and U-mode", () => {
    const { harts } = new TestBoard();
    expect(harts[0]!.readCsr(Csr.pmpcfg0)).toBe(0x1fn);
    expect(harts[0]!.readCsr(Csr.pmpaddr0)).toBe(0x3f_ffff_ffff_ffffn);
  });

  test("with Sstc, stimecmp is the supervisor's and far away", () => {
    const { harts } = new TestBoard();
    expect(harts[0]!.readCsr(Csr.menvcfg)! >> 63n).toBe(1n);
    expect(harts[0]!.readCsr(Csr.stimecmp)).toBe(ALL_ONES);
  });

  test("with Svadu alone the hart sets accessed and dirty bits; with Svade too, it does not", () => {
    const adue = (extensions: string[]): bigint =>
      (new TestBoard({ extensions }).harts[0]!.readCsr(Csr.menvcfg)! >> 61n) & 1n;
    expect(adue(["svadu"])).toBe(1n);
    expect(adue(["svade", "svadu"])).toBe(0n);
    expect(adue(["svade"])).toBe(0n);
  });

  test("paging is off and no interrupt is enabled", () => {
    const { harts } = new TestBoard();
    expect(harts[0]!.readCsr(Csr.satp)).toBe(0n);
    expect(harts[0]!.readCsr(Csr.sie)).toBe(0n);
    expect(harts[0]!.readCsr(Csr.mstatus)).toBe((3n << 13n) | (1n << 7n));
  });
});

describe("calls in general", () => {
  test("a call returns behind the ecall", () => {
    const board = new TestBoard();
    board.call(Eid.base, 0);
    expect(board.harts[0]!.pc).toBe(ECALL_AT + 4n);
  });

  test("an unknown extension or function is not supported", () => {
    const board = new TestBoard();
    expect(board.error(0x0a00_0000, 0)).toBe(SbiError.notSupported);
    expect(board.error(ALL_ONES, 0)).toBe(SbiError.notSupported);
    for (const eid of [Eid.base, Eid.time, Eid.ipi, Eid.rfence, Eid.hsm, Eid.srst, Eid.dbcn, Eid.pmu]) {
      expect(board.error(eid, 99)).toBe(SbiError.notSupported);
    }
  });

  test("a function number beyond 32 bits is not taken for its low half", () => {
    const board = new TestBoard();
    const hart = board.harts[0]!;
    hart.setX(16, 1n << 32n);
    hart.setX(17, BigInt(Eid.base));
    board.sbi.machineTrap(hart, 9n, 0n);
    expect(BigInt.asIntN(64, hart.x(10))).toBe(-2n);
  });

  test("a trap that was not delegated goes on to the supervisor", () => {
    const board = new TestBoard();
    board.sbi.machineTrap(board.harts[0]!, 2n, 0xdeadn);
    expect(board.harts[0]!.calls).toEqual(["trapToSupervisor 2 0xdead"]);
  });

  test("a machine interrupt that nobody asked for is masked", () => {
    const board = new TestBoard();
    board.harts[0]!.writeCsr(Csr.mie, 0x2aan);
    board.sbi.machineTrap(board.harts[0]!, (1n << 63n) | 7n, 0n);
    expect(board.harts[0]!.readCsr(Csr.mie)).toBe(0x22an);
  });
});

describe("base", () => {
  test("speaks version 2.0", () => {
    expect(new TestBoard().call(Eid.base, 0)).toEqual([0n, 0x0200_0000n]);
  });

  test("probes tell what is there", () => {
    const board = new TestBoard();
    for (const eid of [
      Eid.base,
      Eid.time,
      Eid.ipi,
      Eid.rfence,
      Eid.hsm,
      Eid.srst,
      Eid.dbcn,
      Eid.pmu,
      LegacyCall.putChar,
    ]) {
      expect(board.call(Eid.base, 3, [eid])).toEqual([0n, 1n]);
    }
    expect(board.call(Eid.base, 3, [0x53555350])).toEqual([0n, 0n]);
  });

  test("machine ids are the hart's", () => {
    const board = new TestBoard();
    board.harts[0]!.writeCsr(Csr.marchid, 42n);
    expect(board.call(Eid.base, 5)).toEqual([0n, 42n]);
  });
});

describe("time", () => {
  test("with Sstc the deadline is the hart's comparator", () => {
    const board = new TestBoard();
    expect(board.error(Eid.time, 0, [12345])).toBe(0);
    expect(board.harts[0]!.readCsr(Csr.stimecmp)).toBe(12345n);
  });

  test("without Sstc the supervisor timer interrupt comes at the deadline", () => {
    const board = new TestBoard({ extensions: ["i"] });
    board.call(Eid.time, 0, [50], 1);
    board.time.advanceToNs(4_900);
    expect(board.harts[1]!.irqs.has(HartIrq.stip)).toBe(false);
    board.time.advanceToNs(5_000);
    expect(board.harts[1]!.irqs.has(HartIrq.stip)).toBe(true);
    expect(board.harts[0]!.irqs.has(HartIrq.stip)).toBe(false);
  });

  test("a new deadline clears the pending interrupt, and none is far away", () => {
    const board = new TestBoard({ extensions: ["i"] });
    board.call(Eid.time, 0, [0]);
    expect(board.harts[0]!.irqs.has(HartIrq.stip)).toBe(true);
    board.call(Eid.time, 0, [-1]);
    expect(board.harts[0]!.irqs.has(HartIrq.stip)).toBe(false);
    expect(board.time.nextDeadlineNs()).toBe(Infinity);
  });
});

describe("interrupts between harts", () => {
  function running(board: TestBoard): number[] {
    for (const hart of board.harts) hart.started = true;
    return [];
  }

  test("reach the harts of the mask, counted from its base", () => {
    const board = new TestBoard();
    running(board);
    expect(board.error(Eid.ipi, 0, [0b101, 1])).toBe(0);
    expect(board.harts.map((hart) => hasIpi(hart))).toEqual([false, true, false, true]);
  });

  test("a base of -1 means every hart, whatever the mask", () => {
    const board = new TestBoard();
    running(board);
    board.call(Eid.ipi, 0, [0, -1]);
    expect(board.harts.every((hart) => hasIpi(hart))).toBe(true);
  });

  test("a mask with a hart that does not exist reaches nobody", () => {
    const board = new TestBoard();
    running(board);
    expect(board.error(Eid.ipi, 0, [0b10001, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.ipi, 0, [1, 2n ** 63n])).toBe(SbiError.invalidParam);
    expect(board.harts.some((hart) => hasIpi(hart))).toBe(false);
  });

  test("a stopped hart gets none", () => {
    const board = new TestBoard();
    expect(board.error(Eid.ipi, 0, [0b10, 0])).toBe(0);
    expect(hasIpi(board.harts[1]!)).toBe(false);
  });

  test("the sender gives up its turn", () => {
    const board = new TestBoard();
    board.call(Eid.ipi, 0, [1, 0]);
    expect(board.harts[0]!.calls).toEqual(["kick"]);
  });
});

describe("remote fences", () => {
  test("FENCE.I drops decoded code on each hart of the mask", () => {
    const board = new TestBoard();
    expect(board.error(Eid.rfence, 0, [0b110, 0])).toBe(0);
    expect(board.harts.map((hart) => hart.calls)).toEqual([[], ["flushCode"], ["flushCode"], []]);
  });

  test("SFENCE.VMA drops a range, with an address space when one is given", () => {
    const board = new TestBoard();
    board.call(Eid.rfence, 1, [2, 0, 0x1000, 0x2000]);
    board.call(Eid.rfence, 2, [2, 0, 0x1000, 0x2000, 7]);
    expect(board.harts[1]!.calls).toEqual(["flushTlb 0x1000 8192", "flushTlb 0x1000 8192 asid 7"]);
  });

  test("zeroes, a length of -1 and a range past the end mean everything", () => {
    const board = new TestBoard();
    board.call(Eid.rfence, 1, [2, 0, 0, 0]);
    board.call(Eid.rfence, 1, [2, 0, 0, -1]);
    board.call(Eid.rfence, 1, [2, 0, -4096, 8192]);
    expect(board.harts[1]!.calls).toEqual(["flushTlb all", "flushTlb all", "flushTlb all"]);
  });

  test("a hypervisor's fences are not supported", () => {
    expect(new TestBoard().error(Eid.rfence, 3, [1, 0, 0, 0])).toBe(SbiError.notSupported);
  });

  test("a hart that does not exist is refused", () => {
    expect(new TestBoard().error(Eid.rfence, 0, [0x10, 0])).toBe(SbiError.invalidParam);
  });
});

describe("hart state management", () => {
  test("a started hart enters supervisor mode where it was told", () => {
    const board = new TestBoard();
    expect(board.error(Eid.hsm, 0, [2, 0x8000_1000, 0xabc])).toBe(0);
    const hart = board.harts[2]!;
    expect([hart.started, hart.pc, hart.mode]).toEqual([true, 0x8000_1000n, "S"]);
    expect([hart.x(10), hart.x(11), hart.readCsr(Csr.satp)]).toEqual([2n, 0xabcn, 0n]);
    expect(board.call(Eid.hsm, 2, [2])).toEqual([0n, 0n]);
  });

  test("starting is refused for a running hart, an unknown one, and an address that is not memory", () => {
    const board = new TestBoard();
    expect(board.error(Eid.hsm, 0, [0, 0x8000_0000, 0])).toBe(SbiError.alreadyAvailable);
    expect(board.error(Eid.hsm, 0, [4, 0x8000_0000, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.hsm, 0, [-1, 0x8000_0000, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.hsm, 0, [1, 0x1000_0000, 0])).toBe(SbiError.invalidAddress);
    expect(board.error(Eid.hsm, 0, [1, 0x8000_0001, 0])).toBe(SbiError.invalidAddress);
    expect(board.harts[1]!.started).toBe(false);
  });

  test("a hart that stops itself does not come back until it is started", () => {
    const board = new TestBoard();
    board.call(Eid.hsm, 0, [1, 0x8000_0000, 0]);
    board.call(Eid.hsm, 1, [], 1);
    expect(board.harts[1]!.started).toBe(false);
    expect(board.harts[1]!.pc).toBe(ECALL_AT);
    expect(board.call(Eid.hsm, 2, [1])).toEqual([0n, 1n]);
  });

  test("a retentive suspension waits and returns success", () => {
    const board = new TestBoard();
    expect(board.error(Eid.hsm, 3, [0, 0, 0])).toBe(0);
    expect([board.harts[0]!.waiting, board.harts[0]!.pc]).toEqual([true, ECALL_AT + 4n]);
    expect(board.call(Eid.hsm, 2, [0], 1)).toEqual([0n, 4n]);
    board.harts[0]!.waiting = false;
    expect(board.call(Eid.hsm, 2, [0], 1)).toEqual([0n, 0n]);
  });

  test("a non-retentive suspension resumes elsewhere, with its interrupts still enabled", () => {
    const board = new TestBoard();
    const hart = board.harts[0]!;
    hart.writeCsr(Csr.mie, 0x220n);
    hart.writeCsr(Csr.satp, 8n << 60n);
    board.call(Eid.hsm, 3, [0x8000_0000, 0x8000_2000, 5]);
    expect([hart.waiting, hart.pc, hart.x(11)]).toEqual([true, 0x8000_2000n, 5n]);
    expect([hart.readCsr(Csr.mie), hart.readCsr(Csr.satp)]).toEqual([0x220n, 0n]);
  });

  test("reserved suspend types are invalid, the platform's not supported, a bad address told", () => {
    const board = new TestBoard();
    expect(board.error(Eid.hsm, 3, [1, 0, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.hsm, 3, [0x8000_0001, 0x8000_0000, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.hsm, 3, [0x1000_0000, 0, 0])).toBe(SbiError.notSupported);
    expect(board.error(Eid.hsm, 3, [0x9000_0000, 0x8000_0000, 0])).toBe(SbiError.notSupported);
    expect(board.error(Eid.hsm, 3, [0x8000_0000, 0x10, 0])).toBe(SbiError.invalidAddress);
    expect(board.harts[0]!.waiting).toBe(false);
  });
});

describe("system reset", () => {
  test("shutdown for no reason is success, for a failure its code", () => {
    const requests = [0, 1, 0xe000_0007].map((reason) => {
      const board = new TestBoard();
      board.call(Eid.srst, 0, [0, reason]);
      return board.requests;
    });
    expect(requests).toEqual([[{ kind: "powerOff" }], [{ kind: "fail", status: 1 }], [{ kind: "fail", status: 7 }]]);
  });

  test("reboots, cold and warm, are resets", () => {
    const board = new TestBoard();
    board.call(Eid.srst, 0, [1, 0]);
    expect(board.requests).toEqual([{ kind: "reset" }]);
  });

  test("nothing runs after it", () => {
    const board = new TestBoard();
    board.harts[1]!.started = true;
    board.call(Eid.srst, 0, [2, 0]);
    expect(board.harts.some((hart) => hart.started)).toBe(false);
    expect(board.harts[0]!.calls).toEqual(["kick"]);
  });

  test("reserved types and reasons are invalid, a vendor's types not supported", () => {
    const board = new TestBoard();
    expect(board.error(Eid.srst, 0, [3, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.srst, 0, [0, 2])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.srst, 0, [0xf000_0000, 0])).toBe(SbiError.notSupported);
    expect(board.requests).toEqual([]);
  });
});

describe("debug console", () => {
  test("writes bytes of memory and says how many went out", () => {
    const board = new TestBoard();
    board.ram.set([104, 105, 10], 0x100);
    expect(board.call(Eid.dbcn, 0, [3, RAM_BASE + 0x100, 0])).toEqual([0n, 3n]);
    expect(board.sent).toEqual([104, 105, 10]);
  });

  test("does not wait for a transmitter without room", () => {
    const board = new TestBoard();
    board.consoleRoom = 2;
    expect(board.call(Eid.dbcn, 0, [5, RAM_BASE, 0])).toEqual([0n, 2n]);
    expect(board.error(Eid.dbcn, 2, [65])).toBe(SbiError.failed);
  });

  test("reads what has arrived into memory", () => {
    const board = new TestBoard();
    board.received = [1, 2];
    expect(board.call(Eid.dbcn, 1, [8, RAM_BASE + 4, 0])).toEqual([0n, 2n]);
    expect([...board.ram.subarray(4, 7)]).toEqual([1, 2, 0]);
    expect(board.call(Eid.dbcn, 1, [8, RAM_BASE, 0])).toEqual([0n, 0n]);
  });

  test("a range that is not all memory is invalid and sends nothing", () => {
    const board = new TestBoard();
    expect(board.error(Eid.dbcn, 0, [RAM_BYTES + 1, RAM_BASE, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.dbcn, 0, [1, 0x1000, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.dbcn, 0, [1, RAM_BASE, 1])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.dbcn, 0, [-1, RAM_BASE, 0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.dbcn, 1, [4, -4, 0])).toBe(SbiError.invalidParam);
    expect(board.sent).toEqual([]);
  });

  test("sends a single byte", () => {
    const board = new TestBoard();
    expect(board.error(Eid.dbcn, 2, [0x141])).toBe(0);
    expect(board.sent).toEqual([0x41]);
  });
});

describe("performance counters", () => {
  test("there are none, and none has information", () => {
    const board = new TestBoard();
    expect(board.call(Eid.pmu, 0)).toEqual([0n, 0n]);
    expect(board.error(Eid.pmu, 1, [0])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.pmu, 5, [0])).toBe(SbiError.invalidParam);
  });

  test("naming one is invalid, naming none changes nothing", () => {
    const board = new TestBoard();
    expect(board.error(Eid.pmu, 2, [0, 1, 0, 1])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.pmu, 2, [0, 0, 0, 1])).toBe(SbiError.notSupported);
    expect(board.error(Eid.pmu, 3, [0, 1])).toBe(SbiError.invalidParam);
    expect(board.error(Eid.pmu, 4, [0, 0])).toBe(0);
    expect(board.error(Eid.pmu, 7, [0, 0, 0])).toBe(SbiError.notSupported);
  });
});

describe("legacy calls", () => {
  test("answer in a0 and leave a1 alone", () => {
    const board = new TestBoard();
    board.harts[0]!.setX(11, 77n);
    board.received = [13];
    expect(board.call(LegacyCall.getChar, 0)).toEqual([13n, 77n]);
    expect(board.call(LegacyCall.getChar, 0)).toEqual([-1n, 77n]);
    expect(board.call(LegacyCall.putChar, 0, [66])).toEqual([0n, 77n]);
    expect(board.sent).toEqual([66]);
  });

  test("read their hart mask through the caller's own translation", () => {
    const board = new TestBoard();
    board.harts[1]!.started = true;
    board.harts[0]!.virtual.set(0x4000n, 0b10n);
    expect(board.error(LegacyCall.sendIpi, 0, [0x4000])).toBe(0);
    expect(hasIpi(board.harts[1]!)).toBe(true);
    expect(board.error(LegacyCall.sendIpi, 0, [0x5000])).toBe(SbiError.invalidAddress);
  });

  test("a null mask means every hart", () => {
    const board = new TestBoard();
    board.call(LegacyCall.remoteFenceI, 0, [0]);
    expect(board.harts.every((hart) => hart.calls.includes("flushCode"))).toBe(true);
  });

  test("set a timer and clear an interrupt", () => {
    const board = new TestBoard();
    board.harts[0]!.setIrq(HartIrq.ssip, true);
    board.call(LegacyCall.setTimer, 0, [99]);
    board.call(LegacyCall.clearIpi, 0);
    expect(board.harts[0]!.readCsr(Csr.stimecmp)).toBe(99n);
    expect(hasIpi(board.harts[0]!)).toBe(false);
  });

  test("shut down", () => {
    const board = new TestBoard();
    board.call(LegacyCall.shutdown, 0);
    expect(board.requests).toEqual([{ kind: "powerOff" }]);
  });
});

describe("saved state", () => {
  test("carries deadlines and suspensions to another machine", () => {
    const board = new TestBoard({ extensions: ["i"] });
    board.call(Eid.time, 0, [500], 1);
    board.call(Eid.hsm, 3, [0, 0, 0], 0);
    const other = new TestBoard({ extensions: ["i"] });
    other.harts[0]!.waiting = true;
    other.sbi.loadState(board.sbi.saveState());
    expect(other.call(Eid.hsm, 2, [0], 1)).toEqual([0n, 4n]);
    other.time.advanceToNs(50_000);
    expect(other.harts[1]!.irqs.has(HartIrq.stip)).toBe(true);
  });
});
