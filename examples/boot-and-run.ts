// Boots Debian's riscv64 kernel, runs a command in its shell and powers off:
//
//     npm run build && npx tsx --tsconfig tsconfig.build.json examples/boot-and-run.ts
//
// The guest is fetched into the cache when it is not there yet.
import { createMachine } from "ratite/node";

await using vm = await createMachine({ guest: "debian", memory: "512M", cpus: 1 });
await vm.start();

await vm.console.expect("~# ", { timeoutMs: 300_000 });
await vm.console.write("uname -a\n");
const { text } = await vm.console.expect(/Linux .*/);
console.log(text);

await vm.console.write("poweroff\n");
const { cause, status } = await vm.ended;
console.log(`ended by ${cause} with status ${status}`);
process.exitCode = status;
