/** `certlet history` of a node on a fake cluster: what is told of requests, and to whom. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

const cluster = await startFakeCluster({ approveServing: false });
t.teardown(() => cluster.close());
const host = new CertletHost(t, cluster, { log: { level: 'error' } });

const pendingName = (): string => cluster.csrs.find(({ conditions }) => conditions.length === 0)?.name ?? '';

/** Names, serials and moments by their shape, and one blank in place of the columns. */
const shaped = (text: string): string =>
  text
    .replaceAll(/node-csr-[\w-]{43}/g, 'CSR')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:]{8}Z/g, 'DATE')
    .replaceAll(/\bserial [0-9a-f]+\b/g, 'serial S')
    .replaceAll(/; asked for at DATE/g, '')
    .replaceAll(/ +/g, ' ');

const setpriv = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const canDrop =
  process.geteuid?.() === 0 &&
  spawnSync(setpriv[0] ?? '', [...setpriv.slice(1), process.execPath, '--version']).status === 0;

t.test('a node that has asked for nothing yet', async (t) => {
  const { code, stdout, stderr } = await host.run(['history']);
  t.equal(code, 0, stderr);
  t.equal(stdout, 'no request has been made yet\n');
});

t.test(
  'a denial, an approval and what the approver wrote, a request under way: each a line, the newest last',
  async (t) => {
    const denied = host.start(['renew', 'all', '--timeout', '60s']);
    await denied.printed('stdout', /serving: waiting for approval/);
    const first = pendingName();
    cluster.deny(first, 'NotAllowed', 'n1 is in maintenance');
    t.equal((await denied.ended).code, 75);

    const approved = host.start(['renew', 'serving', '--timeout', '60s']);
    await approved.printed('stdout', /waiting for approval/);
    cluster.approve(pendingName());
    t.equal((await approved.ended).code, 0);

    const daemon = host.start(['run']);
    await host.until(({ process }) => process.command === 'run' && process.stoppedAt === undefined);
    await host.ask(['renew', 'serving']);
    await host.until(({ certificates }) => certificates.some(({ phase }) => phase === 'waiting for approval'));
    const { code, stdout, stderr } = await host.run(['history']);
    await daemon.end('SIGTERM');
    t.equal(code, 0, stderr);
    const lines = shaped(stdout).trimEnd().split('\n');
    t.match(lines, [
      'WHEN CERTIFICATE RESULT ABOUT',
      /^DATE client issued CSR; serial S until DATE; approved: AutoApproved, Auto approving/,
      /^DATE serving ERR_CSR_DENIED CSR; certificate signing request CSR is denied, reason: NotAllowed, message: n1 is in maintenance$/,
      /^DATE serving issued CSR; serial S until DATE; approved: KubectlApprove, This CSR was approved by kubectl certificate approve\.$/,
    ]);
    t.match(lines.slice(4), [/^DATE serving (posted|wanted) /, /^DATE serving (posted|wanted) /]);
    t.match(stdout, new RegExp(first));
  },
);

t.test('one certificate alone, as a document', async (t) => {
  const { code, stdout, stderr } = await host.ask(['history', 'client', '-o', 'json']);
  t.equal(code, 0, stderr);
  const document = JSON.parse(stdout) as { readonly certificates: readonly object[] };
  t.equal(document.certificates.length, 1);
  const moment = /^\d{4}-\d\d-\d\dT[\d:]{8}Z$/;
  t.match(document, {
    version: 1,
    node: 'n1',
    certificates: [
      {
        purpose: 'client',
        requests: [
          {
            request: /^node-csr-/,
            requestedAt: moment,
            endedAt: moment,
            result: 'issued',
            expires: moment,
            approval: { reason: 'AutoApproved', message: /^Auto approving/ },
          },
        ],
      },
    ],
  });
});

t.test('the records of an older certlet: what they know of the last certificate is told', async (t) => {
  const path = join(host.certDir, '.certlet/client-history.json');
  const { past: _none, ...older } = JSON.parse(readFileSync(path, 'utf8')) as { readonly past: unknown };
  writeFileSync(path, JSON.stringify(older));
  const { stdout } = await host.ask(['history', 'client']);
  t.match(shaped(stdout), /^WHEN CERTIFICATE RESULT ABOUT\nDATE client issued serial S\n$/);
});

t.test('a name that is not managed', async (t) => {
  const { code, stderr } = await host.ask(['history', 'servin']);
  t.equal(code, 64);
  t.match(stderr, /no certificate is named "servin"[^]*fix: certlet history --config \S+ serving\n/);
});

t.test('a record that cannot be understood is named', async (t) => {
  writeFileSync(join(host.certDir, '.certlet/client-history.json'), '{');
  const { code, stdout, stderr } = await host.run(['history']);
  t.equal(code, 75);
  t.equal(stdout, '');
  t.match(stderr, /client-history\.json: request history: no JSON[^]*fix: /);
});

t.test(
  'a user who may not read the records is refused, not told that there are none',
  { skip: canDrop ? false : 'needs root, setpriv and a Node that others may run' },
  async (t) => {
    const { code, stdout, stderr } = await host.run(['history'], setpriv);
    t.equal(code, 77);
    t.equal(stdout, '');
    t.match(stderr, /permission denied[^]*fix: sudo certlet history/);
  },
);
