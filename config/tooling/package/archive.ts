/** Archives whose bytes depend on their content alone. */
import type { Build } from './build.ts';
import { runProgram } from './run-program.ts';

/** A tar of all below `folder` by GNU tar: names from `./`, sorted, owned by root, with the build's time. */
export async function tarOf(folder: string, output: string, epochSeconds: number): Promise<void> {
  const owner = ['--owner=root:0', '--group=root:0', '--sort=name', `--mtime=@${String(epochSeconds)}`];
  await runProgram('tar', ['--format=gnu', ...owner, '-C', folder, '-c', '-f', output, '.']);
}

/** One thread: with more, the bytes would depend on their number. Levels above 6 take more memory to unpack than an edge host has to spare. */
export async function xzOf(input: string, output: string, build: Pick<Build, 'quick' | 'architecture'>): Promise<void> {
  const preset = build.quick ? '0' : '6e';
  const args = ['--threads=1', '--format=xz', ...build.architecture.filter, `--lzma2=preset=${preset}`];
  await runProgram('xz', [...args, '--stdout', '--keep', input], { output });
}

const AR_MAGIC = '!<arch>\n';

/** An `ar` archive as deb(5) wants it: short names, mode 0644, owned by root. */
export function arOf(members: readonly (readonly [name: string, content: Buffer])[], epochSeconds: number): Buffer {
  const parts = members.flatMap(([name, content]) => {
    const time = String(epochSeconds).padEnd(12);
    const header = `${name.padEnd(16)}${time}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}`;
    const size = String(content.length).padEnd(10);
    return [Buffer.from(`${header}${size}\`\n`, 'latin1'), content, Buffer.from(content.length % 2 === 1 ? '\n' : '')];
  });
  return Buffer.concat([Buffer.from(AR_MAGIC), ...parts]);
}
