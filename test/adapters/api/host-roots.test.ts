import { join } from 'node:path';
import t from 'tap';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { connect, failureOf, loopbackLeaf, never } from '../../fixtures/http/api.ts';
import { sendJson, startServer } from '../../fixtures/http/scripted-server.ts';

// A process reads the host's roots once, so this has a file of its own.
t.test("without a CA in the kubeconfig the host's own roots count", async (t) => {
  const corporate = createAuthority({ name: 'corporate' });
  process.env['SSL_CERT_FILE'] = join(t.testdir({ 'roots.pem': corporate.pem }), 'roots.pem');
  const answer = { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] };
  const trusted = await startServer({ leaf: loopbackLeaf(corporate) }, (_, response) =>
    sendJson(response, 200, answer),
  );
  const foreign = await startServer({ leaf: loopbackLeaf(createAuthority({ name: 'other' })) }, () => undefined);
  t.teardown(() => Promise.all([trusted.close(), foreign.close()]));
  t.equal(await connect(t, { server: trusted.url, insecureSkipTlsVerify: false }).discover(never), 'v1');
  const error = await failureOf(connect(t, { server: foreign.url, insecureSkipTlsVerify: false }).discover(never));
  t.equal(error.code, 'ERR_API_TLS');
  t.notMatch(error.message, /Node\.js/);
});
