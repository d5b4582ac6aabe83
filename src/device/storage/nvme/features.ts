// Features, §5.21: what software sets and gets. Nothing is kept over a power cycle, so nothing can be saved.
import { Feature, FeatureSelect, FEATURE_SAVE, Sc, SMART_TEMPERATURE, StatusFlag, Temperature } from "./spec.ts";
import type { Request } from "./request.ts";

export interface FeatureLimits {
  readonly queuePairs: number;
  readonly interruptVectors: number;
}

interface FeatureRule {
  /** Bits of dword 11 that are its value; 0 for one that cannot be changed. */
  readonly mask: number;
  readonly default: number;
  readonly isPerNamespace?: true;
}

const rules: Readonly<Record<number, FeatureRule>> = {
  [Feature.arbitration]: { mask: 0xffff_ff07, default: 7 },
  // There is one power state.
  [Feature.powerManagement]: { mask: 0xff, default: 0 },
  [Feature.temperatureThreshold]: { mask: 0xffff, default: 0 },
  [Feature.errorRecovery]: { mask: 0xffff, default: 0, isPerNamespace: true },
  [Feature.volatileWriteCache]: { mask: 1, default: 1 },
  [Feature.queueCount]: { mask: 0xffff_ffff, default: 0 },
  [Feature.interruptCoalescing]: { mask: 0xffff, default: 0 },
  [Feature.interruptVector]: { mask: 0x1_ffff, default: 0 },
  [Feature.writeAtomicity]: { mask: 1, default: 0 },
  [Feature.asyncEvents]: { mask: 0xffff_ffff, default: 0 },
};

/** Where a threshold stands in dword 11: of which sensor, over or under. */
const Threshold = { sensorShift: 16, typeShift: 20, over: 0, under: 1, composite: 0, all: 15 } as const;
const VECTOR_MASK = 0xffff;
const COALESCING_DISABLED = 0x1_0000;

const INVALID_FIELD = Sc.invalidField | StatusFlag.doNotRetry;

export class Features {
  readonly #limits: FeatureLimits;
  /** By identifier; thresholds and vectors, of which there are several, by identifier and number. */
  #values = new Map<number, number>();

  constructor(limits: FeatureLimits) {
    this.#limits = limits;
  }

  reset(): void {
    this.#values.clear();
  }

  save(): { key: number; value: number }[] {
    return [...this.#values].map(([key, value]) => ({ key, value }));
  }

  load(values: readonly { readonly key: number; readonly value: number }[]): void {
    this.#values = new Map(values.map(({ key, value }) => [key, value]));
  }

  get hasWriteCache(): boolean {
    return this.#current(Feature.volatileWriteCache) === 1;
  }

  /** The sensor is outside the limits that software set. */
  get isTooWarm(): boolean {
    const over = this.#current(thresholdKey(Threshold.over));
    const under = this.#current(thresholdKey(Threshold.under));
    return Temperature.now >= over || Temperature.now <= under;
  }

  /** Software wants an event when the temperature leaves its limits. */
  get reportsTemperature(): boolean {
    return (this.#current(Feature.asyncEvents) & SMART_TEMPERATURE) !== 0;
  }

  /** A status; the value is the request's result. `isNamespace` tells active namespaces. */
  get(request: Request, isNamespace: (id: number) => boolean): number {
    const id = request.dword(10) & 0xff;
    const rule = rules[id];
    if (rule === undefined) return INVALID_FIELD;
    const status = this.#checkNamespace(rule, request.namespaceId, isNamespace);
    if (status !== Sc.success) return status;
    const key = this.#key(id, request.dword(11));
    if (key === undefined) return INVALID_FIELD;
    switch ((request.dword(10) >>> 8) & 7) {
      case FeatureSelect.current:
        request.result = this.#current(key);
        return Sc.success;
      case FeatureSelect.default:
      case FeatureSelect.saved:
        request.result = this.#default(key);
        return Sc.success;
      case FeatureSelect.capabilities:
        // Changeable; for each namespace or for all.
        request.result = 4 | (rule.isPerNamespace === true ? 2 : 0);
        return Sc.success;
      default:
        return INVALID_FIELD;
    }
  }

  /** A status; `hasQueues`: there are I/O queues already. */
  set(request: Request, isNamespace: (id: number) => boolean, hasQueues: boolean): number {
    const select = request.dword(10);
    const id = select & 0xff;
    const rule = rules[id];
    if (rule === undefined) return INVALID_FIELD;
    if ((select & FEATURE_SAVE) !== 0) return Sc.notSaveable | StatusFlag.doNotRetry;
    const status = this.#checkNamespace(rule, request.namespaceId, isNamespace);
    if (status !== Sc.success) return status;
    const given = request.dword(11);
    const key = this.#key(id, given);
    if (key === undefined) return INVALID_FIELD;
    if (id === Feature.queueCount) return this.#setQueueCount(request, given, hasQueues);
    if (id === Feature.powerManagement && (given & 0x1f) !== 0) return INVALID_FIELD;
    this.#values.set(key, (given & rule.mask) >>> 0);
    return Sc.success;
  }

  /** §5.21.1.7: fewer than asked for may be given. */
  #setQueueCount(request: Request, given: number, hasQueues: boolean): number {
    if (hasQueues) return Sc.commandSequence | StatusFlag.doNotRetry;
    if ((given & 0xffff) === 0xffff || given >>> 16 === 0xffff) return INVALID_FIELD;
    request.result = this.#default(Feature.queueCount);
    return Sc.success;
  }

  #checkNamespace(rule: FeatureRule, namespaceId: number, isNamespace: (id: number) => boolean): number {
    if (rule.isPerNamespace !== true || namespaceId === 0xffff_ffff) return Sc.success;
    return isNamespace(namespaceId) ? Sc.success : Sc.invalidNamespace | StatusFlag.doNotRetry;
  }

  /** Undefined for a sensor or vector that there is not. */
  #key(id: number, given: number): number | undefined {
    if (id === Feature.temperatureThreshold) {
      const sensor = (given >>> Threshold.sensorShift) & 15;
      const type = (given >>> Threshold.typeShift) & 3;
      const known = (sensor === Threshold.composite || sensor === Threshold.all) && type <= Threshold.under;
      return known ? thresholdKey(type) : undefined;
    }
    if (id === Feature.interruptVector) {
      const vector = given & VECTOR_MASK;
      return vector < this.#limits.interruptVectors ? vectorKey(vector) : undefined;
    }
    return id;
  }

  #current(key: number): number {
    return this.#values.get(key) ?? this.#default(key);
  }

  #default(key: number): number {
    const id = key & 0xff;
    const number = key >>> 8;
    if (id === Feature.queueCount) return ((this.#limits.queuePairs - 1) * 0x1_0001) >>> 0;
    if (id === Feature.temperatureThreshold) return number === Threshold.over ? Temperature.warning : 0;
    // Interrupts of the admin queue are never held back.
    if (id === Feature.interruptVector) return number | (number === 0 ? COALESCING_DISABLED : 0);
    return rules[id]!.default;
  }
}

function thresholdKey(type: number): number {
  return Feature.temperatureThreshold | (type << 8);
}

function vectorKey(vector: number): number {
  return Feature.interruptVector | (vector << 8);
}
