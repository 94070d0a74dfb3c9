/** The program as one CommonJS file. */
import { join, resolve } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { slimUndici } from './slim-undici.ts';

const root = resolve(import.meta.dirname, '../..');

/** Node's flags for the service on a small host (each measured on the bundle); none lets the environment or a signal open the inspector. */
export const NODE_FLAGS: readonly string[] = [
  '--max-old-space-size=48',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

/** Bundles an entry file into `outfile`, and gives what went in. The same sources give the same bytes. */
export async function bundle(entry: string, outfile: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    minify: true,
    metafile: true,
    // Stack traces in error reports stay readable.
    keepNames: true,
    // They go into THIRD-PARTY-LICENSES, whole: licenses.ts.
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [slimUndici],
    // yargs is an ES module that looks at its own address, which CommonJS does not have.
    define: { 'import.meta.url': '__bundleUrl' },
    banner: { js: 'const __bundleUrl=require("node:url").pathToFileURL(__filename).href;' },
  });
  return metafile;
}

if (import.meta.main) await bundle('src/main.ts', resolve(process.argv[2] ?? join(root, 'build/certlet.cjs')));
