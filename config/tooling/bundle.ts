/** The program as one CommonJS file. */
import { dirname, join, resolve } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import { slimStringWidth } from './slim-string-width.ts';
import { slimUndici, UNDICI_DEFINES } from './slim-undici.ts';
import { slimWinston } from './slim-winston.ts';

const root = resolve(import.meta.dirname, '../..');

/** What is shipped in `/usr/lib/certlet`. */
export const BUNDLES = [
  { entry: 'src/main.ts', file: 'certlet.cjs' },
  { entry: 'src/main-run.ts', file: 'certlet-run.cjs', names: false },
  { entry: 'src/adapters/hooks/restart-hold.ts', file: 'window.cjs' },
  { entry: 'src/launch/start.ts', file: 'start.cjs' },
  { entry: 'src/launch/build-cache.ts', file: 'build-cache.cjs' },
] as const;

/** Node's flags for the service on a small host (each measured on the bundle); none lets the environment or a signal open the inspector. */
export const NODE_FLAGS: readonly string[] = [
  '--max-old-space-size=48',
  // Of less, what a start makes is moved into the old space so fast that all of that is collected in the middle of it.
  '--min-semi-space-size=2',
  '--max-semi-space-size=2',
  // Node reads its own list of roots on a thread of its own in every process that loads TLS. Each connection is given the CAs that it is to trust.
  '--use-openssl-ca',
  '--v8-pool-size=1',
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

/** The program of the daemon hands lines that it does not read to the whole one, which lies beside it. */
const wholeProgram: Plugin = {
  name: 'whole-program',
  setup(builder) {
    builder.onResolve({ filter: /^\.\/main\.ts$/ }, () => ({ path: './certlet.cjs', external: true }));
  },
};

/** What holds restarts for a window lies beside the programs, with the calendar: who has set no window never loads it. */
const windowBeside: Plugin = {
  name: 'window-beside',
  setup(builder) {
    builder.onResolve({ filter: /\/restart-hold\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './window.cjs', external: true } : undefined,
    );
  },
};

export interface BundleOptions {
  /**
   * Functions and classes keep their names in stack traces, as they do unless told. Each costs a call when the program starts, a tenth of the
   * daemon's; methods have theirs anyway, and `source-of.ts` tells what a line and column of a trace was.
   */
  readonly names?: boolean;
  /** Writes `outfile` with `.map` behind it, which nothing in the program names. */
  readonly map?: boolean;
}

/** Bundles an entry file into `outfile`, and gives what went in. The same sources give the same bytes, with a map or without. */
export async function bundle(
  entry: string,
  outfile: string,
  { names = true, map = false }: BundleOptions = {},
): Promise<Metafile> {
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
    keepNames: names,
    sourcemap: map && 'external',
    // They go into THIRD-PARTY-LICENSES, whole: licenses.ts.
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [slimUndici, slimWinston, slimStringWidth, wholeProgram, windowBeside],
    // yargs is an ES module that looks at its own address, which CommonJS does not have.
    define: {
      'import.meta.url': '__bundleUrl',
      'import.meta.dirname': '__dirname',
      // Of two modules for its own diagnosis winston then takes the one without colours.
      'process.env.NODE_ENV': '"production"',
      ...UNDICI_DEFINES,
    },
    banner: { js: 'const __bundleUrl=require("node:url").pathToFileURL(__filename).href;' },
  });
  return metafile;
}

/** Files that the programs load from their own folder. */
const BESIDE = BUNDLES.filter(({ file }) => file === 'window.cjs');

/** The whole program as `outfile`, and what it loads beside it. */
export async function bundleProgram(outfile: string): Promise<void> {
  await bundle('src/main.ts', outfile);
  for (const { entry, file } of BESIDE) await bundle(entry, join(dirname(outfile), file));
}

if (import.meta.main) await bundleProgram(resolve(process.argv[2] ?? join(root, 'build/certlet.cjs')));
