// Makes the harts of a machine: first their places in memory are planned, then, when the memory exists, they are made.
import {
  buildInterpreter,
  CodeCache,
  defaultAccelerator,
  Jit,
  SoftMmu,
  softMmuBytes,
  TlbKind,
  tlbTableBytes,
  type AcceleratorConfig,
  type InterpreterTarget,
  type JitTarget,
} from "../../accel/index.ts";
import type { RngPort, TimerPort } from "../../base/index.ts";
import type { CpuBus, World, WorldPlan } from "../../memory/index.ts";
import { probeFeatures } from "../../wasm/index.ts";
import { cpuFeatures } from "./cpu-models.ts";
import { stepBytes } from "./fetch.ts";
import { hartSource } from "./hart-source.ts";
import { RiscvHart } from "./hart.ts";
import { helperNames, instructionSemantics } from "./instruction-set.ts";
import { makeLibrary } from "./library.ts";
import { mmuIndexCount } from "./memory-access.ts";
import type { ExternalInterrupts, HartConfig, HostFirmware, TimebasePort } from "./port.ts";
import { hartLayout, xDestination, xOffset } from "./state.ts";

export interface HartSurroundings {
  /** The bus of the hart whose stores are reported under this name. */
  readonly bus: (source: string) => CpuBus;
  readonly timebase: TimebasePort;
  /** What the harts' entropy source gives (Zkr). */
  readonly rng: RngPort;
  /** A hart's external interrupt controllers, where they are more than a line each. */
  readonly externalInterrupts: (hartId: number) => ExternalInterrupts | undefined;
  /** Timers on the clock that drives the timebase. */
  readonly timers: TimerPort;
  readonly resetVector: bigint;
  /** Firmware in the host's place of M-mode, once it is there; undefined lets guests run M-mode themselves. */
  readonly firmware: () => HostFirmware | undefined;
}

export interface PlannedHarts {
  create(world: World, surroundings: HartSurroundings): RiscvHart[];
}

/** Reserves what harts need in `plan`; throws `CpuError` when a model or feature is unknown. */
export function planHarts(
  plan: WorldPlan,
  configs: readonly HartConfig[],
  accelerator: AcceleratorConfig = defaultAccelerator,
): PlannedHarts {
  const features = configs.map((config) => cpuFeatures(config.model, config.features));
  const codeCachePages = Jit.pagesFor(accelerator.cacheBytes);
  const entries = plan.reserve("decoded code", CodeCache.bytesFor(codeCachePages), 4096);
  const records = plan.reserve("region entries", Jit.reservedBytes, 4096);
  const places = configs.map((config) => ({
    tlb: plan.reserve(`hart ${config.hartId} TLB`, softMmuBytes(mmuIndexCount), tlbTableBytes),
    block: plan.reserve(`hart ${config.hartId}`, hartLayout.lengthBytes + stepBytes, 64),
  }));
  return {
    create(world, surroundings) {
      const target = makeTarget();
      const memory = { pages: world.lengthBytes / 65536, shared: world.shared };
      const interpreter = buildInterpreter(target, memory);
      const cache = new CodeCache({
        memory: world.memory,
        base: entries,
        capacityPages: codeCachePages,
        notes: world.notes,
      });
      const jit = new Jit({
        target,
        handlers: interpreter.handlers,
        memory: world.memory,
        memoryPages: memory.pages,
        shared: memory.shared,
        cache,
        records,
        onlyVcpu: places.length === 1 ? places[0]!.block : undefined,
        ...accelerator,
      });
      const words = new Int32Array(world.memory.buffer);
      const tlbs = places.map((place) => new SoftMmu(words, place.tlb, mmuIndexCount));
      cache.onEvict = () => tlbs.forEach((tlb) => tlb.flush(TlbKind.fetch));
      return configs.map(
        (config, i) =>
          new RiscvHart(i, {
            hartId: config.hartId,
            features: features[i]!,
            memory: world.memory,
            block: places[i]!.block,
            step: places[i]!.block + hartLayout.lengthBytes,
            tlb: tlbs[i]!,
            cache,
            notes: world.notes,
            interpreter,
            jit,
            handlers: interpreter.handlers,
            ...surroundings,
            bus: surroundings.bus(hartSource(config.hartId)),
            external: surroundings.externalInterrupts(config.hartId),
          }),
      );
    },
  };
}

function makeTarget(): InterpreterTarget & JitTarget {
  return {
    layout: hartLayout,
    instructions: instructionSemantics(),
    library: makeLibrary(probeFeatures()),
    helpers: helperNames,
    zeroRegister: xOffset(0),
    sinkRegister: xDestination(0),
  };
}
