// The region compiler: takes what the interpreter found to be hot, forms regions, compiles them in batches, keeps them within
// a bound of memory.
import { assert } from "../../base/index.ts";
import { CodeCache, codePageBytes, entryBytes, entryOffset } from "../code-cache.ts";
import type { HandlerTable, InterpreterHost, InterpreterInstance } from "../interpreter/interpreter.ts";
import type { RegionEntries } from "../interpreter/region-calls.ts";
import type { LibraryFunction } from "../ir-lowering.ts";
import type { InstructionSemantics } from "../ir.ts";
import type { Accelerator, AcceleratorFigures, Tier } from "../port.ts";
import { hotCount, oftenFollowed, recordsBytes, regionTableLength } from "../region-entry.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";
import type { FunctionIndex } from "../../wasm/index.ts";
import { ControlFlow } from "./control-flow.ts";
import { RegionEmitter, type Tables } from "./region-emitter.ts";
import { CompiledModule, LiveModules } from "./live-modules.ts";
import { instructionLimit, pageLimit, RegionFormer } from "./region-former.ts";
import { RegionModule } from "./region-module.ts";
import { entriesOf, pagesOf } from "./region-extent.ts";
import { Region, RegionRecords } from "./region-records.ts";
import { makeSlowPaths, regionImports, storedCode } from "./slow-paths.ts";
import { cachedFields } from "./ir-shape.ts";
import { Templates } from "./templates.ts";

/**
 * A batch is compiled when it holds so many instructions or regions, has waited for so many runs, or its code was hot so
 * often while it waited that interpreting it took as long as a module costs an engine, which is about a millisecond.
 */
const batchInstructions = 4000;
const batchRegions = 32;
const batchRuns = 64;
const batchMisses = 8;
/** What is hot, and what follows often, to a compiler that is eager. */
const eagerHotCount = 2;
const eagerOftenFollowed = 16;
/** Regions of fewer instructions without a loop are not worth the way in and out. */
const leastInstructions = 6;

/**
 * Code that is hot in the middle of so many regions gets no region of its own: one of them is made anew with one more way
 * in, up to so many.
 */
const mostCopies = 8;
const mostRoots = 16;
/**
 * Regions that follow each other often are joined up to so many instructions; where they go on following each other, at so
 * many times `oftenFollowed`, up to what a region can hold: an engine's time for that is well spent.
 */
const mostJoined = 300;
const verySteady = 4;
/** What an engine makes of a byte of WebAssembly, in two tiers and with its own bookkeeping. */
const machineBytesPerByte = 10;
/** Below this, code would be decoded over and over. */
const leastPages = 64;
const leastCodeBytes = 1 << 18;
/** So often a region may be entered under other tables than it was made for. */
const mostMisfits = 16;
/** Regions up to this size become a part of those that lead to them. */
const smallRegion = 64;

export interface JitTarget {
  readonly layout: VcpuLayout;
  readonly instructions: readonly InstructionSemantics[];
  readonly library: readonly LibraryFunction[];
  /** Offset in the vCPU's block of a register that always reads as zero, and of one that nobody reads. */
  readonly zeroRegister: number;
  readonly sinkRegister: number;
}

export interface JitOptions {
  readonly target: JitTarget;
  readonly handlers: HandlerTable;
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: number;
  readonly shared: boolean;
  readonly cache: CodeCache;
  /** Address of `Jit.reservedBytes` for the records of entries. */
  readonly records: number;
  /** Address of the vCPU's block where the machine has only one. */
  readonly onlyVcpu: number | undefined;
  readonly tier: Tier;
  /** About as much memory as decoded and compiled code may take. */
  readonly cacheBytes: number;
  readonly eager?: boolean;
  readonly hotJumps?: number;
}

interface VcpuRun {
  readonly host: InterpreterHost;
  /** Address of its block. */
  readonly vcpu: number;
}

