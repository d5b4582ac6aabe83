// The virtio console device (VIRTIO 1.2 §5.3): ports over character back ends, with or without the control queues.
import type { CharBackend } from "../../../chardev/port.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { VirtioDevice, type VirtioContext } from "../device.ts";
import { VirtioError } from "../errors.ts";
import { DeviceId, featureBits } from "../spec.ts";
import { WorkBudget } from "../../work-budget.ts";
import type { SerialPortConfig, VirtioSerialConfig } from "./config.ts";
import { SerialPort, type PortOwner } from "./serial-port.ts";
import {
  CONTROL_QUEUE_SIZE,
  CONTROL_RECEIVE,
  CONTROL_TRANSMIT,
  ControlEvent,
  ControlMessage,
  DATA_QUEUE_SIZE,
  SerialConfig,
  SerialFeature,
  receiveQueue,
} from "./spec.ts";
import { virtioSerialState, type VirtioSerialState } from "./state.ts";

/** What the ports may move before the machine has its next turn. */
const BYTES_PER_TURN = 1024 * 1024;
/** Control messages that wait for the guest's buffers; a guest that asks for more without giving buffers loses some. */
const MAX_PENDING_CONTROL = 256;

export class VirtioSerial extends VirtioDevice implements PortOwner {
  readonly typeName = "virtio-serial-device";
  readonly deviceId: number = DeviceId.console;
  readonly stateDescription: DescriptionOf<VirtioSerialState> = virtioSerialState;
  readonly budget: WorkBudget;
  readonly #maxPorts: number;
  readonly #ports = new Map<number, SerialPort>();
  #pendingControl: Uint8Array[] = [];

  constructor(context: VirtioContext, config: VirtioSerialConfig) {
    const isMultiport = config.maxPorts > 1;
    const sizes = Array.from({ length: isMultiport ? 2 * config.maxPorts + 2 : 2 }, (_, index) =>
      isMultiport && (index === CONTROL_RECEIVE || index === CONTROL_TRANSMIT) ? CONTROL_QUEUE_SIZE : DATA_QUEUE_SIZE,
    );
    super(context, config.ring, {
      features:
        (isMultiport ? featureBits(SerialFeature.multiport) : 0n) |
        (config.offersEmergencyWrite ? featureBits(SerialFeature.emergWrite) : 0n),
      queueSizes: sizes,
      configLengthBytes: SerialConfig.lengthBytes,
    });
    this.#maxPorts = config.maxPorts;
    SerialConfig.encode({ maxNrPorts: config.maxPorts }, this.config);
    this.budget = new WorkBudget({
      timers: context.timers,
      name: `${this.typeName}.turn`,
      bytesPerTurn: BYTES_PER_TURN,
      onRefill: () => this.#transmitAll(),
    });
  }

