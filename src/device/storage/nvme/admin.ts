// Admin commands, §5.
import { InvariantError } from "../../../base/index.ts";
import { Outcome, type ControllerPort } from "./controller-port.ts";
import {
  controllerList,
  identifyController,
  identifyNamespace,
  namespaceDescriptors,
  namespaceList,
} from "./identify.ts";
import type { NvmeNamespace } from "./namespace.ts";
import type { Request } from "./request.ts";
import {
  AdminOpcode,
  ALL_NAMESPACES,
  AsyncEvent,
  BLOCK_SHIFTS,
  Cns,
  CommandFlag,
  Feature,
  Sc,
  StatusFlag,
} from "./spec.ts";

const INVALID_FIELD = Sc.invalidField | StatusFlag.doNotRetry;
const INVALID_NAMESPACE = Sc.invalidNamespace | StatusFlag.doNotRetry;

/** Of Get Log Page. */
const RETAIN_EVENT = 0x8000;
/** Of Format NVM's dword 10. */
const Format = { metadata: 0x10, protection: 0x1e0, eraseShift: 9, cryptographic: 2 } as const;
/** How much of a namespace is formatted at a time. */
const FORMAT_PIECE_BYTES = 16 * 2 ** 20;

export class AdminCommands {
  readonly #controller: ControllerPort;

  constructor(controller: ControllerPort) {
    this.#controller = controller;
  }

  /** A status, an `Outcome`, or a promise of one for what waits for the host. */
  execute(request: Request): number | Promise<number> {
    const { queues, queueSettings } = this.#controller;
    // §4.2: over PCI Express, data of admin commands is pointed to by PRPs; there are no fused ones.
    if ((request.flags & (CommandFlag.fused | CommandFlag.pointer)) !== 0) return INVALID_FIELD;
    switch (request.opcode) {
      case AdminOpcode.deleteSubmissionQueue:
        return this.#deleteSubmission(request);
      case AdminOpcode.createSubmissionQueue:
        return queues.createSubmission(request, queueSettings);
      case AdminOpcode.deleteCompletionQueue:
        return queues.deleteCompletion(request);
      case AdminOpcode.createCompletionQueue:
        return queues.createCompletion(request, queueSettings);
      case AdminOpcode.getLogPage:
        return this.#getLogPage(request);
      case AdminOpcode.identify:
        return this.#identify(request);
      case AdminOpcode.abort:
        return this.#abort(request);
      case AdminOpcode.setFeatures:
        return this.#setFeatures(request);
      case AdminOpcode.getFeatures:
        return this.#controller.features.get(request, (id) => this.#controller.namespaces.has(id));
      case AdminOpcode.asyncEventRequest:
        if (this.#controller.events.add(request)) return Outcome.waits;
        return Sc.asyncEventLimit | StatusFlag.doNotRetry;
      case AdminOpcode.format:
        return this.#format(request);
      default:
        return Sc.invalidOpcode | StatusFlag.doNotRetry;
    }
  }

  /** What was taken from the queue is completed first. */
  #deleteSubmission(request: Request): number | Promise<number> {
    const { queues } = this.#controller;
    const queue = queues.submissionToDelete(request);
    if (queue === undefined || queue.isEnding) return Sc.invalidQueueId | StatusFlag.doNotRetry;
    queue.isEnding = true;
    const empty = this.#controller.whenEmpty(queue);
    if (empty === undefined) {
      queues.removeSubmission(queue);
      return Sc.success;
    }
    return empty.then(() => {
      // A reset has taken the queue with it, or a state was loaded in which it is another one.
      if (queues.submission.get(queue.id) !== queue) return Outcome.interrupted;
      queues.removeSubmission(queue);
      return Sc.success;
    });
  }

