/** Programs that packages are made with. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** What packages are made with is not on this machine; the message names the Debian package. */
export class NotInstalled extends Error {}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Path of the file that gets what it prints. */
  readonly output?: string;
}

/** Runs a program to its end and gives what it printed. Throws an `Error` with its words when it fails, and `NotInstalled` when it is not there. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const target = options.output === undefined ? undefined : openSync(options.output, 'w');
  try {
    // Nothing of the caller's but where programs are: locale, zone and umask stay out of the packages.
    const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env };
    const child = spawn(program, args, { env, stdio: ['ignore', target ?? 'pipe', 'pipe'] });
    const said = { out: '', error: '' };
    child.stdout?.on('data', (data: Buffer) => (said.out += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (said.error += data.toString()));
    const status = await new Promise<number | null>((done, failed) => {
      child.once('error', (cause: NodeJS.ErrnoException) =>
        failed(cause.code === 'ENOENT' ? new NotInstalled(missing(program)) : cause),
      );
      child.once('close', done);
    });
    if (status !== 0) throw new Error(`${program} ended with ${String(status)}:\n${said.error}${said.out}`);
    return said.out;
  } finally {
    if (target !== undefined) closeSync(target);
  }
}

const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  xz: 'xz-utils',
  rpmbuild: 'rpm',
  mksquashfs: 'squashfs-tools',
  patchelf: 'patchelf',
  tar: 'tar',
};

const missing = (program: string): string =>
  `no ${program} on this machine: apt-get install ${DEBIAN_PACKAGES[program] ?? program}`;
