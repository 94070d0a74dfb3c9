import t from 'tap';
import { pairFindings } from '../../../src/check/rules/pairs.ts';
import { KUBELET_WINDOW } from '../../../src/csr/spec.ts';
import { dueAt } from '../../../src/rotation/rules/schedule.ts';
import { diskStatus } from '../../../src/status/disk.ts';
import { type StatusDocument, statusDocument } from '../../../src/status/document.ts';
import { intervalProblems } from '../../../src/status/verdict.ts';
import { FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { clientSpec, servingSpec } from '../../fixtures/specs.ts';

/** Whoever tells when a certificate is due tells what the daemon goes by. */

const NODE = { nodeName: 'n1', window: KUBELET_WINDOW };
const SPECS = { client: clientSpec(), serving: servingSpec() };

for (const backdateMs of [5 * MINUTE, 8 * HOUR]) {
  t.test(
    `another deadline than the daemon's in status from the disk (backdated by ${String(backdateMs)} ms)`,
    async (t) => {
      const host = new FakeHost();
      t.teardown(() => host.stop());
      host.api.lifetimeMs = HOUR;
      host.api.backdateMs = backdateMs;
      await host.bootstrap();
      for (const purpose of ['client', 'serving'] as const) {
        const facts = host.leaf(purpose);
        const { history } = host.store.shelves[purpose];
        const { rotationDeadline: told } = host.manager(purpose);
        const about = { nodeName: 'n1', version: '0', now: host.clock.now() };
        const [onDisk] = diskStatus([{ spec: SPECS[purpose], currentPath: '/p', facts, history }], about).certificates;
        t.equal(onDisk?.rotationDeadline, told?.toISOString().replace(/\.\d{3}Z$/, 'Z'));
        t.strictSame(dueAt(facts, NODE, history, host.clock.now()), told);
      }
    },
  );
}

t.test('check calls a renewal overdue that the daemon has not come to', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = HOUR;
  host.api.backdateMs = 8 * HOUR;
  await host.bootstrap();
  const pair = await host.store.current('client');
  if (pair === undefined) throw new Error('no pair');
  const { history } = host.store.shelves.client;
  const view = {
    link: '/p',
    linkKind: 'link',
    file: '/q',
    reading: { kind: 'whole', pair, modifiedAt: host.clock.now() },
    files: [],
  } as const;
  const looker = { uid: 0, serviceUser: 0 } as never;
  const question = { spec: clientSpec(), view, history, nodeName: 'n1', looker } as const;
  const due = dueAt(pair.chain.leaf, NODE, history, host.clock.now())?.getTime() ?? 0;
  for (const [minutes, id] of [
    [-1, 'certificate.client'],
    [1, 'certificate.client'],
  ] as const) {
    const found = pairFindings({ ...question, now: new Date(due + minutes * MINUTE) });
    t.strictSame(
      found.map((finding) => finding.id),
      [id],
    );
  }
});

const sixHourly = (document: StatusDocument): readonly string[] =>
  intervalProblems({ ...document, process: { ...document.process, everySeconds: (6 * HOUR) / 1000 } });

for (const [name, past] of Object.entries({
  'came while this clock was ahead': (issuedAt: Date) => ({ lastIssuedByServer: issuedAt }),
  'is older than the last one that came': () => ({ lastSerial: 'ff' }),
})) {
  t.test(`status calls a certificate too short for the timer that ${name}`, async (t) => {
    const host = new FakeHost({ serving: false, startSpreadMs: 0 });
    t.teardown(() => host.stop());
    host.api.lifetimeMs = 24 * HOUR;
    await host.bootstrap();
    await host.stop();
    const shelf = host.store.shelves.client;
    const issuedAt = shelf.history.lastIssuedAt;
    if (issuedAt === undefined) throw new Error('nothing was issued');
    const lastIssuedAt = new Date(issuedAt.getTime() + 20 * HOUR);
    shelf.history = { ...shelf.history, lastIssuedAt, ...past(issuedAt) };
    host.start();
    await host.until(() => host.isUpToDate, 2 * MINUTE);
    if (host.last === undefined) throw new Error('no round');
    const now = host.clock.now();
    const [facts, { history }] = [host.leaf('client'), shelf];
    const onDisk = diskStatus([{ spec: SPECS.client, currentPath: '/p', facts, history }], {
      nodeName: 'n1',
      version: '0',
      now,
    });
    t.strictSame(sixHourly(onDisk), []);
    const process = { command: 'once', pid: 1, version: '0', now, hooks: [] } as const;
    t.strictSame(sixHourly(statusDocument(host.last, process)), []);
  });
}

t.test('nothing is due by dates: no certificate, a placeholder', async (t) => {
  t.equal(dueAt(undefined, NODE, {}, new Date()), undefined);
});