  /**
   * Adds a port and connects its back end (undefined: output is dropped). Port 0 is for a console, which takes it unless
   * a number is given. Throws VirtioError `inUse` or `badConfig`.
   */
  addPort(config: SerialPortConfig, backend: CharBackend | undefined): number {
    const isConsole = config.kind === "virtconsole";
    const number = config.number ?? this.#freeNumber(isConsole);
    if (number === undefined || number >= this.#maxPorts) {
      const what = number === undefined ? "Its ports are all used" : `Port number ${number} is too large`;
      throw new VirtioError("badConfig", `${what}; max_ports is ${this.#maxPorts}`);
    }
    if (number === 0 && !isConsole) {
      throw new VirtioError("badConfig", "Port number 0 is reserved for virtconsole; nr=1 or more would do");
    }
    if (this.#ports.has(number)) throw new VirtioError("inUse", `Port number ${number} is used already`);
    const receive = this.queues[receiveQueue(number)]!;
    const transmit = this.queues[receiveQueue(number) + 1]!;
    const port = new SerialPort(this, { number, isConsole, name: config.name, backend, receive, transmit });
    this.#ports.set(number, port);
    port.connect();
    if (this.isLive) this.#send(number, ControlEvent.portAdd, 1);
    return number;
  }

  get isMultiport(): boolean {
    return this.hasFeature(SerialFeature.multiport);
  }

  hostOpenChanged(port: SerialPort): void {
    this.#send(port.number, ControlEvent.portOpen, port.isHostOpen ? 1 : 0);
  }

  override close(): void {
    super.close();
    this.budget.close();
    for (const port of this.#ports.values()) port.disconnect();
  }

  saveState(): VirtioSerialState {
    return {
      ...this.saveCommon(),
      ports: [...this.#ports.values()].map((port) => port.saveState()),
      pendingControl: [...this.#pendingControl],
    };
  }

  loadState(values: VirtioSerialState): void {
    this.loadCommon(values);
    const missing = values.ports.find(({ number }) => !this.#ports.has(number));
    if (missing !== undefined || values.ports.length !== this.#ports.size) {
      const found = `ports ${values.ports.map(({ number }) => number).join(", ")}`;
      const here = `ports ${[...this.#ports.keys()].join(", ")}`;
      this.reset();
      throw new VirtioError("badState", `The saved ${this.typeName} has ${found}; here are ${here}`);
    }
    for (const port of values.ports) this.#ports.get(port.number)!.loadState(port);
    this.#pendingControl = values.pendingControl.slice(0, MAX_PENDING_CONTROL);
    // What a back end held for the old machine, or could not take from it, goes on here.
    this.#receiveReady();
    this.#transmitAll();
  }

  protected override onReset(): void {
    for (const port of this.#ports.values()) port.reset();
    this.#pendingControl = [];
  }

  protected override onDriverOk(): void {
    super.onDriverOk();
    this.#receiveReady();
  }

  protected override onConfigWrite(offset: number, _width: 1 | 2 | 4, value: number): void {
    if (offset === SerialConfig.offsets.emergWr) this.#console()?.emergencyWrite(value & 0xff);
  }

  protected override onNotify(queueIndex: number): void {
    if (this.isMultiport && queueIndex === CONTROL_RECEIVE) return this.#flushControl();
    if (this.isMultiport && queueIndex === CONTROL_TRANSMIT) return this.#takeControl();
    const number = queueIndex < 2 ? 0 : (queueIndex >> 1) - 1;
    const port = this.#ports.get(number);
    if ((queueIndex & 1) === 1) return port === undefined ? this.#dropOutput(queueIndex) : port.transmit();
    port?.receiveReady();
  }

  #console(): SerialPort | undefined {
    return [...this.#ports.values()].find(({ isConsole }) => isConsole);
  }

  #freeNumber(isConsole: boolean): number | undefined {
    for (let number = isConsole ? 0 : 1; number < this.#maxPorts; number++) {
      if (!this.#ports.has(number)) return number;
    }
    return undefined;
  }

  #receiveReady(): void {
    for (const port of this.#ports.values()) port.receiveReady();
  }

  #transmitAll(): void {
    for (const port of this.#ports.values()) port.transmit();
  }

  /** Output for a port that does not exist (without control queues port 0 always seems to) is taken and dropped. */
  #dropOutput(queueIndex: number): void {
    const queue = this.queues[queueIndex]!;
    if (!queue.begin()) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) queue.complete(chain, 0);
    queue.signal();
  }

  #takeControl(): void {
    const queue = this.queues[CONTROL_TRANSMIT]!;
    if (!queue.begin()) return;
    const bytes = new Uint8Array(ControlMessage.lengthBytes);
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      const isWhole = chain.readableBytes >= bytes.length;
      if (isWhole && !chain.read(0, bytes)) {
        queue.putBack(chain);
        return this.fail("a control message lies outside memory");
      }
      queue.complete(chain, 0);
      if (isWhole) this.#control(ControlMessage.decode(bytes));
      else this.trace.guestError(this.typeName, `a control message of ${chain.readableBytes} bytes`);
    }
    queue.signal();
  }

  #control({ id, event, value }: { id: number; event: number; value: number }): void {
    if (event === ControlEvent.deviceReady) {
      if (value !== 1) return this.trace.guestError(this.typeName, "the driver could not set the device up");
      for (const number of this.#ports.keys()) this.#send(number, ControlEvent.portAdd, 1);
      return;
    }
    const port = this.#ports.get(id);
    if (port === undefined) {
      return this.trace.guestError(this.typeName, `${ControlEvent.name(event)} for port ${id}, which does not exist`);
    }
    switch (event) {
      case ControlEvent.portReady:
        if (value !== 1) return this.trace.guestError(this.typeName, `the driver could not set port ${id} up`);
        if (port.isConsole) this.#send(id, ControlEvent.consolePort, 1);
        if (port.name !== undefined) this.#send(id, ControlEvent.portName, 1, port.name);
        if (port.isHostOpen) this.#send(id, ControlEvent.portOpen, 1);
        return;
      case ControlEvent.portOpen:
        return port.setGuestOpen(value !== 0);
      default:
        return this.trace.guestError(this.typeName, `${ControlEvent.name(event)} from the driver`);
    }
  }

  /** Sends a control message, as soon as the guest has a buffer for it. */
  #send(id: number, event: number, value: number, name = ""): void {
    if (!this.isMultiport || !this.isLive) return;
    if (this.#pendingControl.length >= MAX_PENDING_CONTROL) {
      return this.trace.guestError(
        this.typeName,
        `no buffers for control messages; ${ControlEvent.name(event)} is lost`,
      );
    }
    const text = new TextEncoder().encode(name);
    const bytes = new Uint8Array(ControlMessage.lengthBytes + text.length);
    ControlMessage.encode({ id, event, value }, bytes);
    bytes.set(text, ControlMessage.lengthBytes);
    this.#pendingControl.push(bytes);
    this.#flushControl();
  }

  #flushControl(): void {
    const queue = this.queues[CONTROL_RECEIVE]!;
    if (this.#pendingControl.length === 0 || !queue.begin()) return;
    while (this.#pendingControl.length > 0) {
      const chain = queue.take();
      if (chain === undefined) break;
      // A buffer that is too short gets what fits, as at QEMU: keeping the message would block those behind it.
      const bytes = this.#pendingControl.shift()!.subarray(0, chain.writableBytes);
      if (!chain.write(0, bytes)) {
        queue.putBack(chain);
        return this.fail("a control buffer lies outside memory");
      }
      queue.complete(chain, bytes.length);
    }
    queue.signal();
  }
}
