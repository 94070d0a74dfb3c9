/**
 * certlet's side of the comparison as a process of its own, since an input may end it: for each line with the path of a kubeconfig
 * it reads that as the daemon does, sends one request as the daemon would, and answers with one line of JSON.
 */
import { createInterface } from 'node:readline';
import { createApiConnector } from '../../../src/adapters/api/connector.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { readKubeconfig } from '../../../src/adapters/kubeconfig-files.ts';
import { isCertletError } from '../../../src/errors.ts';

/** Longer than anything on loopback takes. */
const TIMEOUT_MS = 5_000;

const connector = createApiConnector({
  version: 'comparison',
  environment: process.env,
  now: () => new Date(),
  timeouts: { connectMs: TIMEOUT_MS, headersMs: TIMEOUT_MS, totalMs: TIMEOUT_MS, execMs: TIMEOUT_MS },
});
const options = {
  fs: new NodeFileSystem(),
  uid: process.getuid?.() ?? 0,
  searchPath: process.env['PATH'] ?? '',
};

async function read(path: string): Promise<string> {
  const reading = await readKubeconfig(path, options);
  if (reading.kind === 'absent') return 'no file';
  if (reading.kind === 'unusable') return wordsOf(reading.error);
  const { cluster, credential } = reading.config;
  const connection = connector.connect(cluster, credential);
  try {
    await connection.request('GET', '/version', undefined, AbortSignal.timeout(2 * TIMEOUT_MS));
    return 'answered';
  } finally {
    await connection.close();
  }
}

function wordsOf(error: unknown): string {
  return isCertletError(error) ? `${error.code}: ${error.message}` : String(error);
}

for await (const path of createInterface({ input: process.stdin })) {
  const words = await read(path).catch(wordsOf);
  process.stdout.write(`${JSON.stringify({ words })}\n`);
}
