/** The program as one CommonJS file. */
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');

/**
 * The parts of undici that `src/adapters/api/dispatcher.ts` uses. The package's own index also loads fetch, WebSocket, caches and mocks:
 * 4 MiB of resident memory that the service has no use for. A name missing here fails the build; undici is pinned to one version, and
 * the systemd suite runs the bundle.
 */
const SLIM_UNDICI = `
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Client from 'undici/lib/dispatcher/client.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';
import buildConnector from 'undici/lib/core/connect.js';
import request from 'undici/lib/api/api-request.js';
Object.assign(Dispatcher.prototype, { request });
export { Agent, buildConnector, Client, Pool, ProxyAgent };
`;

const slimUndici: Plugin = {
  name: 'slim-undici',
  setup(builder) {
    builder.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'slim' }));
    builder.onLoad({ filter: /^undici$/, namespace: 'slim' }, () => ({ contents: SLIM_UNDICI, resolveDir: root }));
  },
};

/** Node's flags for the service on a small host (each measured on the bundle); none lets the environment or a signal open the inspector. */
export const NODE_FLAGS: readonly string[] = [
  '--max-old-space-size=48',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

/** Bundles an entry file into `outfile`. The same sources give the same bytes. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    minify: true,
    // Stack traces in error reports stay readable.
    keepNames: true,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [slimUndici],
    // yargs is an ES module that looks at its own address, which CommonJS does not have.
    define: { 'import.meta.url': '__bundleUrl' },
    banner: { js: 'const __bundleUrl=require("node:url").pathToFileURL(__filename).href;' },
  });
}

if (import.meta.main) await bundle('src/main.ts', resolve(process.argv[2] ?? join(root, 'build/certlet.cjs')));
