import { describe, expect, test } from "vitest";
import { Expecter, ExpectError } from "./expect.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("expect", () => {
  test("resolves when the text has come, with what went before", async () => {
    const output = new Expecter();
    const login = output.expect("login: ");
    output.feed(utf8("Debian\nlog"));
    output.feed(utf8("in: "));
    await expect(login).resolves.toEqual({ before: "Debian\n", text: "login: ", groups: [] });
  });

  test("finds text that is there already", async () => {
    const output = new Expecter();
    output.feed(utf8("# "));
    await expect(output.expect("# ")).resolves.toMatchObject({ text: "# " });
  });

  test("gives the groups of a regular expression", async () => {
    const output = new Expecter();
    output.feed(utf8("Linux version 6.12.1 (x)"));
    await expect(output.expect(/version (?:(\d+)\.(\d+))/)).resolves.toMatchObject({ groups: ["6", "12"] });
  });

  test("uses up what it has matched", async () => {
    const output = new Expecter();
    output.feed(utf8("$ one $ two"));
    await output.expect("$ ");
    await expect(output.expect("$ ")).resolves.toMatchObject({ before: "one " });
  });

  test("calls that wait are answered in their order", async () => {
    const output = new Expecter();
    const order: string[] = [];
    const first = output.expect("b").then(() => order.push("b"));
    const second = output.expect("a").then(() => order.push("a"));
    output.feed(utf8("a b a"));
    await Promise.all([first, second]);
    expect(order).toEqual(["b", "a"]);
  });

  test("a global expression starts anew each time", async () => {
    const output = new Expecter();
    const pattern = /x/g;
    output.feed(utf8("xx"));
    await output.expect(pattern);
    await expect(output.expect(pattern)).resolves.toMatchObject({ before: "" });
  });

  test("a character that is split between two pieces is one character", async () => {
    const output = new Expecter();
    const bytes = utf8("é");
    output.feed(bytes.subarray(0, 1));
    output.feed(bytes.subarray(1));
    await expect(output.expect("é")).resolves.toMatchObject({ before: "" });
  });

  test("rejects when the output ends, showing its tail", async () => {
    const output = new Expecter();
    const waiting = output.expect(/login/);
    output.feed(utf8("Kernel panic"));
    output.end("the machine ended");
    await expect(waiting).rejects.toThrow(
      'Waiting for /login/ found no match before the machine ended; the output ends with "Kernel panic"',
    );
    await expect(output.expect("x")).rejects.toBeInstanceOf(ExpectError);
  });

  test("text that came before the end can still be matched", async () => {
    const output = new Expecter();
    output.feed(utf8("bye"));
    output.end("the machine ended");
    await expect(output.expect("bye")).resolves.toMatchObject({ text: "bye" });
  });

  test("an abort gives up and lets the next one have its turn", async () => {
    const output = new Expecter();
    const controller = new AbortController();
    const first = output.expect("never", { signal: controller.signal });
    const second = output.expect("now");
    output.feed(utf8("now"));
    controller.abort();
    await expect(first).rejects.toMatchObject({ code: "aborted" });
    await expect(second).resolves.toMatchObject({ text: "now" });
  });

  test("a signal that is aborted already rejects at once", async () => {
    const output = new Expecter();
    await expect(output.expect("x", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  });
});