/** A vCPU and its interpreter, in two forms that share all state: made when first run. */
export interface JitVcpu extends VcpuRun {
  readonly plain: () => InterpreterInstance;
  readonly counting: (regions: RegionEntries) => InterpreterInstance;
}

export class Jit implements Accelerator {
  static readonly reservedBytes: number = recordsBytes + pageLimit * entryBytes;
  private readonly entries: RegionEntries;
  private readonly options: JitOptions;
  private readonly table: WebAssembly.Table;
  private readonly records: RegionRecords;
  private readonly former: RegionFormer;
  private readonly flow: ControlFlow;
  private readonly emitter: RegionEmitter;
  private readonly module: RegionModule;
  private readonly slowPaths: WebAssembly.Instance["exports"];
  private readonly templates: Templates;
  private readonly words: Int32Array;
  private readonly halves: Uint16Array;
  private readonly freeFunctions: number[] = [];
  private readonly live: LiveModules = new LiveModules((region) => this.records.takeEntered(region));
  private pending: Region[] = [];
  private pendingInstructions = 0;
  private pendingRuns = 0;
  private pendingMisses = 0;
  /** The region that the one being formed takes the place of. */
  private replaced: Region | undefined;
  /** Where code begins that runs under several tables. */
  private readonly versatile: Set<number> = new Set();
  /** Another one that becomes a part of it. */
  private joined: Region | undefined;
  private isOn: boolean;
  private readonly isEager: boolean;
  private readonly codeLimitBytes: number;
  private running: VcpuRun | undefined;
  private failedModules = 0;
  private compiledRegions = 0;
  private compiledInstructions = 0;
  private batches = 0;
  private dropped = 0;
  private slowLoads = 0;
  private slowStores = 0;
  private readonly runs: VcpuRun[] = [];

  constructor(options: JitOptions) {
    this.options = options;
    const { target, memory, cache } = options;
    const { buffer } = memory;
    this.words = new Int32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.table = new WebAssembly.Table({
      element: "anyfunc",
      initial: regionTableLength,
      maximum: regionTableLength,
    });
    for (let i = regionTableLength - 1; i >= 0; i--) this.freeFunctions.push(i);
    const imports = regionImports(target.library, options.onlyVcpu);
    this.templates = new Templates(options.handlers.variants, {
      layout: target.layout,
      cachedFields: cachedFields(target.instructions),
      library: new Map(target.library.map((entry) => [entry.name, entry])),
      imports: new Map(imports.map(({ name }, i) => [name, i as FunctionIndex])),
    });
    this.records = new RegionRecords({
      buffer,
      base: options.records,
      cache,
      onDropped: (region) => this.onDropped(region),
    });
    this.former = new RegionFormer({
      buffer,
      templateOf: (handler) => this.templates.of(handler),
      handlerUnder: (entry) => this.records.handlerUnder(entry),
      scratch: options.records + recordsBytes,
      decodeWord: (word, entry) => this.running!.host.decodeWord(word, entry),
      codeAt: (entry) => cache.codeAt(entry),
      watchStart: (entries) => cache.noteDecoded(entries),
      isSmall: (entry) => this.isSmall(this.records.regionAt(entry)),
      cacheBase: cache.baseAddress,
      cacheEnd: cache.endAddress,
    });
    this.flow = new ControlFlow(this.former);
    this.emitter = new RegionEmitter(this.former, this.flow, {
      layout: target.layout,
      cachedFields: this.templates.context.cachedFields,
      zero: target.zeroRegister,
      sink: target.sinkRegister,
      records: options.records,
      buffer,
      onlyVcpu: options.onlyVcpu,
      misfitImport: imports.findIndex(({ name }) => name === "misfit"),
      grouped: (template) => this.templates.grouped(template),
    });
    this.module = new RegionModule(imports, { pages: options.memoryPages, shared: options.shared });
    this.slowPaths = makeSlowPaths({
      memory,
      pages: options.memoryPages,
      shared: options.shared,
      layout: target.layout,
      library: target.library,
      onlyVcpu: options.onlyVcpu,
      load: (width) => this.load(width),
      store: (width) => this.store(width),
      misfit: (tableIndex) => this.misfit(tableIndex),
    });
    this.isOn = options.tier === "jit";
    this.isEager = options.eager === true;
    const { hotJumps = hotCount } = options;
    assert(hotJumps > 0 && hotJumps <= hotCount, "counts of jumps stay below the numbers of records", hotJumps);
    const compiledBytes = options.cacheBytes - CodeCache.bytesFor(cache.figures.capacityPages) - recordsBytes;
    this.codeLimitBytes = Math.max(leastCodeBytes, Math.floor(compiledBytes / machineBytesPerByte));
    this.entries = {
      table: this.table,
      records: options.records,
      hotCount: this.isEager ? eagerHotCount : hotJumps,
      oftenFollowed: this.isEager ? eagerOftenFollowed : oftenFollowed,
      hot: (entry) => this.hot(entry),
      followed: (entry, from, offset) => this.followed(entry, from, offset),
    };
  }

