import t from 'tap';
import { serverFinding } from '../../../src/check/rules/servers.ts';
import { CertletError, type ErrorCode } from '../../../src/errors.ts';

for (const row of [
  { name: 'answers', code: undefined, id: 'servers', verdict: 'ok' },
  { name: 'knows the node and says no', code: 'ERR_API_FORBIDDEN', id: 'servers', verdict: 'ok' },
  { name: 'does not answer', code: 'ERR_API_UNREACHABLE', id: 'servers.silent', verdict: 'warning' },
  { name: 'fails', code: 'ERR_API_SERVER', id: 'servers.silent', verdict: 'warning' },
  { name: 'is under another CA', code: 'ERR_API_TLS', id: 'servers.untrusted', verdict: 'problem' },
  { name: 'has no names', code: 'ERR_API_TLS_NO_NAMES', id: 'servers.untrusted', verdict: 'problem' },
  { name: 'is of another cluster', code: 'ERR_API_UNAUTHORIZED', id: 'servers.refused', verdict: 'problem' },
] as const) {
  t.test(`a further API server that ${row.name}`, async (t) => {
    const code: ErrorCode | undefined = row.code;
    const error = code && new CertletError(code, 'why', { remedy: '# Mend it.' });
    const { id, verdict } = row;
    t.match(serverFinding('https://b:6443', error), { id, verdict, what: /https:\/\/b:6443/ });
  });
}
