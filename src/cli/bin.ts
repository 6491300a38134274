#!/usr/bin/env node
import { main, watchOutput } from './main.ts';

watchOutput();
process.exitCode = await main(process.argv.slice(2));
