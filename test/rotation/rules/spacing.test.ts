import t, { type Test } from 'tap';
import type { RequestHistory } from '../../../src/csr/pending.ts';
import { isUsable, spacedFrom } from '../../../src/rotation/rules/schedule.ts';
import { statusDocument } from '../../../src/status/document.ts';
import { statusReport } from '../../../src/status/text.ts';
import { verdictOf } from '../../../src/status/verdict.ts';
import { DAY, FakeHost, MINUTE } from '../../fixtures/fakes/host.ts';

const DUE = 'Rotation is due, waiting for the spacing between requests';
const REASON = 'missing requested DNS names [web.example.org]';

/** Both certificates are fresh, and the settings have a name more since. */
async function withNewName(t: Test): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 365 * DAY;
  await host.bootstrap();
  await host.stop();
  host.options = { ...host.options, servingNames: ['web.example.org'] };
  await host.restart(MINUTE);
  await host.until(() => host.manager('serving').reason.includes('spacing between requests'), 2 * MINUTE);
  return host;
}

t.test('a rotation that is due but held back by the spacing: nothing tells when it comes', async (t) => {
  const host = await withNewName(t);
  const { phase, reason, nextAttempt } = host.manager('serving');
  t.equal(phase, 'waiting to request');
  t.equal(reason, `${REASON}; waits for the spacing between requests`);
  t.ok(nextAttempt !== undefined && nextAttempt > host.clock.now());
  t.equal(host.manager('client').nextAttempt, undefined);
  t.match(host.log.of(DUE), [{ level: 'info', fields: { purpose: 'serving', reasons: [REASON], nextAttempt } }]);
  await host.until(() => host.leaf('serving').dnsNames.includes('web.example.org'), 10 * MINUTE);
  t.ok(nextAttempt !== undefined && host.clock.now().getTime() - nextAttempt.getTime() < MINUTE, 'it came then');
  t.equal(host.manager('serving').nextAttempt, undefined);
  await host.clock.advance(DAY);
  t.equal(host.log.of(DUE).length, 1, 'told once');
});

t.test('… status stays healthy, and its text has the reason and the time', async (t) => {
  const host = await withNewName(t);
  const now = host.clock.now();
  const snapshot = host.agent?.snapshot();
  if (snapshot === undefined) throw new Error('no agent');
  const document = statusDocument(snapshot, { command: 'run', pid: 1, version: '0', now, hooks: [] });
  const verdict = verdictOf(document, now, 'running');
  t.strictSame(verdict, { state: 'healthy', reasons: [] });
  const text = statusReport(document, { source: { kind: 'socket' }, verdict, now, colour: false, details: true });
  t.match(text, /reason +missing requested DNS names \[web\.example\.org\]; waits for the spacing between requests/);
  t.match(text, /next attempt +in \d+ (minutes|seconds) \(/);
});

t.test('… told again when the reason is another one', async (t) => {
  const host = await withNewName(t);
  await host.stop();
  host.options = { ...host.options, nodeIPs: ['10.0.0.9'] };
  host.start();
  await host.until(() => host.log.of(DUE).length === 2, 2 * MINUTE);
  t.match(host.log.of(DUE)[1]?.fields['reasons'], [REASON, 'missing requested IP addresses [10.0.0.9]']);
});

const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const usable = {
  commonName: 'system:node:n1',
  notBefore: at(-DAY),
  notAfter: at(DAY),
  selfSigned: false,
  serial: 'a1',
};
const past: RequestHistory = { lastIssuedAt: at(-2 * MINUTE), lastRequestAt: at(-MINUTE), lastSerial: 'a1' };
const refusal = (code: string): RequestHistory => ({
  lastRequestAt: at(-MINUTE),
  refusal: { code, message: '', at: NOW, count: 1, templateDigest: 'd' },
});

const spacings: readonly {
  name: string;
  past?: RequestHistory;
  current?: Partial<typeof usable> | undefined;
  refused?: boolean;
  from: Date | undefined;
}[] = [
  { name: 'a renewal: from the last request', current: {}, from: at(-MINUTE) },
  { name: 'no certificate at all: none', from: undefined },
  { name: 'a placeholder: none', current: { selfSigned: true, serial: '1' }, from: undefined },
  {
    name: 'one of another node, on a clone of a fresh image: none',
    current: { commonName: 'system:node:n2' },
    from: undefined,
  },
  {
    name: 'one that somebody else put there and that has expired: none',
    current: { notAfter: at(-1), serial: 'b' },
    from: undefined,
  },
  {
    name: 'one that was just issued and is over already: from its receipt',
    current: { notAfter: at(-1) },
    from: at(-2 * MINUTE),
  },
  {
    name: 'one that was just issued and is refused: from its receipt',
    current: {},
    refused: true,
    from: at(-2 * MINUTE),
  },
  {
    name: 'none, and what was issued last could not be used: from the request',
    past: refusal('ERR_ISSUED_UNACCEPTABLE'),
    from: at(-MINUTE),
  },
  {
    name: 'none, and the last request was denied: none (the pause of a denial is another)',
    past: refusal('ERR_CSR_DENIED'),
    from: undefined,
  },
  { name: 'a node without a past', past: {}, from: undefined },
];
for (const row of spacings) {
  t.test(`spacing: ${row.name}`, async (t) => {
    const current = row.current && { ...usable, ...row.current };
    const about = { wantedCommonName: 'system:node:n1', earliest: NOW, refused: row.refused ?? false };
    t.strictSame(spacedFrom(row.past ?? past, current, about), row.from);
    t.equal(current !== undefined && isUsable(current, about), row.name.startsWith('a renewal'));
  });
}

t.test(
  'a host that was called otherwise for a moment waits ten minutes for a certificate that it can use',
  async (t) => {
    const host = new FakeHost({ serving: false, nodeName: 'localhost' });
    t.teardown(() => host.stop());
    await host.bootstrap();
    await host.stop();
    host.options = { ...host.options, nodeName: 'n1' };
    host.start();
    await host.until(() => host.leaf('client').commonName === 'system:node:n1', 5_000);
  },
);

t.test('whose files were deleted right after they came: no spacing', async (t) => {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.stop();
  host.store.shelves.client.pairs = [];
  host.start();
  await host.until(() => host.isUpToDate, 5_000);
});
