// For tests: the Python client that QEMU's project writes, `qemu.qmp`: the installed one, else the one of QEMU's source that
// `npm run reference:qmp` put into the cache.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { referenceRoot } from "./reference-qemu.ts";

/** Where `npm run reference:qmp` puts it: what is to stand in PYTHONPATH. */
export function referenceQmpRoot(): string {
  return join(dirname(referenceRoot()), "reference-qmp");
}

/** An environment in which python3 has the module, or why there is none. */
export function qmpPython(): { readonly env: NodeJS.ProcessEnv } | { readonly missing: string } {
  const { PYTHONPATH: own } = process.env;
  const paths = own === undefined ? referenceQmpRoot() : `${own}:${referenceQmpRoot()}`;
  for (const env of [process.env, { ...process.env, PYTHONPATH: paths }]) {
    try {
      execFileSync("python3", ["-c", "import qemu.qmp"], { stdio: "ignore", env });
      return { env: { ...env, PYTHONDONTWRITEBYTECODE: "1" } };
    } catch {
      continue;
    }
  }
  return { missing: "python3 has no module qemu.qmp; npm run reference:qmp fetches it" };
}
