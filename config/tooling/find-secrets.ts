/**
 * `node config/tooling/find-secrets.ts FOLDER [LOG...]`: looks for each secret that the suites used (FOLDER/secrets) in everything that the
 * programs under test printed (FOLDER/output-*.log) and in the suites' own logs. Ends with 1 where one shows, and where there was nothing to look for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Leak {
  readonly file: string;
  readonly line: number;
  /** The line with the secret blotted out. */
  readonly text: string;
}

/** The name of a test may be a command line with a token; it comes from the test and not from certlet. */
const TEST_NAME = /^\s*(# Subtest: |(not )?ok \d+ - )/;
const LABEL = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** No secret is shorter: by its first characters it is found in one pass over a text. */
const PREFIX = 8;

/** Lines of `text` that hold one of the secrets, or any private key. */
export function findLeaks(file: string, text: string, secrets: readonly string[]): readonly Leak[] {
  const byPrefix = Map.groupBy(secrets, (secret) => secret.slice(0, PREFIX));
  const secretIn = (row: string): string | undefined => {
    for (let at = 0; at + PREFIX <= row.length; at += 1) {
      const found = byPrefix.get(row.slice(at, at + PREFIX))?.find((secret) => row.startsWith(secret, at));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return text.split('\n').flatMap((row, index) => {
    if (TEST_NAME.test(row)) return [];
    const found = LABEL.test(row) ? 'PRIVATE KEY' : secretIn(row);
    return found === undefined
      ? []
      : [{ file, line: index + 1, text: row.replaceAll(found, '[secret]').slice(0, 300) }];
  });
}

if (import.meta.main) {
  const [folder = '', ...logs] = process.argv.slice(2);
  const secrets = [...new Set(readFileSync(join(folder, 'secrets'), 'utf8').split('\n').filter(Boolean))];
  const outputs = readdirSync(folder).filter((name) => name.startsWith('output-'));
  const texts = [...outputs.map((name) => join(folder, name)), ...logs].map((path) => ({
    path,
    text: readFileSync(path, 'utf8'),
  }));
  const leaks = texts.flatMap(({ path, text }) => findLeaks(basename(path), text, secrets));
  for (const { file, line, text } of leaks.slice(0, 40)) console.log(`${file}:${String(line)}: ${text}`);
  const characters = texts.reduce((sum, { text }) => sum + text.length, 0);
  console.log(
    `# figure secrets looked for: ${String(secrets.length)} in ${String(characters)} characters of ${String(texts.length)} files, ${String(leaks.length)} found`,
  );
  if (leaks.length > 0 || secrets.length === 0 || outputs.length === 0) process.exitCode = 1;
}
