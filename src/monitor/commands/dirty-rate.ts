// How fast memory is written, and harts held to a rate.
import { MigrationError } from "../../migration/index.ts";
import type { MonitorContext } from "../context.ts";
import { QmpError } from "../errors.ts";
import { command, type Command } from "../schema/command.ts";
import { arrayOf, enumType, int, optional, struct, uint64, type ValueOf } from "../schema/types.ts";
import { controlOf } from "./migration-control.ts";

const MIB = 2 ** 20;
const DEFAULT_SAMPLE_PAGES = 512;

const Mode = enumType("DirtyRateMeasureMode", ["page-sampling", "dirty-ring", "dirty-bitmap"]);
const Unit = enumType("TimeUnit", ["second", "millisecond"]);
const Status = enumType("DirtyRateStatus", ["unstarted", "measuring", "measured"]);
const VcpuRate = struct("DirtyRateVcpu", { id: int, "dirty-rate": int });
const RateInfo = struct("DirtyRateInfo", {
  "dirty-rate": optional(int),
  status: Status,
  "start-time": int,
  "calc-time": int,
  "calc-time-unit": Unit,
  "sample-pages": uint64,
  mode: Mode,
  "vcpu-dirty-rate": optional(arrayOf(VcpuRate)),
});
const CalcArguments = struct("q_obj_calc-dirty-rate-arg", {
  "calc-time": int,
  "calc-time-unit": optional(Unit),
  "sample-pages": optional(int),
  mode: optional(Mode),
});
const LimitInfo = struct("DirtyLimitInfo", { "cpu-index": int, "limit-rate": uint64, "current-rate": uint64 });

export function dirtyRateCommands(): readonly Command[] {
  let startSeconds = 0;
  return [
    command("calc-dirty-rate", {
      args: CalcArguments,
      run(context, args) {
        const request = requestOf(args);
        const { dirtyRate } = controlOf(context);
        dirtyRate.start(request);
        startSeconds = Number(context.wallClock.nowUnixNs() / 1_000_000_000n);
      },
    }),
    command("query-dirty-rate", {
      args: struct("q_obj_query-dirty-rate-arg", { "calc-time-unit": optional(Unit) }),
      returns: RateInfo,
      run: (context, { "calc-time-unit": unit = "second" }) => rateInfo(context, startSeconds, unit),
    }),
    command("set-vcpu-dirty-limit", {
      args: struct("q_obj_set-vcpu-dirty-limit-arg", { "cpu-index": optional(int), "dirty-rate": uint64 }),
      run(context, { "cpu-index": cpu, "dirty-rate": rate }) {
        limit(context, cpu, Number(rate) === 0 ? undefined : Number(rate) * MIB);
      },
    }),
    command("cancel-vcpu-dirty-limit", {
      args: struct("q_obj_cancel-vcpu-dirty-limit-arg", { "cpu-index": optional(int) }),
      run: (context, { "cpu-index": cpu }) => limit(context, cpu, undefined),
    }),
    command("query-vcpu-dirty-limit", {
      returns: arrayOf(LimitInfo),
      run: (context) =>
        controlOf(context).hartLimits.current.map(({ hart, bytesPerSecond, currentBytesPerSecond }) => ({
          "cpu-index": hart,
          "limit-rate": Math.round(bytesPerSecond / MIB),
          "current-rate": Math.round(currentBytesPerSecond / MIB),
        })),
    }),
  ];
}

function requestOf(args: ValueOf<typeof CalcArguments>) {
  const { "calc-time": time, "calc-time-unit": unit, mode = "page-sampling", "sample-pages": pages } = args;
  const periodMs = Number(time) * (unit === "millisecond" ? 1 : 1000);
  if (periodMs < 50 || periodMs > 60_000) throw new QmpError("Calculation time is out of range [50ms, 60000ms]");
  if (mode === "dirty-ring") throw new QmpError("mode dirty-ring is not enabled, use other method instead.");
  if (pages !== undefined && mode !== "page-sampling") {
    throw new QmpError("sample-pages is used only in page-sampling mode");
  }
  if (pages !== undefined && (Number(pages) < 128 || Number(pages) > 16384)) {
    throw new QmpError("sample-pages is out of range[128, 16384].");
  }
  return { mode, periodMs, samplePages: mode === "page-sampling" ? Number(pages ?? DEFAULT_SAMPLE_PAGES) : 0 };
}

function rateInfo(
  context: MonitorContext,
  startSeconds: number,
  unit: "second" | "millisecond",
): ValueOf<typeof RateInfo> {
  const { result, byHart } = controlOf(context).dirtyRate;
  const { bytesPerSecond, status, periodMs, samplePages, mode } = result;
  return {
    ...(bytesPerSecond !== undefined && { "dirty-rate": Math.round(bytesPerSecond / MIB) }),
    status,
    "start-time": startSeconds,
    "calc-time": unit === "second" ? Math.floor(periodMs / 1000) : periodMs,
    "calc-time-unit": unit,
    "sample-pages": samplePages,
    mode,
    ...(bytesPerSecond !== undefined &&
      mode === "dirty-bitmap" && {
        "vcpu-dirty-rate": byHart.map((rate, id) => ({ id, "dirty-rate": Math.round(rate / MIB) })),
      }),
  };
}

function limit(context: MonitorContext, cpu: number | bigint | undefined, bytesPerSecond: number | undefined): void {
  const { hartLimits, isActive } = controlOf(context);
  if (cpu !== undefined && Number(cpu) >= 0 && Number(cpu) >= hartLimits.hartCount) {
    throw new QmpError("incorrect cpu index specified");
  }
  if (isActive)
    throw new MigrationError("refused", "can't change the dirty page rate limit while migration is running");
  hartLimits.set(bytesPerSecond, cpu === undefined || Number(cpu) < 0 ? undefined : Number(cpu));
}
