import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { loopbackLeaf } from '../../fixtures/http/api.ts';
import type { Discovery } from '../../fixtures/http/discover-by-host-roots.ts';
import { sendJson, startServer } from '../../fixtures/http/scripted-server.ts';

const PROGRAM = join(import.meta.dirname, '../../fixtures/http/discover-by-host-roots.ts');

t.test("without a CA in the kubeconfig the host's own roots count", async (t) => {
  const corporate = createAuthority({ name: 'corporate' });
  const answer = { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] };
  const trusted = await startServer({ leaf: loopbackLeaf(corporate) }, (_, response) =>
    sendJson(response, 200, answer),
  );
  const foreign = await startServer({ leaf: loopbackLeaf(createAuthority({ name: 'other' })) }, () => undefined);
  t.teardown(() => Promise.all([trusted.close(), foreign.close()]));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', PROGRAM, trusted.url, foreign.url],
    { env: { SSL_CERT_FILE: join(t.testdir({ 'roots.pem': corporate.pem }), 'roots.pem') } },
  );
  const [known, unknown] = JSON.parse(stdout) as readonly Discovery[];
  t.strictSame(known, { version: 'v1' });
  t.equal(unknown?.code, 'ERR_API_TLS');
  t.notMatch(unknown?.message, /Node\.js/);
});
