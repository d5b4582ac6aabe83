// Moving the machine: commands with QEMU's names and shapes, and the events that tell of it.
import type { MigrationControl, MigrationProgress } from "../../migration/index.ts";
import { controlOf } from "./migration-control.ts";
import { migrationSettings } from "./migration-settings.ts";
import { QmpError } from "../errors.ts";
import { command, type Command } from "../schema/command.ts";
import { event, type EventType } from "../schema/event.ts";
import { arrayOf, bool, enumType, int, number, optional, str, struct, type ValueOf } from "../schema/types.ts";

const MigrationStatus = enumType("MigrationStatus", [
  "none",
  "setup",
  "cancelling",
  "cancelled",
  "active",
  "postcopy-device",
  "postcopy-active",
  "postcopy-paused",
  "postcopy-recover-setup",
  "postcopy-recover",
  "completed",
  "failing",
  "failed",
  "colo",
  "pre-switchover",
  "device",
  "wait-unplug",
]);
export const migrationStatuses: readonly string[] = MigrationStatus.values;
const MigrationStats = struct("MigrationRAMStats", {
  transferred: int,
  remaining: int,
  total: int,
  duplicate: int,
  normal: int,
  "normal-bytes": int,
  "dirty-pages-rate": int,
  mbps: number,
  "dirty-sync-count": int,
  "postcopy-requests": int,
  "page-size": int,
  "multifd-bytes": int,
  "pages-per-second": int,
  "precopy-bytes": int,
  "downtime-bytes": int,
  "postcopy-bytes": int,
  "dirty-sync-missed-zero-copy": int,
});
const VfioStats = struct("VfioStats", { transferred: int });
// Ours: where rounds lead to, and what decides about it.
const PredictionInfo = struct("RatiteMigrationPrediction", {
  "can-meet": bool,
  downtime: optional(int),
  rounds: optional(int),
  dominant: str,
  reasons: arrayOf(str),
});
const DryRun = struct("RatiteMigrationDryRun", {
  converges: bool,
  rounds: int,
  "total-time": int,
  downtime: optional(int),
  dominant: str,
});
const MigrationInfo = struct("MigrationInfo", {
  status: optional(MigrationStatus),
  ram: optional(MigrationStats),
  vfio: optional(VfioStats),
  "total-time": optional(int),
  "expected-downtime": optional(int),
  downtime: optional(int),
  "setup-time": optional(int),
  "cpu-throttle-percentage": optional(int),
  "x-device-throttle-percentage": optional(int),
  "x-prediction": optional(PredictionInfo),
  "x-dry-run": optional(DryRun),
  "error-desc": optional(str),
  "blocked-reasons": optional(arrayOf(str)),
});
const QapiVfioMigrationState = enumType("QapiVfioMigrationState", [
  "stop",
  "running",
  "stop-copy",
  "resuming",
  "running-p2p",
  "pre-copy",
  "pre-copy-p2p",
]);
const VfioMigration = struct("q_obj_VFIO_MIGRATION-arg", {
  "device-id": str,
  "qom-path": str,
  "device-state": QapiVfioMigrationState,
});
const RoundSource = struct("RatiteDirtySource", { name: str, pages: int });
const Round = struct("RatiteMigrationRound", {
  number: int,
  "sent-bytes": int,
  "sent-pages": int,
  "device-bytes": int,
  "saved-bytes": int,
  "duration-ms": number,
  "dirty-pages": int,
  sources: arrayOf(RoundSource),
});
const Oracle = struct("RatiteDirtyOracle", {
  rounds: int,
  "written-pages": int,
  "reported-pages": int,
  "missed-pages": int,
  missed: arrayOf(str),
});
const MigrationRounds = struct("RatiteMigration", { rounds: arrayOf(Round), oracle: optional(Oracle) });

export interface StatusData {
  readonly status: string;
}

export interface PassData {
  readonly pass: number | bigint;
}

