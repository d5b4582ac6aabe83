import { describe, expect, test } from "vitest";
import { ConsoleEnd } from "./console.ts";

interface Linked {
  readonly end: ConsoleEnd;
  readonly sent: string[];
  taken: number;
}

function linked(): Linked {
  const sent: string[] = [];
  const all: Linked = {
    sent,
    taken: 0,
    end: new ConsoleEnd({
      send: (bytes) => sent.push(Buffer.from(bytes).toString()),
      taken: (lengthBytes) => (all.taken += lengthBytes),
    }),
  };
  return all;
}

const say = ({ end }: Linked, text: string): void => end.receive(Buffer.from(text));

describe("reading", () => {
  test("all unread text comes at once, and a read waits when there is none", async () => {
    const console = linked();
    say(console, "a");
    say(console, "b");
    expect(await console.end.read()).toBe("ab");
    const later = console.end.read();
    say(console, "c");
    expect(await later).toBe("c");
  });

  test("a character in two pieces is put together", async () => {
    const console = linked();
    const [first = 0, ...rest] = Buffer.from("ä");
    console.end.receive(Uint8Array.of(first));
    console.end.receive(Uint8Array.from(rest));
    expect(await console.end.read()).toBe("ä");
  });

  test("a read after the end gives what is left, then nothing", async () => {
    const console = linked();
    say(console, "last words");
    console.end.end("the machine had ended");
    expect(await console.end.read()).toBe("last words");
    expect(await console.end.read()).toBe("");
  });

  test("an iteration sees everything and ends with the machine", async () => {
    const console = linked();
    const seen: string[] = [];
    const reading = (async (): Promise<void> => {
      for await (const text of console.end) seen.push(text);
    })();
    say(console, "one ");
    await Promise.resolve();
    say(console, "two");
    console.end.end("the machine had ended");
    await reading;
    expect(seen.join("")).toBe("one two");
  });

  test("unread text is bounded: the oldest goes, and its length is told", async () => {
    const console = linked();
    say(console, "x".repeat(2 ** 20));
    say(console, "new");
    expect(console.end.droppedCharacters).toBe(3);
    expect((await console.end.read()).endsWith("new")).toBe(true);
    expect(console.taken).toBe(2 ** 20 + 3);
  });

  test("while somebody iterates nothing is dropped; the guest waits instead", async () => {
    const console = linked();
    const iterator = console.end[Symbol.asyncIterator]();
    const first = iterator.next();
    say(console, "a");
    await first;
    say(console, "x".repeat(2 ** 20 + 5));
    expect(console.taken).toBe(1);
    expect(console.end.droppedCharacters).toBe(0);
    await iterator.next();
    expect(console.taken).toBe(2 ** 20 + 6);
    await iterator.return(undefined);
  });
});

describe("expecting", () => {
  test("a match uses up text to its end and gives what stood before", async () => {
    const console = linked();
    say(console, "boot\nlogin: root\n");
    expect(await console.end.expect(/log(\w+): /)).toEqual({ before: "boot\n", text: "login: ", groups: ["in"] });
    expect(await console.end.expect("root")).toMatchObject({ before: "" });
  });

  test("reading does not take text from an expectation", async () => {
    const console = linked();
    say(console, "prompt # ");
    await console.end.read();
    expect(await console.end.expect("# ")).toMatchObject({ before: "prompt " });
  });

  test("a time limit is a typed error that quotes the newest output", async () => {
    const console = linked();
    say(console, "kernel panic");
    await expect(console.end.expect("login:", { timeoutMs: 5 })).rejects.toMatchObject({
      name: "ConsoleError[timeout]",
      message: expect.stringContaining("kernel panic") as string,
    });
  });

  test("an aborted signal and a machine that ended are told apart", async () => {
    const console = linked();
    const stop = new AbortController();
    const waiting = console.end.expect("x", { signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
    const ending = console.end.expect("x");
    console.end.end("the machine had ended");
    await expect(ending).rejects.toMatchObject({ code: "ended" });
  });
});

describe("writing", () => {
  test("a write resolves when the guest has taken all of it", async () => {
    const console = linked();
    const order: string[] = [];
    const first = console.end.write("ab").then(() => order.push("first"));
    const second = console.end.write("c").then(() => order.push("second"));
    expect(console.sent).toEqual(["ab", "c"]);
    console.end.inputTaken(1);
    await Promise.resolve();
    expect(order).toEqual([]);
    console.end.inputTaken(2);
    await Promise.all([first, second]);
    expect(order).toEqual(["first", "second"]);
  });

  test("a write to a machine that ended is refused", async () => {
    const console = linked();
    const waiting = console.end.write("x");
    console.end.end("the machine had ended");
    await expect(waiting).rejects.toMatchObject({ code: "ended" });
    await expect(console.end.write("y")).rejects.toMatchObject({ code: "ended" });
  });
});
