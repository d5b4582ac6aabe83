// Runs a fuzz program on a fresh host: every answer is a value or an errno, nothing throws, nothing takes long, and when all
// is closed nothing is held.
import {
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  bytesBacking,
  detachDevice,
  DeviceDma,
  FAIL_POINTS,
  ioctlCommand,
  type IommufdContext,
  makeGroup,
  makeLocalCaller,
  NO_PASID,
  replaceDevice,
  reportPageRequest,
  reportStreamEvent,
  SoftwareHost,
  swMsiAddress,
  unbindDevice,
  unitProfiles,
  Access,
  type BoundDevice,
  type HostMapping,
  type HostSession,
  type LocalCaller,
} from "../../../src/iommufd/index.ts";
import { DEVICES } from "./devices.ts";
import { checkInvariants } from "./invariants.ts";
import { ID_AT, IOVA_AT } from "./make-step.ts";
import { resolve } from "./references.ts";
import {
  KINDS,
  PAYLOAD_AT,
  PAYLOAD_VA,
  REQUEST_AT,
  REQUEST_BYTES,
  REQUEST_VA,
  ROWS,
  STEP_BYTES,
  StepKind,
  VFIO_NUMBERS,
} from "./steps.ts";

const MEMORY_BYTES = 0x40_0000;
const FILE_BYTES = 0x40_0000;
const SLOW_CALL_MS = 2000;
const LEAST_ERRNO = -4095;

export interface ProgramResult {
  readonly calls: number;
  /** Distinct answers, for a test that wants to see that something happens. */
  readonly answers: ReadonlySet<number>;
}

/** Throws an Error that says what went wrong, and at which step; `before` and `after` are told of every step. */
export function runProgram(
  program: Uint8Array,
  before?: (step: Uint8Array) => void,
  after?: (answer: number) => void,
): ProgramResult {
  const run = new Run(program);
  let at = 0;
  try {
    for (; at + STEP_BYTES <= program.length; at += STEP_BYTES) {
      const step = program.slice(at, at + STEP_BYTES);
      before?.(step);
      const answer = run.step(step);
      after?.(answer);
    }
    run.end();
  } catch (cause) {
    const where = at < program.length ? `step ${at / STEP_BYTES}` : "the end";
    throw new Error(`at ${where}: ${(cause as Error).message}`, { cause });
  }
  return { calls: program.length / STEP_BYTES, answers: run.answers };
}

/** Every run begins with both all zero. */
const memory = new Uint8Array(MEMORY_BYTES);
const file = new Uint8Array(FILE_BYTES);

class Run {
  readonly answers = new Set<number>();
  readonly #host: SoftwareHost;
  readonly #bytes = memory.fill(0);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #caller: LocalCaller;
  readonly #session: HostSession;
  readonly #devices: readonly { readonly bound: BoundDevice; readonly dma: DeviceDma }[];
  readonly #mappings: HostMapping[] = [];
  readonly #context: IommufdContext;
  #access: Access | undefined;
  #pinned: { readonly iova: bigint; readonly lengthBytes: bigint } | undefined;

