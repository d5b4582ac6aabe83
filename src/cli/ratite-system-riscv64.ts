#!/usr/bin/env node
import { endProcess } from "./end-process.ts";
import { systemMain } from "./system.ts";

await endProcess(systemMain(process.argv.slice(2)));