  /** The code of a vCPU, in which regions are counted and entered only while this compiler is on. */
  attach({ host, vcpu, plain, counting }: JitVcpu): InterpreterInstance {
    const running: VcpuRun = { host, vcpu };
    this.runs.push(running);
    let plainCode: InterpreterInstance | undefined;
    let countingCode: InterpreterInstance | undefined;
    return {
      run: (budget) => {
        this.running = running;
        if (!this.isOn) return (plainCode ??= plain()).run(budget);
        const left = (countingCode ??= counting(this.entries)).run(budget);
        if (this.pending.length > 0 && ++this.pendingRuns >= batchRuns) this.compile();
        return left;
      },
    };
  }

  /** Lowers every instruction of the target, as running code would one by one; how many there are. */
  lowerAll(): number {
    return this.templates.makeAll();
  }

  get tier(): Tier {
    return this.isOn ? "jit" : "interpreter";
  }

  set tier(tier: Tier) {
    this.isOn = tier === "jit";
    if (this.isOn) return;
    for (const region of [...this.live.regions(), ...this.pending]) this.records.drop(region);
  }

  get figures(): AcceleratorFigures {
    const { pages, capacityPages, evictions, invalidations } = this.options.cache.figures;
    return {
      tier: this.tier,
      decodedPages: pages,
      decodedPageLimit: capacityPages,
      evictions,
      invalidations,
      codeLimitBytes: this.codeLimitBytes,
      regions: this.live.regionCount,
      modules: this.live.count,
      codeBytes: this.live.lengthBytes,
      compiledRegions: this.compiledRegions,
      compiledInstructions: this.compiledInstructions,
      batches: this.batches,
      failedModules: this.failedModules,
      dropped: this.dropped,
      regionCalls: this.sum("regionCalls"),
      regionInstructions: this.sum("regionInstructions"),
      slowLoads: this.slowLoads,
      slowStores: this.slowStores,
      ...this.misses(),
    };
  }

  private misses(): { fetchMisses: number; loadMisses: number; storeMisses: number } {
    const sum = { fetchMisses: 0, loadMisses: 0, storeMisses: 0 };
    for (const { host } of this.runs) {
      sum.fetchMisses += host.misses.fetches;
      sum.loadMisses += host.misses.loads;
      sum.storeMisses += host.misses.stores;
    }
    return sum;
  }

  private sum(field: string): number {
    const { buffer } = this.options.memory;
    const at = this.options.target.layout.offset(field);
    return this.runs.reduce((sum, { vcpu }) => sum + Number(new BigUint64Array(buffer, vcpu + at, 1)[0]!), 0);
  }

  private load(width: number): number {
    this.slowLoads++;
    return this.running!.host.loadSlow(width);
  }

  private store(width: number): number {
    this.slowStores++;
    const before = this.dropped;
    const status = this.running!.host.storeSlow(width);
    return status === 0 && this.dropped !== before ? storedCode : status;
  }