  constructor(program: Uint8Array) {
    this.#host = new SoftwareHost({ kernelMock: true, kernelQuirks: (program[2] ?? 0) % 2 === 0 });
    this.#caller = makeLocalCaller({ bytes: this.#bytes, credentials: { capable: (c) => c !== "IPC_LOCK" } });
    this.#session = this.#host.attach(this.#caller);
    const fd = this.#session.open("/dev/iommu");
    this.#context = this.#caller.files.lookup(fd) as IommufdContext;
    this.#caller.files.installBacking(bytesBacking("file", file.fill(0)));
    const units = new Map<string, DescribedUnit>();
    const groups = new Map<number, ReturnType<typeof makeGroup>>();
    this.#devices = DEVICES.map(({ profile, group }, i) => {
      const unit = units.get(profile) ?? new DescribedUnit(profile, unitProfiles[profile]!);
      units.set(profile, unit);
      const shared = groups.get(group) ?? makeGroup(group);
      groups.set(group, shared);
      const device = new DescribedDevice({ name: `d${i}`, unit, group: shared });
      const bound = bindDevice(this.#context, device, { holdsContext: true, allowUnsafeInterrupts: false });
      if (typeof bound === "number") throw new Error(`not bound: ${bound}`);
      return { bound, dma: new DeviceDma(this.#host.memory, device) };
    });
  }

  step(step: Uint8Array): number {
    const began = process.cpuUsage();
    const answer = this.#perform(step);
    if (!Number.isInteger(answer) || answer < LEAST_ERRNO) throw new Error(`the answer ${answer} is none`);
    this.answers.add(answer);
    // Time of the processor: the machine may have other things to do.
    const { user, system } = process.cpuUsage(began);
    if (user + system > 1000 * SLOW_CALL_MS) throw new Error(`a call took more than ${SLOW_CALL_MS} ms`);
    return answer;
  }

  end(): void {
    checkInvariants(this.#context);
    this.#dropAccess();
    for (const mapping of this.#mappings) mapping.release();
    for (const { bound } of this.#devices) {
      for (const pasid of [...bound.group.attachments.keys()]) detachDevice(bound, pasid);
      unbindDevice(bound);
    }
    this.#caller.files.closeAll();
    const { pinnedPages, accountsClear, openContexts } = this.#host.audit();
    if (pinnedPages !== 0 || !accountsClear || openContexts !== 0) {
      throw new Error(`left: ${pinnedPages} pinned pages, accounts clear ${accountsClear}, ${openContexts} contexts`);
    }
  }

  #perform(step: Uint8Array): number {
    resolve(step.subarray(REQUEST_AT, REQUEST_AT + REQUEST_BYTES), this.#context, this.#caller.files);
    const request = new DataView(step.buffer, step.byteOffset + REQUEST_AT, REQUEST_BYTES);
    const device = this.#devices[step[1]! % this.#devices.length]!;
    const id = request.getUint32(ID_AT, true);
    const iova = request.getBigUint64(IOVA_AT, true);
    const fd = 3 + (step[2]! % 8);
    switch (step[0]! % KINDS) {
      case StepKind.IOCTL:
        return this.#ioctl(step, ioctlCommand(ROWS[step[1]! % ROWS.length]!.nr));
      case StepKind.VFIO: {
        const command = ioctlCommand(VFIO_NUMBERS[step[1]! % VFIO_NUMBERS.length]!);
        if (step[4] === 1) return this.#session.ioctl(3, command, BigInt(step[5]!));
        return this.#ioctl(step, step[4]! < 250 ? command : request.getUint32(4, true));
      }
      case StepKind.POLL:
        return this.#session.poll(fd);
      case StepKind.OPEN:
        return this.#session.open(step[3]! % 2 === 0 ? "/dev/vfio/vfio" : "/dev/iommu");
      case StepKind.FAIL:
        this.#host.failNext(FAIL_POINTS[step[1]! % FAIL_POINTS.length]!, 1 + (step[2]! % 8));
        return 0;
      case StepKind.READ:
        return this.#session.read(fd, bufferVa(step), step[3]! % 128, BigInt(step[5]! > 240 ? 8 : 0));
      case StepKind.WRITE:
        this.#bytes.set(step.subarray(REQUEST_AT, PAYLOAD_AT), REQUEST_VA);
        return this.#session.write(fd, bufferVa(step), step[3]! % 64, BigInt(step[5]! > 240 ? 8 : 0));
      case StepKind.CLOSE:
        // The first descriptor stays for a while: without it nothing else happens.
        return fd === 3 && step[3]! > 4 ? 0 : this.#session.close(fd);
      case StepKind.DUPLICATE:
        return this.#caller.files.duplicate(fd);
      case StepKind.MMAP: {
        const lengthBytes = (step[3]! % 4) * 4096 + (step[3]! > 250 ? 1 : 0);
        const mapped = this.#session.mmap(fd, {
          offset: iova,
          lengthBytes,
          protection: step[4]! % 8,
          shared: step[5]! < 200,
        });
        if (typeof mapped === "number") return mapped;
        this.#mappings.push(mapped);
        return 0;
      }
      case StepKind.UNMAP:
        this.#mappings.pop()?.release();
        return 0;
      case StepKind.ATTACH:
        return attachDevice(device.bound, pasidOf(step), id);
      case StepKind.REPLACE:
        return replaceDevice(device.bound, pasidOf(step), id);
      case StepKind.DETACH:
        return detachDevice(device.bound, pasidOf(step)) ? 1 : 0;
      case StepKind.DMA: {
        const data = new Uint8Array(step[3]! * 64);
        return step[2]! % 2 === 0 ? device.dma.read(iova, data) : device.dma.write(iova, data, pasidOf(step));
      }
      case StepKind.PAGE_REQUEST:
        reportPageRequest(device.bound, {
          flags: step[3]! % 4,
          pasid: pasidOf(step),
          groupId: step[4]! % 4,
          permissions: step[5]! % 16,
          address: iova,
        });
        return 0;
      case StepKind.STREAM_EVENT:
        return reportStreamEvent(device.bound.device, [iova, 0n, 0n, 0n]);
      case StepKind.SW_MSI: {
        const at = swMsiAddress(device.bound, iova);
        return typeof at === "number" ? at : 0;
      }
      default:
        return this.#driverAccess(step, id, iova, request.getBigUint64(24, true) % 0x8000n);
    }
  }

  #ioctl(step: Uint8Array, command: number): number {
    // Requests may straddle whatever they like; the payload is what their pointers most often name.
    const at = REQUEST_VA + (step[3]! > 240 ? MEMORY_BYTES - REQUEST_VA - 40 : step[3]! % 8);
    this.#bytes.set(step.subarray(PAYLOAD_AT, STEP_BYTES), PAYLOAD_VA);
    this.#bytes.set(step.subarray(REQUEST_AT, PAYLOAD_AT).subarray(0, MEMORY_BYTES - at), at);
    if (step[3]! <= 240) this.#view.setUint32(at + REQUEST_BYTES, 0, true);
    const fd = step[2]! < 224 ? 3 : 3 + (step[2]! % 8);
    return this.#session.ioctl(fd, command, BigInt(at));
  }

