// Character devices: -chardev, -serial.
import {
  bool,
  intRange,
  OptionError,
  OptionReader,
  parseOptions,
  size,
  str,
  type GivenOption,
  type ParsedOptions,
} from "../../object/index.ts";
import type { SocketAddress } from "../../host/node/index.ts";
import type { CharKind } from "../plan.ts";
import type { ConfigDraft } from "./draft.ts";
import { checkId } from "./machine.ts";
import { partsOf, refuseParameters, type QemuOption } from "./option.ts";

const KINDS: Readonly<Record<string, string>> = {
  stdio: "standard input and output",
  file: "a file that receives what the guest writes",
  socket: "a Unix or TCP stream, as server or client",
  ringbuf: "a ring in memory that keeps the newest bytes",
  null: "nothing; what is written is thrown away",
};

const FOREIGN_KINDS: Readonly<Record<string, string>> = {
  pty: "Node cannot make pseudo-terminals; a socket would do",
  pipe: "FIFOs are not implemented; a socket would do",
  udp: "only streams are implemented; socket would do",
  vc: "there is no display",
  serial: "host serial ports are not implemented",
  tty: "host serial ports are not implemented",
  parallel: "there is no parallel port",
  parport: "there is no parallel port",
  braille: "there is no Braille terminal",
  msmouse: "there is no mouse",
  wctablet: "there is no tablet",
  testdev: "there is no test device",
  spicevmc: "there is no SPICE server",
  spiceport: "there is no SPICE server",
  "qemu-vdagent": "there is no clipboard",
  dbus: "there is no D-Bus display",
  hub: "use mux=on to share a back end",
};

const CHARDEV_REFUSED: Readonly<Record<string, string>> = {
  logfile: "only the back end itself receives the bytes; use -chardev file",
  logappend: "there is no logfile",
  reconnect: "a lost connection is not made again",
  "reconnect-ms": "a lost connection is not made again",
  telnet: "the Telnet protocol is not spoken; use a plain socket",
  tn3270: "the Telnet protocol is not spoken; use a plain socket",
  websocket: "the WebSocket protocol is not spoken; use a plain socket",
  "tls-creds": "connections are not encrypted",
  "tls-authz": "connections are not encrypted",
  fd: "descriptors are not inherited",
  to: "name one port",
  ipv4: "give a numeric address",
  ipv6: "give a numeric address",
  abstract: "Node knows no abstract sockets; use path=",
  tight: "Node knows no abstract sockets; use path=",
  yank: "a monitor has no such command yet",
  "input-path": "a file gives no input",
};

const port = intRange("uint16", 1, 0xffff);

function readSocket(reader: OptionReader, parsed: ParsedOptions): CharKind {
  const path = reader.optional("path", str);
  const host = reader.optional("host", str);
  const portNumber = reader.optional("port", port);
  const server = reader.orElse("server", bool, false);
  const wait = reader.optional("wait", bool);
  const noDelay = reader.orElse("nodelay", bool, !reader.orElse("delay", bool, true));
  if (path === undefined && portNumber === undefined) {
    throw new OptionError("missingParameter", "A socket needs path=FILE, or host=ADDRESS and port=NUMBER", parsed);
  }
  if (path !== undefined && (host !== undefined || portNumber !== undefined)) {
    throw new OptionError("badValue", "A socket has either path= or host= and port=", parsed);
  }
  if (wait !== undefined && !server) {
    throw new OptionError("badValue", "'wait' option is incompatible with socket in client connect mode", parsed);
  }
  const address: SocketAddress =
    path === undefined
      ? { kind: "tcp", host: host ?? (server ? "0.0.0.0" : "localhost"), port: portNumber ?? 0 }
      : { kind: "unix", path };
  return { kind: "socket", address, server, wait: server && (wait ?? true), noDelay };
}

const ringSize = {
  ...size,
  parse(text: string) {
    const bytes = size.parse(text);
    return typeof bytes === "number" && (bytes === 0 || bytes > 2 ** 30 || (bytes & (bytes - 1)) !== 0)
      ? size.parse("not a power of two")
      : bytes;
  },
};

function readKind(kind: string, reader: OptionReader, parsed: ParsedOptions): CharKind {
  switch (kind) {
    case "null":
      return { kind };
    case "stdio":
      return { kind, signal: reader.orElse("signal", bool, true) };
    case "file":
      return { kind, path: reader.required("path", str), append: reader.orElse("append", bool, false) };
    case "ringbuf":
    case "memory":
      return { kind: "ringbuf", sizeBytes: reader.orElse("size", ringSize, 65536) };
    case "socket":
      return readSocket(reader, parsed);
    default:
      throw foreignKind(kind, parsed.subject);
  }
}

function foreignKind(kind: string, subject: string): OptionError {
  const reason = FOREIGN_KINDS[kind];
  if (reason !== undefined) {
    return new OptionError("unsupported", `Character device '${kind}' is not supported: ${reason}`, { subject });
  }
  const known = Object.keys(KINDS).join(", ");
  return new OptionError("badValue", `'${kind}' is not a valid char driver name; known are ${known}`, { subject });
}