export const migrationEvent: EventType<StatusData> = event(
  "MIGRATION",
  struct("q_obj_MIGRATION-arg", { status: MigrationStatus }),
);
export interface VfioMigrationData {
  readonly "device-id": string;
  readonly "qom-path": string;
  readonly "device-state": string;
}

export const vfioMigrationEvent: EventType<VfioMigrationData> = event("VFIO_MIGRATION", VfioMigration);
export const migrationPassEvent: EventType<PassData> = event(
  "MIGRATION_PASS",
  struct("q_obj_MIGRATION_PASS-arg", { pass: int }),
);

const PAGE_BYTES = 4096;
/** Missed pages that an answer names. */
const MOST_MISSED = 100;

export function migrationCommands(): readonly Command[] {
  return [
    command("migrate", {
      args: struct("q_obj_migrate-arg", { uri: optional(str), resume: optional(bool), "x-dry-run": optional(bool) }),
      async run(context, { uri, resume, "x-dry-run": isDryRun }) {
        if (resume === true) throw new QmpError("Postcopy is not implemented, so that there is nothing to resume");
        if (isDryRun === true) return controlOf(context).dryRun();
        if (uri === undefined) throw new QmpError("need either 'uri' or 'channels' argument");
        const { runState } = context.machine;
        if (runState === "inmigrate") throw new QmpError("Guest is waiting for an incoming migration");
        if (runState === "postmigrate") {
          throw new QmpError("Can't migrate the vm that was paused due to previous migration");
        }
        await controlOf(context).migrate(uri);
      },
    }),
    command("migrate_cancel", { run: (context) => controlOf(context).cancel() }),
    command("migrate-continue", {
      args: struct("q_obj_migrate-continue-arg", { state: MigrationStatus }),
      run(context, { state }) {
        const control = controlOf(context);
        const current = control.progress?.phase ?? "none";
        if (state !== current || state !== "pre-switchover") {
          throw new QmpError(`Migration not in expected state: ${current}`);
        }
        control.proceed();
      },
    }),
    command("migrate-incoming", {
      args: struct("q_obj_migrate-incoming-arg", { uri: optional(str), "exit-on-error": optional(bool) }),
      run(context, { uri }) {
        if (uri === undefined) throw new QmpError("need either 'uri' or 'channels' argument");
        if (context.machine.runState !== "inmigrate")
          throw new QmpError("'-incoming' was not specified on the command line");
        context.onIncoming(uri);
      },
    }),
    command("query-migrate", { returns: MigrationInfo, run: (context) => infoOf(controlOf(context)) }),
    // Ours: what QEMU has no query for, who wrote what in each round.
    command("x-query-migration", { returns: MigrationRounds, run: (context) => roundsOf(controlOf(context)) }),
    ...migrationSettings(),
  ];
}

function infoOf(control: MigrationControl): ValueOf<typeof MigrationInfo> {
  const { progress, incoming, blockedReasons } = control;
  const blocked = blockedReasons.length === 0 ? {} : { "blocked-reasons": blockedReasons };
  if (progress === undefined) {
    if (incoming === undefined) return blocked;
    const { phase, error } = incoming;
    return { status: phase, ...(error !== undefined && { "error-desc": error.message }), ...blocked };
  }
  const { phase, error, downtimeMs, expectedDowntimeMs } = progress;
  // As in QEMU, one that came to nothing has no figures.
  if (phase === "cancelled") return { status: phase, ...blocked };
  if (phase === "failed")
    return { status: phase, ...(error !== undefined && { "error-desc": error.message }), ...blocked };
  const downtime = Number.isFinite(expectedDowntimeMs) ? expectedDowntimeMs : control.parameters.downtimeLimitMs;
  return {
    status: phase,
    ram: ramOf(progress),
    ...(progress.deviceBytes !== undefined && { vfio: { transferred: progress.deviceBytes } }),
    "total-time": Math.round(progress.totalMs),
    "setup-time": Math.round(progress.setupMs),
    ...(downtimeMs !== undefined && { downtime: Math.round(downtimeMs) }),
    // Until a round is over it is what is asked for.
    ...(downtimeMs === undefined && phase !== "completed" && { "expected-downtime": Math.round(downtime) }),
    ...slowing(progress),
    ...blocked,
  };
}

