/**
 * What tests start as certlet: the bundle beside this file, from what earlier runs of it compiled. Node's own cache of compiled code holds of a file no
 * more than its top level; here are the functions too that ran. With `CERTLET_WARM_UP` a run adds its functions at its end.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runScript, scriptOf } from '../../src/launch/compile.ts';

const path = join(import.meta.dirname, 'certlet-whole.cjs');
const compiled = join(import.meta.dirname, 'compiled');
const script = scriptOf({ path, bytes: readFileSync(path) }, existsSync(compiled) ? readFileSync(compiled) : undefined);
if (process.env['CERTLET_WARM_UP'] !== undefined)
  process.once('exit', () => writeFileSync(compiled, script.createCachedData()));
runScript(script, path);