  #identify(request: Request): number {
    const { config, namespaces } = this.#controller;
    const { namespaceId } = request;
    const ids = [...namespaces.keys()].sort((a, b) => a - b);
    const namespace = namespaces.get(namespaceId);
    switch (request.dword(10) & 0xff) {
      case Cns.namespace:
      case Cns.allocatedNamespace:
        if (namespace !== undefined) return this.#send(request, identifyNamespace(namespace));
        return INVALID_NAMESPACE;
      case Cns.controller:
        return this.#send(request, identifyController(config));
      case Cns.activeNamespaces:
      case Cns.allocatedNamespaces:
        // §5.15.2.3: the last two numbers cannot be followed by one.
        if (namespaceId >= ALL_NAMESPACES - 1) return INVALID_NAMESPACE;
        return this.#send(request, namespaceList(ids, namespaceId));
      case Cns.namespaceDescriptors:
        return namespace === undefined ? INVALID_NAMESPACE : this.#send(request, namespaceDescriptors(namespace));
      case Cns.namespaceControllers:
        if (namespace === undefined) return INVALID_NAMESPACE;
        return this.#send(request, controllerList(request.dword(10) >>> 16));
      case Cns.controllers:
        return this.#send(request, controllerList(request.dword(10) >>> 16));
      default:
        return INVALID_FIELD;
    }
  }

  #getLogPage(request: Request): number {
    const { logs, features, events, config } = this.#controller;
    const dword10 = request.dword(10);
    const lengthBytes = ((request.dword(11) & 0xffff) * 0x1_0000 + (dword10 >>> 16) + 1) * 4;
    if (request.namespaceId !== 0 && request.namespaceId !== ALL_NAMESPACES) return INVALID_FIELD;
    const { transferExponent } = config;
    if (transferExponent > 0 && lengthBytes > 2 ** (12 + transferExponent)) return INVALID_FIELD;
    const page = logs.page(dword10 & 0xff, features.isTooWarm);
    if (page === undefined) return Sc.invalidLogPage | StatusFlag.doNotRetry;
    const offset = request.dword(13) * 2 ** 32 + request.dword(12);
    if (offset % 4 !== 0 || offset >= page.length) return INVALID_FIELD;
    const status = this.#send(request, page.subarray(offset, offset + lengthBytes));
    if (status === Sc.success && (dword10 & RETAIN_EVENT) === 0) events.acknowledge(dword10 & 0xff);
    return status;
  }

  #send(request: Request, bytes: Uint8Array): number {
    const { dma, queueSettings } = this.#controller;
    const status = request.map(dma, queueSettings.pageBytes, bytes.length, true);
    if (status !== Sc.success) return status;
    return request.data.write(dma, 0, bytes) ? Sc.success : Sc.dataTransferError;
  }

  /** What is at the host cannot be taken back; what waits for an event can. */
  #abort(request: Request): number {
    const dword10 = request.dword(10);
    const isWaiting = (dword10 & 0xffff) === 0 && request.queue!.completion.hasRoom;
    const waiting = isWaiting ? this.#controller.events.take(dword10 >>> 16) : undefined;
    request.result = waiting === undefined ? 1 : 0;
    if (waiting !== undefined) this.#controller.finishWaiting(waiting, Sc.abortRequested);
    return Sc.success;
  }

  #setFeatures(request: Request): number {
    const { features, namespaces, queues, events } = this.#controller;
    const status = features.set(request, (id) => namespaces.has(id), queues.hasIoQueues);
    if (status !== Sc.success) return status;
    const isThreshold = (request.dword(10) & 0xff) === Feature.temperatureThreshold;
    if (isThreshold && features.isTooWarm && features.reportsTemperature) events.raise(AsyncEvent.temperature);
    return status;
  }

  #format(request: Request): number | Promise<number> {
    const { namespaces } = this.#controller;
    const dword10 = request.dword(10);
    const index = dword10 & 0xf;
    const erase = (dword10 >>> Format.eraseShift) & 7;
    if (erase >= Format.cryptographic) return INVALID_FIELD;
    if ((dword10 & (Format.metadata | Format.protection)) !== 0) return Sc.invalidFormat | StatusFlag.doNotRetry;
    const one = namespaces.get(request.namespaceId);
    const all = request.namespaceId === ALL_NAMESPACES ? [...namespaces.values()] : undefined;
    const chosen = all ?? (one === undefined ? [] : [one]);
    if (chosen.length === 0) return INVALID_NAMESPACE;
    for (const namespace of chosen) {
      if (!namespace.canFormat(index)) return Sc.invalidFormat | StatusFlag.doNotRetry;
      if (namespace.node.readOnly) return Sc.writeProtected | StatusFlag.doNotRetry;
      if (namespace.isFormatting) return Sc.formatInProgress;
    }
    return this.#formatAll(request, chosen, BLOCK_SHIFTS[index]!);
  }

  async #formatAll(request: Request, namespaces: readonly NvmeNamespace[], blockShift: number): Promise<number> {
    for (const namespace of namespaces) namespace.isFormatting = true;
    try {
      for (const namespace of namespaces) {
        const { node } = namespace;
        for (let done = 0; done < node.lengthBytes; done += FORMAT_PIECE_BYTES) {
          const lengthBytes = Math.min(FORMAT_PIECE_BYTES, node.lengthBytes - done);
          await node.writeZeroes(done, lengthBytes, true);
          await this.#controller.turn(lengthBytes);
          if (!this.#controller.mayGoOn(request)) return Outcome.interrupted;
        }
        namespace.blockShift = blockShift;
      }
      return Sc.success;
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#controller.hostFailed("format", error);
      return Sc.writeFault;
    } finally {
      for (const namespace of namespaces) namespace.isFormatting = false;
    }
  }
}
