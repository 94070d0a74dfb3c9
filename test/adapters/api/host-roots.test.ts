/** Whom a connection trusts, with the flags of the launcher: one of them changes where Node itself looks for roots. */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { NODE_FLAGS } from '../../../config/tooling/bundle.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { loopbackLeaf } from '../../fixtures/http/api.ts';
import type { Discovery } from '../../fixtures/http/discover-by-host-roots.ts';
import { sendJson, startServer } from '../../fixtures/http/scripted-server.ts';

const PROGRAM = join(import.meta.dirname, '../../fixtures/http/discover-by-host-roots.ts');
const corporate = createAuthority({ name: 'corporate' });
const other = createAuthority({ name: 'other' });

/** The file of a host whose only root is the corporate one. */
const rootsOf = (t: Test): string => join(t.testdir({ 'roots.pem': corporate.pem }), 'roots.pem');

/** What a server below the corporate CA comes to, and one below another. */
async function asked(
  t: Test,
  env: { readonly CLUSTER_CA?: string; readonly SSL_CERT_FILE: string },
): Promise<readonly Discovery[]> {
  const answer = { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] };
  const servers = await Promise.all(
    [corporate, other].map((authority) =>
      startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, answer)),
    ),
  );
  t.teardown(() => Promise.all(servers.map((server) => server.close())));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...NODE_FLAGS, PROGRAM, ...servers.map(({ url }) => url)],
    { env, timeout: 60_000, killSignal: 'SIGKILL' },
  );
  return JSON.parse(stdout) as readonly Discovery[];
}

t.test("without a CA in the kubeconfig the host's own roots count", async (t) => {
  const [known, unknown] = await asked(t, { SSL_CERT_FILE: rootsOf(t) });
  t.strictSame(known, { version: 'v1' });
  t.equal(unknown?.code, 'ERR_API_TLS');
  t.notMatch(unknown?.message, /Node\.js/);
});

t.test("beside a CA in the kubeconfig none of the host's roots counts", async (t) => {
  const [ofHost, ofCluster] = await asked(t, { CLUSTER_CA: other.pem, SSL_CERT_FILE: rootsOf(t) });
  t.equal(ofHost?.code, 'ERR_API_TLS');
  t.strictSame(ofCluster, { version: 'v1' });
});

t.test(
  "beside a CA in the kubeconfig OpenSSL's own file of roots is not even opened: here it is a pipe without an end",
  async (t) => {
    const pipe = join(t.testdir({}), 'roots.pem');
    execFileSync('mkfifo', [pipe]);
    const [, ofCluster] = await asked(t, { CLUSTER_CA: other.pem, SSL_CERT_FILE: pipe });
    t.strictSame(ofCluster, { version: 'v1' });
  },
);
