// V8's precise block coverage of the code under test, as a set of blocks that have run.
import { Session } from "node:inspector";

interface CoverageRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly CoverageRange[] }[];
}

export class BlockCoverage {
  readonly #session = new Session();
  readonly #isWanted: (url: string) => boolean;
  readonly #seen = new Set<string>();

  /** Starts counting; `isWanted` picks the scripts. */
  constructor(isWanted: (url: string) => boolean) {
    this.#isWanted = isWanted;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  get blocks(): number {
    return this.#seen.size;
  }

  /** How many blocks ran since the last reading and never before; from now on they are known. */
  read(): number {
    const fresh = this.#fresh();
    for (const key of fresh) this.#seen.add(key);
    return fresh.size;
  }

  /** How many blocks ran since the last reading that never ran before; they stay unknown. */
  freshBlocks(): number {
    return this.#fresh().size;
  }

  #fresh(): Set<string> {
    const { result } = this.#post("Profiler.takePreciseCoverage") as { readonly result: readonly ScriptCoverage[] };
    const fresh = new Set<string>();
    for (const script of result) {
      if (!this.#isWanted(script.url)) continue;
      for (const { ranges } of script.functions) {
        for (const range of ranges) {
          const key = `${script.url}:${range.startOffset}:${range.endOffset}`;
          if (range.count > 0 && !this.#seen.has(key)) fresh.add(key);
        }
      }
    }
    return fresh;
  }

  close(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** The inspector of the own thread answers before `post` returns. */
  #post(method: string, params?: object): unknown {
    let answer: unknown;
    let failure: Error | null = null;
    this.#session.post(method, params, (error, result) => {
      failure = error;
      answer = result;
    });
    if (failure !== null) throw failure as Error;
    return answer;
  }
}
