// A Unix socket between a source and a target in processes of their own, with a fault in one of its directions.
import { connect, createServer, type Server, type Socket } from "node:net";
import type { WayFault } from "./faulty-pipe.ts";
import { FaultyStream, type Struck } from "./faulty-stream.ts";

export interface FaultyProxy {
  readonly out: FaultyStream;
  readonly back: FaultyStream;
  close(): void;
}

/** Passes bytes from whoever connects to `listenAt` to `connectTo` and back, up to the fault. */
export async function faultyProxy(
  { listenAt, connectTo }: { readonly listenAt: string; readonly connectTo: string },
  faulty: WayFault | undefined,
  onStrike: (struck: Struck) => void,
): Promise<FaultyProxy> {
  const stream = (way: WayFault["way"]): FaultyStream =>
    new FaultyStream({ fault: faulty?.way === way ? faulty.fault : undefined, hasPreamble: way === "out", onStrike });
  const [out, back] = [stream("out"), stream("back")];
  const sockets: Socket[] = [];
  const close = (): void => sockets.forEach((socket) => socket.destroy());
  const server: Server = createServer((from) => {
    const to = connect(connectTo);
    sockets.push(from, to);
    for (const socket of [from, to]) socket.on("error", close).on("close", close);
    pass(from, to, out, close);
    pass(to, from, back, close);
  });
  server.listen(listenAt);
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    ...{ out, back },
    close() {
      close();
      server.close();
    },
  };
}

function pass(from: Socket, to: Socket, stream: FaultyStream, close: () => void): void {
  from.on("data", (bytes: Buffer) => {
    let hasRoom = true;
    stream.pass(bytes, (each) => {
      if (each.length > 0 && !to.destroyed) hasRoom = to.write(each);
    });
    // What came before the cut arrives, as it does when a host goes.
    if (stream.over === "cut") to.end(close);
    else if (stream.over === "stall") from.pause();
    else if (!hasRoom) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  });
}
