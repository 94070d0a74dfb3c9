/**
 * `npm audit` over what is shipped. Fails on any known vulnerability; a registry that does not answer audits (mirrors often
 * do not) is said and proves nothing either way.
 */
import { spawnSync } from 'node:child_process';

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>;
  readonly message?: string;
}

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
const { vulnerabilities, message } = JSON.parse(stdout === '' ? '{}' : stdout) as Report;
if (vulnerabilities === undefined) {
  process.stdout.write(`SKIP npm audit: ${message ?? 'no answer'}\n0 passed, 0 failed, 1 skipped\n`);
} else {
  const found = Object.entries(vulnerabilities);
  for (const [name, { severity, range }] of found) process.stdout.write(`${name} ${range}: ${severity}\n`);
  process.stdout.write(found.length === 0 ? '1 passed, 0 failed\n' : `0 passed, ${String(found.length)} failed\n`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
