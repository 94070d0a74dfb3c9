/**
 * What can be said about the units without a booted systemd: `systemd-analyze verify` finds nothing, and their exposure stays low.
 * `node config/tooling/check-units.ts`; one SKIP line where there is no systemd-analyze.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const systemd = resolve(import.meta.dirname, '../../systemd');
const read = (path: string): string => readFileSync(join(systemd, path), 'utf8');

/** Highest exposure, as `systemd-analyze security` counts it times ten. */
const LIMITS = [
  { unit: 'certlet.service', dropIns: [], limit: 16 },
  { unit: 'certlet.service', dropIns: ['own-user.conf'], limit: 13 },
  { unit: 'certlet-once.service', dropIns: [], limit: 16 },
  { unit: 'certlet-once.service', dropIns: ['own-user.conf'], limit: 13 },
  { unit: 'certlet-cache.service', dropIns: [], limit: 16 },
  { unit: 'certlet-unseal.service', dropIns: [], limit: 17 },
  { unit: 'certlet-approver.service', dropIns: [], limit: 13 },
  { unit: 'certlet-kubelet-restart.service', dropIns: [], limit: 20 },
] as const;

/** systemd-analyze asks whether programs are there; on the machine that checks, certlet is not. */
const withPrograms = (text: string): string =>
  text
    .replaceAll('/usr/bin/certlet', '/bin/true')
    .replaceAll('/usr/lib/certlet/certlet-cache', '/bin/true')
    .replaceAll('/etc/certlet/hooks/%i', '/bin/true');

function analyze(...args: readonly string[]): { readonly status: number; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status: status ?? 1, output: `${stdout}${stderr}`.trim() };
}

/** Its exit code is 0 for unknown keys and bad values, so any output counts. */
function verifyProblems(folder: string): readonly string[] {
  const units = readdirSync(systemd).filter((name) => /\.(service|path|timer)$/.test(name));
  for (const name of units) writeFileSync(join(folder, name), withPrograms(read(name)));
  const dropIns = join(folder, 'certlet.service.d');
  mkdirSync(dropIns);
  const check = (name: string): readonly string[] => {
    const { output } = analyze('verify', '--man=no', join(folder, name.replace('@.', '@example.')));
    return output === '' ? [] : [output];
  };
  const alone = units.flatMap(check);
  const names = readdirSync(join(systemd, 'drop-ins/certlet.service.d')).filter((name) => name.endsWith('.conf'));
  return [
    ...alone,
    ...names.flatMap((name) => {
      writeFileSync(join(dropIns, 'drop-in.conf'), withPrograms(read(`drop-ins/certlet.service.d/${name}`)));
      return check('certlet.service').map((output) => `with ${name}: ${output}`);
    }),
  ];
}

function exposureProblems(folder: string): readonly string[] {
  return LIMITS.flatMap(({ unit, dropIns, limit }) => {
    const text = [read(unit), ...dropIns.map((name) => read(`drop-ins/certlet.service.d/${name}`))].join('\n');
    const path = join(folder, unit);
    writeFileSync(path, text);
    const { status, output } = analyze(
      'security',
      '--offline=true',
      `--threshold=${String(limit)}`,
      '--no-pager',
      path,
    );
    const score = /exposure level for \S+: (\d+\.\d)/.exec(output)?.[1] ?? '?';
    const name = [unit, ...dropIns].join(' with ');
    console.log(`${name}: exposure ${score}, at most ${(limit / 10).toFixed(1)}`);
    return status === 0 ? [] : [`${name}: exposure ${score} is more than ${(limit / 10).toFixed(1)}`];
  });
}

if (spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).error !== undefined) {
  console.log('SKIP: units not checked: no systemd-analyze (apt-get install systemd)');
} else {
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'certlet-units-')));
  try {
    const problems = [...verifyProblems(folders[0] ?? ''), ...exposureProblems(folders[1] ?? '')];
    for (const problem of problems) console.error(problem);
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}
