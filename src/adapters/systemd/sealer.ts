/** Sealing to this host: systemd-creds(1), with the host's key and, where there is one, its TPM. */
import { spawn } from 'node:child_process';
import { CertletError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import { errnoOf } from '../file-errors.ts';

/** The name that is sealed in, as certlet-unseal.service asks for it: under another one the content does not open. */
const CREDENTIAL_NAME = 'bootstrap-kubeconfig';
/** The first systemd with systemd-creds. */
const LEAST_VERSION = 250;
/** A TPM takes seconds. */
const LIMIT_MS = 60_000;

export interface Sealer {
  /** Throws `ERR_USAGE` where this host cannot seal, before anything is asked of a cluster. */
  check(): Promise<void>;
  /** What can be opened on this host alone. Throws `ERR_STORE_IO` with the tool's words. */
  seal(content: Secret): Promise<string>;
}

/** Seals with the `systemd-creds` that `searchPath` (a `PATH`) leads to. */
export function createSealer(searchPath: string): Sealer {
  const run = (args: readonly string[], input?: Secret): Promise<Ended> =>
    runTool(['systemd-creds', ...args], searchPath, input);
  return {
    check: async () => {
      const { missing, output } = await run(['--version']);
      const version = Number(/^systemd (\d+)/.exec(output)?.[1] ?? 0);
      if (missing || version < LEAST_VERSION)
        throw new CertletError(
          'ERR_USAGE',
          missing
            ? `--seal: there is no systemd-creds on this host; it comes with systemd ${String(LEAST_VERSION)}`
            : `--seal needs systemd ${String(LEAST_VERSION)} or later, and this host has ${String(version)}`,
          { remedy: '# Give the same command without --seal: the bootstrap kubeconfig is then a file for root alone.' },
        );
    },
    seal: async (content) => {
      const { status, output, words } = await run(['encrypt', `--name=${CREDENTIAL_NAME}`, '-', '-'], content);
      if (status === 0 && output !== '') return output;
      throw new CertletError(
        'ERR_STORE_IO',
        `the bootstrap kubeconfig could not be sealed: systemd-creds ended with ${String(status)}: ${words}`,
        { remedy: 'systemd-creds setup   # makes the key of this host; it wants to write /var/lib/systemd' },
      );
    },
  };
}

interface Ended {
  readonly missing: boolean;
  readonly status: number | null;
  readonly output: string;
  readonly words: string;
}

function runTool(command: readonly string[], searchPath: string, input: Secret | undefined): Promise<Ended> {
  const [program = '', ...args] = command;
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: { PATH: searchPath, LC_ALL: 'C.UTF-8' }, timeout: LIMIT_MS });
    const said = { output: '', words: '' };
    child.stdout.on('data', (data: Buffer) => (said.output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (said.words += data.toString()));
    child.once('error', (cause) => {
      if (errnoOf(cause) === 'ENOENT') done({ missing: true, status: null, output: '', words: '' });
      else failed(new CertletError('ERR_STORE_IO', `systemd-creds cannot be run: ${cause.message}`, { cause }));
    });
    child.once('close', (status) =>
      done({ missing: false, status, output: said.output, words: said.words.trim().replaceAll('\n', '; ') }),
    );
    // A tool that ends before it has read tells why by its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input?.reveal());
  });
}
