// Opens what a plan names: files are read, character devices and disks opened; anything wrong is told by option.
import { gunzipSync } from "node:zlib";
import { MemoryNode, RawNode, type BlockNode, type FilePort } from "../block/index.ts";
import { CharMux, NullChar, RingBufferChar, type CharBackend } from "../chardev/index.ts";
import {
  HostError,
  openBlockFile,
  openFileChar,
  openScratchDisk,
  openSocketChar,
  openStdio,
  readWholeFile,
  type HostCharBackend,
} from "../host/node/index.ts";
import type { MachineConfig, NamedBytes } from "../machine/port.ts";
import type { HostPlan } from "../iommufd/index.ts";
import { readHostFile, readHostText } from "./host/read-file.ts";
import { foreignFormat, SIGNATURE_BYTES } from "./image-format.ts";
import { aboutSubject, CliError, withSubject } from "./errors.ts";
import type { BlockPlan, CharPlan, FileRef, MachinePlan } from "./plan.ts";

export interface OpenOptions {
  readonly warn: (text: string) => void;
  /** Ctrl-A X in a mux. */
  readonly onQuit: () => void;
  /** A server socket waits for its first peer. */
  readonly onWaiting: (address: string) => void;
  /** Character devices that the caller brings, by id. */
  readonly lent?: ReadonlyMap<string, CharBackend>;
  /** Gives up waiting for connections. */
  readonly signal?: AbortSignal;
}

