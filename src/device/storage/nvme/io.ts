// Commands of the NVM command set, §6: between memory and a namespace's block node, a piece at a time.
import { InvariantError } from "../../../base/index.ts";
import { Outcome, type ControllerPort } from "./controller-port.ts";
import type { NvmeNamespace } from "./namespace.ts";
import type { Request } from "./request.ts";
import {
  ALL_NAMESPACES,
  CommandFlag,
  DATASET_DEALLOCATE,
  DATASET_RANGE_BYTES,
  IoFlag,
  IoOpcode,
  Sc,
  StatusFlag,
} from "./spec.ts";

/** What goes to a node at a time; buffers have this length. */
const PIECE_BYTES = 128 * 1024;
/** What is zeroed or deallocated at a time. */
const CLEAR_PIECE_BYTES = 16 * 2 ** 20;
const INVALID_FIELD = Sc.invalidField | StatusFlag.doNotRetry;

export class IoCommands {
  readonly #controller: ControllerPort;
  readonly #buffers: Uint8Array[] = [];
  readonly #ranges = new Uint8Array(256 * DATASET_RANGE_BYTES);
  readonly #rangesView = new DataView(this.#ranges.buffer);

  constructor(controller: ControllerPort) {
    this.#controller = controller;
  }

  /** A status or an `Outcome`. */
  async execute(request: Request): Promise<number> {
    if ((request.flags & CommandFlag.fused) !== 0) return INVALID_FIELD;
    const { opcode, namespaceId } = request;
    if (!isKnown(opcode)) return Sc.invalidOpcode | StatusFlag.doNotRetry;
    if (opcode === IoOpcode.flush && namespaceId === ALL_NAMESPACES)
      return this.#guarded(opcode, () => this.#flushAll());
    const namespace = this.#controller.namespaces.get(namespaceId);
    if (namespace === undefined) return Sc.invalidNamespace | StatusFlag.doNotRetry;
    return this.#guarded(opcode, () => this.#executeOn(namespace, request));
  }

