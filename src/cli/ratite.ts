#!/usr/bin/env node
import { endProcess } from "./end-process.ts";
import { ratiteMain } from "./friendly.ts";

await endProcess(ratiteMain(process.argv.slice(2)));
