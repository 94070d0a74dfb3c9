import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { asset } from '../fixtures/assets.ts';
import { run } from '../fixtures/processes.ts';

/** Reads the kubeconfig at a path and sends one request to where it leads; gives the reader's own words. */
export type Reader = (path: string) => Promise<string>;

/** What decides besides the kubeconfig: nothing of the host's. */
export interface Surroundings {
  readonly home: string;
  /** The file with the roots that the host would trust. */
  readonly hostRoots: string;
}

function environment({ home, hostRoots }: Surroundings): NodeJS.ProcessEnv {
  return { PATH: '/usr/bin:/bin', HOME: home, LANG: 'C.UTF-8', SSL_CERT_FILE: hostRoots, SSL_CERT_DIR: home };
}

export interface Kubectl {
  readonly path: string;
  /** [major, minor]; [0, 0] for a build without version stamp. */
  readonly release: readonly [number, number];
}

/**
 * The newest kubectl of KUBEBUILDER_ASSETS, of the tree that test/systemd/newer-tree makes from Debian's packages, and of
 * COMPARISON_KUBECTL; undefined where there is none. A build without version stamp counts as the oldest.
 */
export async function newestKubectl(): Promise<Kubectl | undefined> {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const tree = process.env['NEWER_TREE_DIR'] ?? join(cache, 'certlet-debian-13');
  const paths = [process.env['COMPARISON_KUBECTL'], join(tree, 'usr/bin/kubectl'), asset('kubectl')];
  const found: Kubectl[] = [];
  for (const path of paths) {
    if (path === undefined || !runs(path)) continue;
    const { stdout } = await run(path, ['version', '--client', '--output=json']);
    const [, major = 0, minor = 0] = /"gitVersion": "v(\d+)\.(\d+)\./.exec(stdout) ?? [];
    found.push({ path, release: [Number(major), Number(minor)] });
  }
  return found.toSorted((one, other) => other.release[0] - one.release[0] || other.release[1] - one.release[1])[0];
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One kubectl for each reading: it has no other way to be asked. */
export function kubectlReader(kubectl: string, surroundings: Surroundings): Reader {
  const env = environment(surroundings);
  return async (path) => {
    // One request, by the path that the server's URL gives: `get --raw` leaves that out.
    const args = ['--kubeconfig', path, '--request-timeout=5s', 'version', '--output=json'];
    const { status, stdout, stderr } = await run(kubectl, args, { env, timeoutSeconds: 15 });
    return status === 0 ? 'answered' : (stderr || stdout).trim();
  };
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** certlet in one process for all readings; a new one where an input has ended it. */
export class CertletReader {
  readonly #env: NodeJS.ProcessEnv;
  #child: Child | undefined;
  #lines: AsyncIterator<string, undefined> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(surroundings: Surroundings) {
    this.#env = environment(surroundings);
  }

  /** Readings take turns. */
  readonly read: Reader = (path) => {
    const reading = this.#turn.then(() => this.#read(path));
    this.#turn = reading.catch(() => undefined);
    return reading;
  };

  async #read(path: string): Promise<string> {
    if (this.#child === undefined) this.#start();
    const child = this.#child;
    child?.stdin.write(`${path}\n`);
    const line = await this.#lines?.next();
    if (line !== undefined && line.done !== true) return (JSON.parse(line.value) as { readonly words: string }).words;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return `certlet's process has ended: ${child?.signalCode ?? `status ${String(child?.exitCode)}`}`;
  }

  #start(): void {
    const program = join(import.meta.dirname, 'reader-program.ts');
    const args = ['--disable-warning=ExperimentalWarning', program];
    this.#child = spawn(process.execPath, args, { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.resume();
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.stdin.end();
    await once(child, 'exit');
  }
}