  #executeOn(namespace: NvmeNamespace, request: Request): Promise<number> | number {
    switch (request.opcode) {
      case IoOpcode.flush:
        return this.#flush(namespace);
      case IoOpcode.read:
        return this.#read(namespace, request);
      case IoOpcode.write:
        return this.#write(namespace, request);
      case IoOpcode.compare:
        return this.#compare(namespace, request);
      case IoOpcode.writeZeroes:
        return this.#writeZeroes(namespace, request);
      default:
        return this.#manageDataset(namespace, request);
    }
  }

  /** A host's failure becomes the guest's; our own mistakes stop the machine. */
  async #guarded(opcode: number, act: () => Promise<number> | number): Promise<number> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      const { logs } = this.#controller;
      logs.mediaErrors++;
      this.#controller.hostFailed(nameOf(opcode), error);
      if (opcode === IoOpcode.read || opcode === IoOpcode.compare) return Sc.readError;
      return opcode === IoOpcode.flush ? Sc.internalError : Sc.writeFault;
    }
  }

  async #flush({ node }: NvmeNamespace): Promise<number> {
    await node.flush();
    return Sc.success;
  }

  async #flushAll(): Promise<number> {
    for (const { node } of this.#controller.namespaces.values()) await node.flush();
    return Sc.success;
  }

  /** Checks what reads, writes and compares have in common, and finds the data; a status. */
  #prepare(namespace: NvmeNamespace, request: Request, toMemory: boolean): number {
    const { config, dma, queueSettings } = this.#controller;
    const dword12 = request.dword(12);
    // There is no protection information to check or make.
    if ((dword12 & IoFlag.protection) !== 0) return INVALID_FIELD;
    const count = (dword12 & 0xffff) + 1;
    const lengthBytes = count * namespace.blockBytes;
    const { transferExponent } = config;
    if (transferExponent > 0 && lengthBytes > 2 ** (12 + transferExponent)) return INVALID_FIELD;
    const status = namespace.check(request.startBlock, count);
    if (status !== Sc.success) return status === Sc.formatInProgress ? status : status | StatusFlag.doNotRetry;
    return request.map(dma, queueSettings.pageBytes, lengthBytes, toMemory);
  }

  async #read(namespace: NvmeNamespace, request: Request): Promise<number> {
    const status = this.#prepare(namespace, request, true);
    if (status !== Sc.success) return status;
    const { dma, logs } = this.#controller;
    const { lengthBytes } = request.data;
    const outcome = await this.#inPieces(namespace, request, async (at, piece, done) => {
      await namespace.node.read(at, piece);
      if (!this.#controller.mayGoOn(request)) return Outcome.interrupted;
      return request.data.write(dma, done, piece) ? Sc.success : Sc.dataTransferError;
    });
    if (outcome !== Sc.success) return outcome;
    logs.readCommands++;
    logs.bytesRead += lengthBytes;
    return Sc.success;
  }

  async #write(namespace: NvmeNamespace, request: Request): Promise<number> {
    if (namespace.node.readOnly) return Sc.writeProtected | StatusFlag.doNotRetry;
    const status = this.#prepare(namespace, request, false);
    if (status !== Sc.success) return status;
    const { dma, logs } = this.#controller;
    const { lengthBytes } = request.data;
    const outcome = await this.#inPieces(namespace, request, async (at, piece, done) => {
      if (!request.data.read(dma, done, piece)) return Sc.dataTransferError;
      await namespace.node.write(at, piece);
      return this.#controller.mayGoOn(request) ? Sc.success : Outcome.interrupted;
    });
    if (outcome !== Sc.success) return outcome;
    await this.#makeDurable(namespace, request);
    logs.writeCommands++;
    logs.bytesWritten += lengthBytes;
    return Sc.success;
  }

  async #compare(namespace: NvmeNamespace, request: Request): Promise<number> {
    const status = this.#prepare(namespace, request, false);
    if (status !== Sc.success) return status;
    const { dma, logs } = this.#controller;
    const expected = this.#takeBuffer();
    try {
      const outcome = await this.#inPieces(namespace, request, async (at, piece, done) => {
        await namespace.node.read(at, piece);
        if (!this.#controller.mayGoOn(request)) return Outcome.interrupted;
        if (!request.data.read(dma, done, expected.subarray(0, piece.length))) return Sc.dataTransferError;
        for (let i = 0; i < piece.length; i++) if (piece[i] !== expected[i]) return Sc.compareFailure;
        return Sc.success;
      });
      if (outcome === Sc.success) logs.readCommands++;
      return outcome;
    } finally {
      this.#buffers.push(expected);
    }
  }

  /** Runs `act` for each piece: its place at the node, a buffer, its place in the transfer. */
  async #inPieces(
    { blockShift }: NvmeNamespace,
    request: Request,
    act: (at: number, piece: Uint8Array, done: number) => Promise<number>,
  ): Promise<number> {
    const start = Number(request.startBlock) * 2 ** blockShift;
    const { lengthBytes } = request.data;
    const buffer = this.#takeBuffer();
    try {
      for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, lengthBytes - done));
        const status = await act(start + done, piece, done);
        if (status !== Sc.success) return status;
        const turn = this.#controller.turn(piece.length);
        if (turn !== undefined) await turn;
        if (!this.#controller.mayGoOn(request)) return Outcome.interrupted;
      }
      return Sc.success;
    } finally {
      this.#buffers.push(buffer);
    }
  }

  async #writeZeroes(namespace: NvmeNamespace, request: Request): Promise<number> {
    if (namespace.node.readOnly) return Sc.writeProtected | StatusFlag.doNotRetry;
    const dword12 = request.dword(12);
    if ((dword12 & IoFlag.protection) !== 0) return INVALID_FIELD;
    const count = (dword12 & 0xffff) + 1;
    const status = namespace.check(request.startBlock, count);
    if (status !== Sc.success) return status === Sc.formatInProgress ? status : status | StatusFlag.doNotRetry;
    const mayUnmap = (dword12 & IoFlag.deallocate) !== 0;
    const clear = (at: number, lengthBytes: number): Promise<void> =>
      namespace.node.writeZeroes(at, lengthBytes, mayUnmap);
    const outcome = await this.#clear(namespace, request, request.startBlock, count, clear);
    if (outcome !== Sc.success) return outcome;
    await this.#makeDurable(namespace, request);
    this.#controller.logs.writeCommands++;
    return Sc.success;
  }

  /** §6.7: of the attributes, deallocation is acted on; the others are advice. */
  async #manageDataset(namespace: NvmeNamespace, request: Request): Promise<number> {
    const { dma, queueSettings } = this.#controller;
    if (namespace.node.readOnly) return Sc.writeProtected | StatusFlag.doNotRetry;
    const count = (request.dword(10) & 0xff) + 1;
    const status = request.map(dma, queueSettings.pageBytes, count * DATASET_RANGE_BYTES, false);
    if (status !== Sc.success) return status;
    const bytes = this.#ranges.subarray(0, count * DATASET_RANGE_BYTES);
    if (!request.data.read(dma, 0, bytes)) return Sc.dataTransferError;
    const ranges = Array.from({ length: count }, (_, i) => ({
      count: this.#rangesView.getUint32(i * DATASET_RANGE_BYTES + 4, true),
      start: this.#rangesView.getBigUint64(i * DATASET_RANGE_BYTES + 8, true),
    }));
    for (const range of ranges) {
      const inside = namespace.check(range.start, range.count);
      if (inside !== Sc.success) return inside === Sc.formatInProgress ? inside : inside | StatusFlag.doNotRetry;
    }
    if ((request.dword(11) & DATASET_DEALLOCATE) === 0) return Sc.success;
    const clear = (at: number, lengthBytes: number): Promise<void> => namespace.node.discard(at, lengthBytes);
    for (const range of ranges) {
      const outcome = await this.#clear(namespace, request, range.start, range.count, clear);
      if (outcome !== Sc.success) return outcome;
    }
    return Sc.success;
  }

  async #clear(
    { blockBytes }: NvmeNamespace,
    request: Request,
    startBlock: bigint,
    count: number,
    clear: (at: number, lengthBytes: number) => Promise<void>,
  ): Promise<number> {
    const start = Number(startBlock) * blockBytes;
    const end = start + count * blockBytes;
    for (let at = start; at < end; at += CLEAR_PIECE_BYTES) {
      const lengthBytes = Math.min(CLEAR_PIECE_BYTES, end - at);
      await clear(at, lengthBytes);
      await this.#controller.turn(lengthBytes);
      if (!this.#controller.mayGoOn(request)) return Outcome.interrupted;
    }
    return Sc.success;
  }

  /** Without the volatile cache, or where a write asks for it, what was written is flushed. */
  async #makeDurable({ node }: NvmeNamespace, request: Request): Promise<void> {
    const forced = (request.dword(12) & IoFlag.forceUnitAccess) !== 0;
    if (forced || !this.#controller.features.hasWriteCache) await node.flush();
  }

  #takeBuffer(): Uint8Array {
    return this.#buffers.pop() ?? new Uint8Array(PIECE_BYTES);
  }
}

const names = new Map<number, string>(Object.entries(IoOpcode).map(([name, opcode]) => [opcode, name]));

function isKnown(opcode: number): boolean {
  return names.has(opcode);
}

function nameOf(opcode: number): string {
  return names.get(opcode) ?? String(opcode);
}