function applyChardev(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  if (parsed.helpWanted) {
    const lines = Object.entries(KINDS).map(([kind, text]) => `  ${kind.padEnd(8)} ${text}`);
    draft.information = `Available chardev backend types:\n${lines.join("\n")}\n`;
    return;
  }
  refuseParameters(parsed, CHARDEV_REFUSED);
  const reader = new OptionReader(parsed);
  const kind = reader.required("backend", str);
  const id = reader.optional("id", str);
  if (id === undefined) throw new OptionError("missingParameter", "chardev: no id specified", given);
  checkId(id, parsed);
  if (draft.chardevs.some((other) => other.id === id)) {
    throw new OptionError("duplicate", `Duplicate ID '${id}' for chardev`, given);
  }
  const mux = reader.orElse("mux", bool, false);
  const backend = readKind(kind, reader, parsed);
  reader.end();
  // In the mux, keys belong to the guest; Ctrl-A is the way out.
  const inMux = backend.kind === "stdio" && mux && parsed.get("signal") === undefined;
  draft.chardevs.push({ id, subject: given.subject, mux, backend: inMux ? { ...backend, signal: false } : backend });
}

function applySerial(draft: ConfigDraft, given: GivenOption): void {
  const { subject, argument } = given;
  if (argument === "none") {
    draft.serials.push({ subject, chardev: undefined });
    return;
  }
  const isMux = argument.startsWith("mon:");
  const text = isMux ? argument.slice("mon:".length) : argument;
  if (!isMux && text.startsWith("chardev:")) {
    draft.serials.push({ subject, chardev: text.slice("chardev:".length) });
    return;
  }
  const id = `serial${draft.serials.length}`;
  const backend = legacyKind(text, isMux, given);
  draft.serials.push({ subject, chardev: { id, subject, mux: isMux, backend } });
}

/** The short forms of -serial and -qmp: `stdio`, `file:PATH`, `unix:PATH,server=on`, `tcp:HOST:PORT`. */
export function legacyKind(text: string, isMux: boolean, { option, subject }: GivenOption): CharKind {
  if (text === "null") return { kind: "null" };
  if (text === "stdio") return { kind: "stdio", signal: !isMux };
  const [word, rest] = splitOnce(text, ":");
  if (word === "file" && rest !== "") return { kind: "file", path: rest, append: false };
  if ((word === "unix" || word === "tcp") && rest !== "") {
    const [where, flags] = splitOnce(rest, ",");
    const parsed = parseOptions(`-${option.name}`, flags);
    refuseParameters(parsed, CHARDEV_REFUSED);
    const keys = word === "unix" ? { path: where } : hostAndPort(where, subject);
    const full = parseOptions(subject, [...Object.entries(keys).map(([k, v]) => `${k}=${v}`), flags].join(","));
    const reader = new OptionReader(full);
    const kind = readSocket(reader, full);
    reader.end();
    return kind;
  }
  if (text.startsWith("/dev/")) throw foreignKind("serial", subject);
  if (word === "telnet" || word === "websocket") {
    throw new OptionError("unsupported", `'${word}' is not supported: ${CHARDEV_REFUSED[word]}`, { subject });
  }
  const refusal = FOREIGN_KINDS[word] === undefined ? undefined : foreignKind(word, subject);
  const would = "stdio, mon:stdio, file:PATH, unix:PATH, tcp:HOST:PORT, chardev:ID, null and none would do";
  throw refusal ?? new OptionError("badValue", `'${text}' is not a character device; ${would}`, { subject });
}

function hostAndPort(where: string, subject: string): { host: string; port: string } | { port: string } {
  const match = /^(?:\[(.*)\]|([^:]*)):([0-9]+)$/.exec(where);
  if (match === null) throw new OptionError("badValue", `'${where}' is not HOST:PORT`, { subject });
  const host = match[1] ?? match[2] ?? "";
  return host === "" ? { port: match[3] ?? "" } : { host, port: match[3] ?? "" };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

const chardev: QemuOption = {
  name: "chardev",
  section: "Character devices",
  argument: { impliedKey: "backend" },
  synopsis: "stdio|file|socket|ringbuf|null,id=ID[,mux=on|off][,PARAMETER=VALUE...]",
  description: "A character back end: stdio[,signal=], file,path=, socket,path= or host=,port=, ringbuf[,size=], null",
  example: "-chardev socket,id=c0,path=/tmp/console,server=on,wait=off -serial chardev:c0",
  differs: "these five kinds; no reconnect, Telnet, WebSocket, TLS or logfile",
  refusedParameters: CHARDEV_REFUSED,
  apply: applyChardev,
};

const serial: QemuOption = {
  name: "serial",
  section: "Character devices",
  argument: "text",
  synopsis: "stdio|mon:stdio|file:PATH|unix:PATH[,server=on][,wait=off]|tcp:HOST:PORT|chardev:ID|null|none",
  description: "What the board's serial port is connected to; mon:stdio when nothing is said",
  example: "-serial unix:/tmp/console,server=on,wait=off",
  apply: applySerial,
};

export const characterOptions: readonly QemuOption[] = [chardev, serial];