  /** A mediated device's driver: one access, at most one pin. */
  #driverAccess(step: Uint8Array, ioasId: number, iova: bigint, lengthBytes: bigint): number {
    if (this.#access === undefined) {
      const access = Access.create(this.#context, {
        pinsPages: step[2]! % 2 === 0,
        onUnmap: (at, length) => this.#unpin(at, length),
      });
      if (typeof access === "number") return access;
      this.#access = access;
      return access.attach(ioasId);
    }
    const access = this.#access;
    switch (step[2]! % 8) {
      case 0:
        return access.replace(ioasId);
      case 1: {
        if (this.#pinned !== undefined) return 0;
        const frames = access.pin(iova, lengthBytes, step[3]! % 2 === 0);
        if (typeof frames === "number") return frames;
        this.#pinned = { iova, lengthBytes };
        return frames.length;
      }
      case 2:
        this.#unpin(0n, 0xffff_ffff_ffff_ffffn);
        return 0;
      case 3:
        this.#dropAccess();
        return 0;
      default: {
        const data = new Uint8Array(Number(lengthBytes));
        return access.copy(this.#caller, iova, data, step[3]! % 2 === 0, step[4]! % 2 === 0);
      }
    }
  }

  #unpin(iova: bigint, lengthBytes: bigint): void {
    const pinned = this.#pinned;
    if (pinned === undefined || pinned.iova > iova + lengthBytes || pinned.iova + pinned.lengthBytes <= iova) return;
    this.#pinned = undefined;
    this.#access!.unpin(pinned.iova, pinned.lengthBytes);
  }

  #dropAccess(): void {
    this.#unpin(0n, 0xffff_ffff_ffff_ffffn);
    this.#access?.close();
    this.#access = undefined;
  }
}

/** Where a read or write of events has its bytes: mostly where they are, sometimes half past the end of memory. */
function bufferVa(step: Uint8Array): bigint {
  return BigInt(step[4]! > 240 ? MEMORY_BYTES - 12 : REQUEST_VA);
}

function pasidOf(step: Uint8Array): number {
  return step[6]! < 160 ? NO_PASID : step[6]! - 160;
}