function slowing(progress: MigrationProgress): Partial<ValueOf<typeof MigrationInfo>> {
  const { throttlePercent, deviceThrottlePercent, prediction, isDryRun, phase } = progress;
  return {
    ...(throttlePercent > 0 && { "cpu-throttle-percentage": Math.round(throttlePercent) }),
    ...(deviceThrottlePercent > 0 && { "x-device-throttle-percentage": deviceThrottlePercent }),
    ...(prediction !== undefined && {
      "x-prediction": {
        "can-meet": prediction.canMeet,
        ...(Number.isFinite(prediction.downtimeMs) && { downtime: Math.round(prediction.downtimeMs) }),
        ...(prediction.rounds !== undefined && { rounds: prediction.rounds }),
        dominant: prediction.dominant,
        reasons: prediction.reasons,
      },
    }),
    ...(isDryRun && phase === "completed" && { "x-dry-run": dryRunOf(progress) }),
  };
}

/** What a migration would have been like. */
function dryRunOf({ rounds, totalMs, expectedDowntimeMs, prediction }: MigrationProgress): ValueOf<typeof DryRun> {
  const downtimeMs = Math.max(expectedDowntimeMs, prediction?.canMeet === false ? prediction.downtimeMs : 0);
  return {
    converges: prediction?.canMeet ?? false,
    rounds: rounds.length,
    "total-time": Math.round(totalMs + (Number.isFinite(downtimeMs) ? downtimeMs : 0)),
    ...(Number.isFinite(downtimeMs) && { downtime: Math.round(downtimeMs) }),
    dominant: prediction?.dominant ?? "channel",
  };
}

function roundsOf({ progress }: MigrationControl): ValueOf<typeof MigrationRounds> {
  const rounds = (progress?.rounds ?? []).map((round) => ({
    number: round.number,
    "sent-bytes": round.sentBytes,
    "sent-pages": round.sentPages,
    "device-bytes": round.deviceBytes,
    "saved-bytes": round.savedBytes,
    "duration-ms": round.durationMs,
    "dirty-pages": round.dirtyPages,
    sources: [...round.bySource].map(([name, pages]) => ({ name, pages })),
  }));
  const oracle = progress?.oracle;
  if (oracle === undefined) return { rounds };
  return {
    rounds,
    oracle: {
      rounds: oracle.rounds,
      "written-pages": oracle.writtenPages,
      "reported-pages": oracle.reportedPages,
      "missed-pages": oracle.missedPages,
      missed: oracle.missed.slice(0, MOST_MISSED).map(({ block, offsetInBlock }) => `${block}+${offsetInBlock}`),
    },
  };
}

function ramOf(progress: MigrationProgress): ValueOf<typeof MigrationStats> {
  const bandwidth = progress.bandwidth ?? 0;
  return {
    transferred: progress.sentBytes,
    remaining: progress.remainingBytes,
    total: progress.totalBytes,
    duplicate: progress.zeroPages,
    normal: progress.normalPages,
    "normal-bytes": progress.normalPages * PAGE_BYTES,
    "dirty-pages-rate": Math.round(progress.dirtyBytesPerSecond / PAGE_BYTES),
    mbps: (bandwidth * 8) / 1e6,
    "dirty-sync-count": progress.rounds.length + (progress.downtimeMs === undefined ? 0 : 1),
    "postcopy-requests": 0,
    "page-size": PAGE_BYTES,
    "multifd-bytes": 0,
    "pages-per-second": Math.round(bandwidth / PAGE_BYTES),
    "precopy-bytes": progress.rounds.reduce((sum, round) => sum + round.sentBytes, 0),
    "downtime-bytes": Math.max(
      0,
      progress.sentBytes - progress.rounds.reduce((sum, round) => sum + round.sentBytes, 0),
    ),
    "postcopy-bytes": 0,
    "dirty-sync-missed-zero-copy": 0,
  };
}
