import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QmpClient } from "../test/support/qmp-client.ts";
const f = mkdtempSync("/tmp/stall/y");
const [dir, limit] = process.argv.slice(2) as [string, string];
async function start(n: string, more: string[]) {
  const k = spawn(
    process.execPath,
    [
      join(dir, "dist/bin/ratite-system-riscv64.js"),
      "-M",
      "virt",
      "-m",
      "512M",
      "-display",
      "none",
      "-kernel",
      process.env.KERNEL!,
      "-initrd",
      process.env.INITRD!,
      "-append",
      "console=ttyS0",
      "-nic",
      "none",
      "-qmp",
      `unix:${f}/${n},server=on,wait=off`,
      ...more,
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const c = await QmpClient.connect(join(f, n));
  await c.negotiate();
  return { k, c };
}
const s = await start("s", ["-serial", `file:${f}/con`]);
for (
  let i = 0;
  i < 1200 &&
  !(existsSync(`${f}/con`) && /(# |initramfs\)|login:)/.test(readFileSync(`${f}/con`, "latin1").slice(-200)));
  i++
)
  await sleep(100);
await sleep(2000);
const t = await start("t", ["-serial", "null", "-incoming", `unix:${f}/m`]);
await sleep(800);
for (const x of [s, t])
  await x.c.execute("migrate-set-capabilities", { capabilities: [{ capability: "return-path", state: true }] });
await s.c.execute("migrate-set-parameters", { "max-bandwidth": Number(limit) * 2 ** 20 });
await s.c.execute("migrate", { uri: `unix:${f}/m` });
let q: any;
do {
  await sleep(100);
  q = await s.c.execute("query-migrate");
} while (!["completed", "failed"].includes(q.status));
console.log(
  dir,
  limit,
  q.status,
  q["error-desc"] ?? "",
  "total",
  q["total-time"],
  "down",
  q.downtime,
  "MiB",
  (q.ram.transferred / 2 ** 20).toFixed(1),
  "normal",
  q.ram.normal,
  JSON.stringify(await t.c.execute("query-status")),
);
s.k.kill();
t.k.kill();
process.exit(0);
