// `mux=on`: several fronts share one back. Input goes to the front that has the focus; an escape key reaches the emulator.
// Keys and their meaning are QEMU's ("Keys in the character backend multiplexer" of its manual).
import { assert } from "../base/index.ts";
import { ByteQueue } from "./byte-queue.ts";
import { MuxChannel } from "./mux-channel.ts";
import type { CharBackend, CharEvent } from "./port.ts";

const CTRL_A = 0x01;
const OWN_OUTPUT_BYTES = 4096;

export interface MuxOptions {
  readonly label: string;
  readonly back: CharBackend;
  /** Ends the machine; the back has been told so already. */
  readonly exit: () => void;
  /** Default Ctrl-A. */
  readonly escapeByte?: number;
  /** Appears in the farewell. */
  readonly programName?: string;
}

export class CharMux {
  readonly label: string;
  readonly #back: CharBackend;
  readonly #exit: () => void;
  readonly #escapeByte: number;
  readonly #programName: string;
  readonly #channels: MuxChannel[] = [];
  /** What the mux itself says; it goes before anything a front writes later. */
  readonly #own = new ByteQueue(OWN_OUTPUT_BYTES);
  /** Channels that the back has turned away, the one that waits longest first. */
  readonly #waiting = new Set<MuxChannel>();
  #focus: MuxChannel | undefined;
  #escaped = false;
  #backIsFull = false;
  #isOpen = false;

  constructor({ label, back, exit, escapeByte = CTRL_A, programName = "ratite" }: MuxOptions) {
    this.label = label;
    this.#back = back;
    this.#exit = exit;
    this.#escapeByte = escapeByte;
    this.#programName = programName;
  }

  /** A back for one more front. The first one has the focus. */
  channel(label: string): CharBackend {
    const channel = new MuxChannel(label, {
      write: (bytes) => this.#write(channel, bytes),
      hasFocus: () => this.#focus === channel,
      hasRoomAgain: () => this.#back.frontReady(),
      remove: () => this.#remove(channel),
    });
    this.#channels.push(channel);
    if (this.#isOpen) channel.hear("opened");
    if (this.#focus !== undefined) return channel;
    this.#focus = channel;
    this.#back.attach({
      room: () => this.#room(),
      receive: (bytes) => this.#receive(bytes),
      writable: () => this.#writable(),
      event: (event) => this.#event(event),
    });
    return channel;
  }

  /** Gives the focus to the channel of that label. */
  focusOn(label: string): void {
    const channel = this.#channels.find((one) => one.label === label);
    assert(channel !== undefined, "a mux channel exists", this.label, label);
    this.#setFocus(channel);
  }

  get focus(): string | undefined {
    return this.#focus?.label;
  }

  close(): void {
    this.#back.close();
  }

  /** The focus may move within what is received, so the fullest channel counts. */
  #room(): number {
    return this.#channels.reduce((room, channel) => Math.min(room, channel.freeBytes), Infinity);
  }

  #receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.#byte(byte);
    for (const channel of this.#channels) channel.deliver();
  }

  #byte(byte: number): void {
    const isEscape = byte === this.#escapeByte;
    if (this.#escaped) {
      this.#escaped = false;
      if (isEscape) this.#focus?.queueByte(byte);
      else this.#command(String.fromCharCode(byte));
    } else if (isEscape) {
      this.#escaped = true;
    } else {
      this.#focus?.queueByte(byte);
    }
  }

  #command(key: string): void {
    switch (key) {
      case "x":
        this.#say(`${this.#programName}: Terminated\r\n`);
        this.#exit();
        break;
      case "c":
        this.#focusNext();
        break;
      case "b":
        this.#focus?.queueBreak();
        break;
      case "h":
      case "?":
        this.#say(this.#help());
        break;
      default:
      // QEMU swallows keys that mean nothing.
    }
  }

  #help(): string {
    const byte = this.#escapeByte;
    // Ctrl-A to Ctrl-Z are 1 to 26.
    const escape = byte >= 1 && byte <= 26 ? `C-${String.fromCharCode(0x60 + byte)}` : `0x${byte.toString(16)}`;
    const keys = [
      ["h", "print this help"],
      ["x", "exit emulator"],
      ["b", "send break (magic sysrq)"],
      ["c", "switch between console and monitor"],
      [escape, `sends ${escape}`],
    ];
    return `\r\n${keys.map(([key, meaning]) => `${escape} ${key}    ${meaning}\r\n`).join("")}`;
  }

  #setFocus(channel: MuxChannel): void {
    if (channel === this.#focus) return;
    this.#focus?.deliver();
    this.#focus?.hear("focusOut");
    this.#focus = channel;
    channel.hear("focusIn");
  }

  #say(text: string): void {
    for (let i = 0; i < text.length; i++) this.#own.pushByte(text.charCodeAt(i));
    this.#flushOwn();
  }

  #flushOwn(): void {
    while (!this.#backIsFull && this.#own.lengthBytes > 0) {
      const offered = this.#own.peek();
      const taken = this.#back.write(offered);
      this.#backIsFull = taken < offered.length;
      this.#own.drop(taken);
    }
  }

  #write(channel: MuxChannel, bytes: Uint8Array): number {
    this.#flushOwn();
    const taken = this.#backIsFull ? 0 : this.#back.write(bytes);
    if (taken === bytes.length) return taken;
    this.#backIsFull = true;
    this.#waiting.add(channel);
    return taken;
  }

  #writable(): void {
    this.#backIsFull = false;
    this.#flushOwn();
    // One that is turned away again goes to the end of the queue, so that none starves.
    for (const channel of [...this.#waiting]) {
      if (this.#backIsFull) return;
      this.#waiting.delete(channel);
      channel.writable();
    }
  }

  #remove(channel: MuxChannel): void {
    this.#waiting.delete(channel);
    if (this.#focus === channel && this.#channels.length > 1) this.#focusNext();
    this.#channels.splice(this.#channels.indexOf(channel), 1);
  }

  #focusNext(): void {
    const next = (this.#channels.indexOf(this.#focus!) + 1) % this.#channels.length;
    this.#setFocus(this.#channels[next]!);
  }

  #event(event: CharEvent): void {
    if (event === "opened" || event === "closed") this.#isOpen = event === "opened";
    if (event === "break") this.#focus?.queueBreak();
    else for (const channel of this.#channels) channel.hear(event);
  }
}