export interface OpenedPlan {
  readonly config: MachineConfig;
  readonly chardevs: ReadonlyMap<string, CharBackend>;
  /** One more front of a shared character device. */
  readonly share: (chardev: string, label: string) => CharBackend | undefined;
  readonly blockNodes: ReadonlyMap<string, BlockNode>;
  /** Paths of the images behind them, by node name. */
  readonly imagePaths: ReadonlyMap<string, string>;
  /** Resolves when everything the guest wrote has left. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

/** Rejects with a VmError whose subject is the option at fault; what was open by then is closed. */
export async function openPlan(plan: MachinePlan, options: OpenOptions): Promise<OpenedPlan> {
  const chardevs = new Map<string, CharBackend>();
  const blockNodes = new Map<string, BlockNode>();
  const imagePaths = new Map<string, string>();
  const muxes = new Map<string, CharMux>();
  const hostChars: HostCharBackend[] = [];
  const close = async (): Promise<void> => {
    for (const chardev of [...chardevs.values(), ...hostChars]) chardev.close();
    for (const node of blockNodes.values()) await node.close();
    blockNodes.clear();
  };
  try {
    const config = readFiles(plan);
    for (const block of plan.blockNodes) {
      const { node, path } = await openBlock(block, plan.incoming === true ? "later" : "now", options);
      blockNodes.set(block.nodeName, node);
      if (path !== undefined) imagePaths.set(block.nodeName, path);
    }
    // Last, because it changes the terminal's mode: an error above leaves that alone.
    for (const chardev of plan.chardevs) {
      const back = await openBack(chardev, options, hostChars);
      const mux = chardev.mux ? new CharMux({ label: chardev.id, back, exit: options.onQuit }) : undefined;
      if (mux !== undefined) muxes.set(chardev.id, mux);
      chardevs.set(chardev.id, mux?.channel(chardev.id) ?? back);
    }
    const drained = async (): Promise<void> => void (await Promise.all(hostChars.map((back) => back.drained())));
    const share: OpenedPlan["share"] = (chardev, label) => muxes.get(chardev)?.channel(label);
    return { config, chardevs, share, blockNodes, imagePaths, drained, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function readFiles(plan: MachinePlan): MachineConfig {
  const {
    firmware,
    kernel,
    initrd,
    dtb,
    fwCfg,
    iommufds,
    chardevs: _chardevs,
    blockNodes: _blockNodes,
    ...rest
  } = plan;
  return {
    ...rest,
    firmware: typeof firmware === "string" ? firmware : readRef(firmware),
    ...(kernel === undefined ? {} : { kernel: unpacked(readRef(kernel), kernel.subject) }),
    ...(initrd === undefined ? {} : { initrd: readRef(initrd) }),
    ...(dtb === undefined ? {} : { dtb: readRef(dtb) }),
    fwCfg: fwCfg.map(({ name, content }) => ({ name, bytes: readRef(content).bytes })),
    iommufds: iommufds.map(({ description, ...config }) => ({ ...config, host: readHost(description) })),
  };
}

function readHost(ref: FileRef): HostPlan {
  const { path } = ref;
  return withSubject(ref.subject, () =>
    path !== undefined ? readHostFile(path) : readHostText(new TextDecoder().decode(ref.bytes), ref.name),
  );
}

function readRef(ref: FileRef): NamedBytes {
  const { path } = ref;
  if (path !== undefined) return withSubject(ref.subject, () => readWholeFile(path));
  return { name: ref.name, bytes: ref.bytes };
}

const UNPACKED_LIMIT_BYTES = 2 ** 30;

/** Distributions ship `Image.gz`; boot loaders unpack it, and here we are the boot loader. */
function unpacked(file: NamedBytes, subject: string): NamedBytes {
  if (file.bytes[0] !== 0x1f || file.bytes[1] !== 0x8b) return file;
  try {
    return { name: file.name, bytes: gunzipSync(file.bytes, { maxOutputLength: UNPACKED_LIMIT_BYTES }) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError("badFile", `Could not unpack '${file.name}', which is gzip data: ${reason}`, { subject, cause });
  }
}

async function openBack(plan: CharPlan, options: OpenOptions, hostChars: HostCharBackend[]): Promise<CharBackend> {
  const { id: label, subject, backend } = plan;
  const onError = (text: string): void => options.warn(`${subject}: ${text}`);
  const keep = (back: HostCharBackend): CharBackend => {
    hostChars.push(back);
    return back;
  };
  switch (backend.kind) {
    case "null":
      return new NullChar(label);
    case "ringbuf":
      return new RingBufferChar(label, backend.sizeBytes);
    case "stdio":
      return keep(openStdio({ label, signal: backend.signal, onError }));
    case "file":
      return keep(
        withSubject(subject, () => openFileChar({ label, path: backend.path, append: backend.append, onError })),
      );
    case "socket": {
      const { onWaiting, signal } = options;
      const opening = openSocketChar({
        label,
        ...backend,
        onError,
        onWaiting,
        ...(signal === undefined ? {} : { signal }),
      });
      return keep(
        await opening.catch((error: unknown) => {
          throw aboutSubject(subject, error);
        }),
      );
    }
    case "lent": {
      const lent = options.lent?.get(label);
      if (lent === undefined)
        throw new CliError("badUsage", `Nobody brought the character device '${label}'`, { subject });
      return lent;
    }
  }
}

interface OpenedBlock {
  readonly node: BlockNode;
  readonly path?: string;
}

/** `later` is for a machine that comes: its source has the disks until then. */
async function openBlock(plan: BlockPlan, lock: "now" | "later", options: OpenOptions): Promise<OpenedBlock> {
  const { nodeName, subject, image, readOnly } = plan;
  if (image instanceof Uint8Array) return { node: new MemoryNode({ nodeName, content: image.slice(), readOnly }) };
  if (typeof image !== "string") return openScratch(plan, image.scratchBytes, options);
  try {
    const file = await openImage(plan, image, lock);
    if (!plan.formatGiven) await requireRawLook(file, plan, options);
    return { node: new RawNode({ nodeName, file, readOnly: readOnly || file.readOnly }), path: image };
  } catch (error) {
    throw error instanceof CliError ? error : aboutSubject(subject, error);
  }
}

/** Nobody asked for this disk by name, so that without a place for it the machine has it in memory. */
async function openScratch(
  { nodeName, subject }: BlockPlan,
  lengthBytes: number,
  options: OpenOptions,
): Promise<OpenedBlock> {
  try {
    const file = await openScratchDisk(lengthBytes);
    return { node: new RawNode({ nodeName, file, readOnly: false }), path: file.name };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    options.warn(`${subject}: ${error.message}; it is kept in memory`);
    return { node: new MemoryNode({ nodeName, content: lengthBytes, readOnly: false }) };
  }
}

async function openImage(
  { readOnly, autoReadOnly }: BlockPlan,
  path: string,
  lock: "now" | "later",
): Promise<FilePort> {
  try {
    return await openBlockFile(path, { readOnly, lock });
  } catch (error) {
    const isWriteRefused = error instanceof HostError && error.code === "cannotOpen" && !readOnly && autoReadOnly;
    if (!isWriteRefused) throw error;
    return openBlockFile(path, { readOnly: true, lock });
  }
}

async function requireRawLook(file: FilePort, { subject }: BlockPlan, options: OpenOptions): Promise<void> {
  const start = new Uint8Array(Math.min(SIGNATURE_BYTES, file.lengthBytes));
  await file.read(0, start);
  const format = foreignFormat(start);
  if (format !== undefined) {
    await file.close();
    const would = `'qemu-img convert -O raw' makes a raw one, and format=raw takes this one byte for byte`;
    throw new CliError("unsupported", `Image '${file.name}' looks like ${format}; ${would}`, { subject });
  }
  options.warn(`${subject}: Image format was not specified for '${file.name}'; it is taken as raw, format=raw says so`);
}
