/** Token discovery against a real cluster-info, signed by the real controller; then the node gets its certificate, and leaves again. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import type { Certlet } from './fixtures/certlet.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { eventually } from '../fixtures/eventually.ts';
import type { TestHost } from './fixtures/host.ts';
import { TOKEN_GROUP } from './fixtures/objects.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const pinOf = (plane: ControlPlane): string => caPinOf(new X509Certificate(plane.authority.authority.pem));

function startJoin(plane: ControlPlane, host: TestHost, token: string, ...args: readonly string[]): Certlet {
  const file = join(host.folder, 'token');
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  const endpoint = plane.server.replace('https://', '');
  return host.start(['join', endpoint, '--token-file', file, ...args]);
}

async function codeOf(t: Test, certlet: Certlet): Promise<number | null> {
  const { code } = await certlet.exited;
  t.notMatch(certlet.output, /0123456789abcdef/, 'the token is not shown');
  return code;
}

await withControlPlane(t, { clusterInfo: true }, (plane) => {
  t.test('join, certificate, reset', async (t) => {
    const host = hostFor(t, plane, 'joins');
    const token = await plane.createBootstrapToken({
      id: 'joins1',
      secret: '0123456789abcdef',
      extraGroups: [TOKEN_GROUP],
    });
    const joined = startJoin(plane, host, token, '--discovery-token-ca-cert-hash', pinOf(plane));
    t.equal(await codeOf(t, joined), 0, joined.output);
    t.equal(statSync(host.bootstrapKubeconfig).mode & 0o777, 0o600);
    const daemon = host.start();
    t.match((await host.issued('client')).leaf.subject, /CN=system:node:joins$/);

    const early = host.start(['reset', '--yes']);
    t.equal(await codeOf(t, early), 75, 'refused while the daemon runs');
    await daemon.end();
    const reset = host.start(['reset', '--yes', '--with-bootstrap-kubeconfig']);
    t.equal(await codeOf(t, reset), 0, reset.output);
    t.strictSame(readdirSync(host.certDir), []);
    t.notOk(existsSync(host.kubeconfig));
    t.notOk(existsSync(host.bootstrapKubeconfig));
  });

  t.test('a token that the cluster learns of later is waited for', async (t) => {
    const host = hostFor(t, plane, 'late');
    const joining = startJoin(plane, host, 'later1.0123456789abcdef', '--discovery-token-ca-cert-hash', pinOf(plane));
    await eventually('certlet waits', () => joining.output.includes('not signed for token id later1 yet') || undefined);
    await plane.createBootstrapToken({ id: 'later1', secret: '0123456789abcdef' });
    t.equal(await codeOf(t, joining), 0, joining.output);
  });

  t.test('another secret is refused at once', async (t) => {
    const host = hostFor(t, plane, 'mistyped');
    await plane.createBootstrapToken({ id: 'typo01', secret: 'aaaaaaaaaaaaaaaa' });
    const joining = startJoin(plane, host, 'typo01.0123456789abcdef', '--discovery-token-ca-cert-hash', pinOf(plane));
    t.equal(await codeOf(t, joining), 1);
    t.match(joining.output, /the signature does not match/);
    t.notOk(existsSync(host.bootstrapKubeconfig));
  });

  t.test('another CA than the pinned one is refused', async (t) => {
    const host = hostFor(t, plane, 'pinned');
    await plane.createBootstrapToken({ id: 'pinned', secret: '0123456789abcdef' });
    const pin = `sha256:${'c0de'.repeat(16)}`;
    const joining = startJoin(plane, host, 'pinned.0123456789abcdef', '--discovery-token-ca-cert-hash', pin);
    t.equal(await codeOf(t, joining), 1);
    t.match(joining.output, /none of the pinned/);
  });
});