  /** The entry at `entry`, whose address is in the running vCPU's pc, is hot: forms a region, or makes one anew. */
  private hot(entry: number): void {
    const { cache, target } = this.options;
    if (entry < cache.baseAddress || entry >= cache.endAddress) return;
    const known = this.records.covering(cache.pageOf(entry), entry);
    if (known.some(({ isCompiled }) => !isCompiled)) {
      this.cool(entry);
      if (++this.pendingMisses >= batchMisses) this.compile();
      return;
    }
    // Ways into the middle of loops make slow code: better several regions with one each.
    this.replaced = known.length < mostCopies ? undefined : known.find(({ roots }) => roots.length < mostRoots);
    const { replaced } = this;
    const pc = (this.running!.vcpu + target.layout.offset("pc")) >>> 2;
    const offset = replaced === undefined ? this.words[pc]! & 0xfff : replaced.offsets[replaced.code.indexOf(entry)]!;
    const roots = replaced === undefined ? [offset] : [...replaced.roots, offset];
    const waiting = this.pending.length;
    this.form(roots, offset);
    // Where an instruction that is the interpreter's begins a region, that is entered behind it: the entry is told of once.
    if (this.pending.length > waiting && this.pending.at(-1)!.code.includes(entry)) this.cool(entry);
  }

  /** A region goes on in another one over and over: both become one where they are not too large. */
  private followed(entry: number, from: number, offset: number): void {
    const before = this.records.ownerAt(from);
    const behind = this.records.regionAt(entry);
    if (before === undefined || before === behind || !before.isCompiled) return;
    const isSteady = this.records.timesFollowed(entry) >= verySteady * this.entries.oftenFollowed;
    const most = isSteady ? instructionLimit : mostJoined;
    if (before.code.length + behind.code.length > most || before.roots.length >= mostRoots) return;
    // What has waited for so many ways between the two has cost what a module costs.
    if (this.pending.some(({ replaces }) => replaces === before)) return this.compile();
    this.replaced = before;
    this.joined = behind;
    this.form([...before.roots, offset], offset);
    this.joined = undefined;
  }

  /** Forms and emits the region with these roots; the pc is at `offset` from its base. */
  private form(roots: readonly number[], offset: number): void {
    const { layout } = this.options.target;
    const block = this.running!.vcpu >>> 2;
    const pc = block + (layout.offset("pc") >>> 2);
    const tlbFetch = this.words[block + (layout.offset("tlbFetch") >>> 2)]!;
    const base = (this.words[pc]! >>> 0) - offset;
    const high = (this.words[pc + 1]! + Math.floor(base / 0x1_0000_0000)) | 0;
    if (this.former.form(tlbFetch, base | 0, high, roots)) {
      this.flow.analyse();
      if (this.isWorthwhile()) this.emit(roots);
    }
    this.replaced = undefined;
    const leastRegions = this.isEager ? 1 : batchRegions;
    if (this.pendingInstructions >= batchInstructions || this.pending.length >= leastRegions) this.compile();
  }

  private isSmall(region: Region): boolean {
    return region === this.replaced || region === this.joined || region.code.length <= smallRegion;
  }

  /** It is told again when it is still hot. */
  private cool(entry: number): void {
    this.halves[(entry + entryOffset.count) >>> 1] = this.entries.hotCount >>> 1;
  }

  private isWorthwhile(): boolean {
    const { former, flow } = this;
    if (this.isEager || former.count >= leastInstructions) return true;
    for (let block = 0; block < former.blockCount; block++) if (flow.isLoop[block] === 1) return true;
    return false;
  }

