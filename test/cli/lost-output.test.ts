/** Standard output that takes nothing, or whose reader has gone: by the whole program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { bareEnvironment } from '../fixtures/environment.ts';
import { fullOutput, leftPipe } from '../fixtures/lost-outputs.ts';
import { certletCommand } from '../fixtures/program.ts';

async function ending(
  args: readonly string[],
  stdout: number,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const [program = '', ...rest] = certletCommand(args);
  const env = { ...bareEnvironment(), TZ: 'UTC' };
  const child = spawn(program, rest, { stdio: ['ignore', stdout, 'pipe'], env });
  closeSync(stdout);
  const { stderr: told } = child;
  if (told === null) throw new Error('standard error is no pipe');
  const [stderr] = await Promise.all([text(told), once(child, 'close')]);
  return { code: child.exitCode, stderr };
}

for (const args of [
  ['--version'],
  ['--help'],
  ['rbac'],
  ['completion', 'bash'],
  ['version', '-o', 'json'],
  ['token', 'create', '--print-secret'],
]) {
  t.test(`certlet ${args.join(' ')} > /dev/full ended with 0 and without a word, or with a stack`, async (t) => {
    const { code, stderr } = await ending(args, fullOutput());
    t.equal(code, 1);
    t.match(stderr, /^certlet: standard output: no space left on device \(ENOSPC\)\n(?: {2}do: [^\n]+\n)?$/);
  });

  t.test(`certlet ${args.join(' ')} with a reader that has gone is silent`, async (t) => {
    t.strictSame(await ending(args, leftPipe()), { code: 0, stderr: '' });
  });
}
