#!/usr/bin/env node
/** Starts the program `spillway`. This file alone is compiled at each start: it turns on the cache for the others. */

import { boundYoungGarbage } from './common/bounded-garbage.js';
import { cacheCompiledCode } from './start/compile-cache.js';

// First: V8 refuses code that it has compiled with other flags.
boundYoungGarbage();
cacheCompiledCode(process.env);
void import('./program.js');