  private emit(roots: readonly number[]): void {
    const { former, flow, emitter } = this;
    this.makeRoom();
    const tableIndex = this.freeFunctions.pop()!;
    emitter.emit(tableIndex, this.tablesFor(former.entry[former.first[former.entryBlocks[0]!]!]!));
    this.module.add(emitter);
    const region = new Region({
      tableIndex,
      entries: entriesOf(former, flow),
      pages: pagesOf(former),
      roots,
      code: former.entry.slice(0, former.count),
      offsets: former.offset.slice(0, former.count),
      replaces: this.replaced,
      lengthBytes: emitter.out.length,
    });
    this.records.add(region);
    this.pending.push(region);
    this.pendingInstructions += former.count;
  }

  /**
   * The tables in force, which are constants of a region where there is one vCPU, unless code that begins at `entry` was seen
   * to run under others, too.
   */
  private tablesFor(entry: number): Tables | undefined {
    const { onlyVcpu, target } = this.options;
    if (onlyVcpu === undefined || this.versatile.has(entry)) return undefined;
    const word = (name: string): number => this.words[(onlyVcpu + target.layout.offset(name)) >>> 2]!;
    return { load: word("tlbLoad"), store: word("tlbStore") };
  }

  private misfit(tableIndex: number): void {
    for (const region of this.live.regions()) {
      if (region.tableIndex !== tableIndex) continue;
      if (++region.misfits < mostMisfits) return;
      this.versatile.add(region.entries[0]!.at);
      this.records.drop(region);
      return;
    }
  }

  /** Gives modules up where there is no room for another region. */
  private makeRoom(): void {
    const isFull = (): boolean =>
      this.freeFunctions.length === 0 ||
      this.live.lengthBytes + this.module.lengthBytes > this.codeLimitBytes ||
      this.records.freeRecords < 1000;
    while (isFull() && this.giveUpModule());
    if (this.freeFunctions.length === 0) this.compile();
    assert(this.freeFunctions.length > 0, "a region's function finds room in the table");
  }

  /** False when there is none. */
  private giveUpModule(): boolean {
    const module = this.live.leastUseful();
    module?.regions.forEach((region) => this.records.drop(region));
    return module !== undefined;
  }

  /** The engine has no memory for more code: half of what there is goes, and what waits is interpreted on. */
  private giveWay(): void {
    this.failedModules++;
    for (const region of this.pending) this.records.drop(region);
    for (let left = this.live.count >> 1; left > 0; left--) this.giveUpModule();
  }

  private instantiate(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Instance | undefined {
    try {
      return new WebAssembly.Instance(new WebAssembly.Module(bytes), {
        env: { memory: this.options.memory },
        slow: this.slowPaths as Record<string, () => unknown>,
      });
    } catch (error) {
      // Any other error says that what was emitted is no module.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  private compile(): void {
    const bytes = this.module.finish();
    const instance = this.instantiate(bytes);
    if (instance === undefined) this.giveWay();
    else this.enter(new CompiledModule(bytes.length), instance.exports);
    this.pending = [];
    this.pendingInstructions = 0;
    this.pendingRuns = 0;
    this.pendingMisses = 0;
  }

  /** Makes what was compiled enterable. */
  private enter(module: CompiledModule, functions: WebAssembly.Instance["exports"]): void {
    this.pending.forEach((region, i) => {
      if (!region.isAlive) return;
      if (region.replaces !== undefined) this.records.drop(region.replaces);
      region.isCompiled = true;
      this.table.set(region.tableIndex, functions[String(i)]);
      this.live.add(module, region);
      this.records.enter(region);
    });
    this.batches++;
    this.compiledRegions += this.pending.length;
    this.compiledInstructions += this.pendingInstructions;
  }

  /** Pages of decoded code for a cache of so many bytes: the compiled code takes the other half. */
  static pagesFor(cacheBytes: number): number {
    return Math.max(leastPages, Math.floor(cacheBytes / 2 / codePageBytes));
  }

  private onDropped(region: Region): void {
    this.dropped++;
    if (this.live.delete(region)) this.table.set(region.tableIndex, null);
    this.freeFunctions.push(region.tableIndex);
  }
}
