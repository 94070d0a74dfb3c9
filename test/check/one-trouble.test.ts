/** What the daemon tells of a disk beside what check finds there itself: from the error to both lines. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { ensureFolder } from '../../src/adapters/files.ts';
import { refuseClosed, refuseUnsafe } from '../../src/adapters/store/folders.ts';
import { problemOf } from '../../src/errors.ts';
import { Failures } from '../../src/rotation/failures.ts';
import { decodeStatus, encodeStatus } from '../../src/status/codec.ts';
import { statusDocument } from '../../src/status/document.ts';
import { CheckHost, type CheckResult } from '../fixtures/check/host.ts';
import { NOW, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const fs = new NodeFileSystem();
const uid = process.geteuid?.() ?? 0;

/** Check beside a daemon that could not do this. */
async function besideDaemon(t: Test, host: CheckHost, work: () => Promise<unknown>): Promise<CheckResult> {
  const error = await problemOf(work);
  const failures = new Failures();
  if (error === undefined) t.fail('nothing failed');
  else failures.record(error, NOW);
  const managers = [sampleManager({ lastError: failures.last })];
  const parts = { command: 'run', pid: 1, version: '0', now: NOW, hooks: [] } as const;
  const document = decodeStatus(encodeStatus(statusDocument(sampleSnapshot({ managers }), parts)), 'the daemon');
  return host.check({ daemon: () => Promise.resolve('running'), daemonStatus: () => Promise.resolve(document) });
}

const ABOVE = /; what mends it stands above, under File modes and owners$/;

t.test('a cert-dir that others may write had two remedies', async (t) => {
  const host = new CheckHost(t);
  const { certDir } = host;
  chmodSync(certDir, 0o777);
  const told = await besideDaemon(t, host, () => refuseUnsafe({ fs, uid }, certDir, () => false));
  t.match(told.find('files.writable-by-others'), { remedy: `chmod go-w ${certDir}` }, told.text);
  t.match(told.find('daemon.client-failing'), { what: ABOVE, remedy: undefined, evidence: { path: certDir } });
});

t.test('a cert-dir that is closed to the service had two remedies', async (t) => {
  const host = new CheckHost(t);
  const { certDir } = host;
  chmodSync(certDir, 0o500);
  const told = await besideDaemon(t, host, () => refuseClosed({ fs, uid }, certDir));
  t.match(told.find('files.shut-out'), { remedy: `chmod u+rwx ${certDir}` }, told.text);
  t.match(told.find('daemon.client-failing'), { what: ABOVE, remedy: undefined });
});

t.test('a file in the place of the state folder had two remedies', async (t) => {
  const host = new CheckHost(t);
  const state = join(host.certDir, '.certlet');
  host.write(state, '');
  const told = await besideDaemon(t, host, () => ensureFolder(fs, join(state, 'x'), 0o700));
  t.match(told.find('files.no-folder'), { evidence: { path: state } }, told.text);
  t.match(told.find('daemon.client-failing'), { what: ABOVE, remedy: undefined });
});
