// The smallest device type, for tests of queues and transports: it returns what it is sent, upside down.
import { describeState, field, u32 } from "../../state/index.ts";
import type { DescriptionOf } from "../../state/index.ts";
import { VirtioDevice, type RingOptions, type VirtioContext } from "./device.ts";
import type { Chain } from "./chain.ts";
import { commonFields, type CommonState } from "./state.ts";

type EchoState = CommonState & { served: number };

/** Queue 0 answers each buffer at once: the readable bytes, inverted. Queue 1 holds buffers until the test is done. */
export class EchoDevice extends VirtioDevice {
  readonly typeName = "echo";
  readonly deviceId = 0x2a;
  readonly stateDescription: DescriptionOf<EchoState> = describeState("echo", 1, [
    ...commonFields,
    field("served", u32),
  ]);
  readonly held: Chain[] = [];
  readonly configWrites: { offset: number; width: number; value: number }[] = [];
  served = 0;

  constructor(context: VirtioContext, ring: RingOptions = { indirectDescriptors: true, eventIdx: true }) {
    super(context, ring, { features: 0b101n, queueSizes: [8, 8], configLengthBytes: 12 });
    this.config.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  }

  /** Completes a held buffer. */
  finish(chain: Chain): void {
    this.queues[1]!.complete(chain, 0);
    this.queues[1]!.signal();
  }

  changeConfig(at: number, value: number): void {
    this.config[at] = value;
    this.configChanged();
  }

  saveState(): EchoState {
    return { ...this.saveCommon(), served: this.served };
  }

  loadState(values: EchoState): void {
    this.loadCommon(values);
    this.served = values.served;
  }

  protected override onConfigWrite(offset: number, width: number, value: number): void {
    this.configWrites.push({ offset, width, value });
  }

  protected override onNotify(queueIndex: number): void {
    const queue = this.queues[queueIndex]!;
    if (!queue.begin()) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      if (queueIndex === 1) {
        this.held.push(chain);
        continue;
      }
      const bytes = new Uint8Array(Math.min(chain.readableBytes, chain.writableBytes, 4096));
      if (!chain.read(0, bytes)) return this.fail("a buffer outside memory");
      for (let i = 0; i < bytes.length; i++) bytes[i] = ~bytes[i]!;
      if (!chain.write(0, bytes)) return this.fail("a buffer outside memory");
      this.served++;
      queue.complete(chain, bytes.length);
    }
    queue.signal();
  }
}
