/** The records of requests: when they are durable, and what becomes of damaged ones. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import {
  readHistoryRecord,
  readPendingRecord,
  recordPath,
  removePendingRecord,
  writeHistoryRecord,
  writePendingRecord,
} from '../../../src/adapters/store/records.ts';
import type { PendingRequest, RequestHistory } from '../../../src/csr/pending.ts';
import { Secret } from '../../../src/secret.ts';
import { clientTemplate } from '../../fixtures/specs.ts';
import { desk, errno } from './desk.ts';

const template = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const pending: PendingRequest = {
  purpose: 'exporter',
  name: 'node-csr-x',
  keyPem: new Secret('KEY'),
  requestPem: 'REQUEST',
  template,
  templateDigest: 'd',
  nodeName: 'n1',
  certDir: '/pki',
  createdAt: new Date('2030-01-01T00:00:00Z'),
};
const AT = new Date('2030-01-02T00:00:00Z');

t.test('when a record must have reached the disk before anything else is done', async (t) => {
  const requests: readonly (readonly [name: string, parts: Partial<PendingRequest>, durable: boolean])[] = [
    ['before the POST', {}, true],
    ['after it: the API server tells the same again', { uid: 'u' }, false],
    ['with the issued chain', { uid: 'u', issuedPem: 'PEM' }, true],
    ['refused by the API server', { uid: 'u', refusedAt: AT }, true],
  ];
  for (const [name, parts, durable] of requests) {
    const { context, fs } = desk(t);
    await writePendingRecord(context, { ...pending, ...parts });
    t.equal(fs.synced.length > 0, durable, name);
    t.match(await readPendingRecord(context), { name: 'node-csr-x', ...parts }, name);
  }
  const histories: readonly (readonly [history: RequestHistory, durable: boolean])[] = [
    [{}, false],
    [{ lastRequestAt: AT, lastIssuedAt: AT, lastIssuedByServer: AT, lastSerial: '1' }, false],
    [{ lastIssuedAt: AT, renewWantedAt: AT }, true],
    [{ keyEncipherment: false }, true],
    [{ machine: 'm' }, true],
  ];
  for (const [history, durable] of histories) {
    const { context, fs } = desk(t);
    await writeHistoryRecord(context, history);
    t.equal(fs.synced.length > 0, durable, JSON.stringify(history));
    t.strictSame(await readHistoryRecord(context), history);
  }
});

const damages: readonly { readonly name: string; readonly given: (path: string) => void; readonly reason: RegExp }[] = [
  { name: 'no JSON', given: (path) => writeFileSync(path, '{'), reason: /pending record/ },
  { name: 'too large', given: (path) => writeFileSync(path, ' '.repeat(1024 * 1024 + 1)), reason: /larger than/ },
  { name: 'a folder', given: (path) => mkdirSync(path), reason: /EINVAL/ },
  { name: 'a link that goes round', given: (path) => symlinkSync(path, path), reason: /ELOOP/ },
];
for (const { name, given, reason } of damages) {
  t.test(`a pending record that is ${name} is moved aside, not removed, and counts as none`, async (t) => {
    const { context, warnings } = desk(t);
    const path = recordPath(context, 'pending');
    given(path);
    t.equal(await readPendingRecord(context), undefined);
    t.equal(existsSync(path), false);
    t.equal(readdirSync(context.stateDir, { recursive: true }).length > 0, true, 'it lies somewhere');
    t.equal(warnings.length, 1);
    t.match(JSON.stringify(warnings), reason);
    t.equal(await readPendingRecord(context), undefined);
    t.equal(warnings.length, 1, 'told once');
  });
}

t.test(
  "another certificate's record is moved aside too; a disk that fails is an error, and a defect stays one",
  async (t) => {
    const { context, fs, warnings } = desk(t);
    const path = recordPath(context, 'pending');
    await writePendingRecord(context, { ...pending, purpose: 'client' });
    t.match(readFileSync(path, 'utf8'), /"purpose": *"client"/);
    t.equal(await readPendingRecord(context), undefined);
    t.match(JSON.stringify(warnings), /it is the record of another certificate/);
    fs.unread = { [path]: errno('EIO', { path, syscall: 'read' }) };
    await t.rejects(readPendingRecord(context), { code: 'ERR_STORE_IO', message: `read ${path}: said so (EIO)` });
    fs.unread = { [path]: new TypeError('a defect') };
    await t.rejects(readPendingRecord(context), TypeError);
    fs.unread = {};
    await writePendingRecord(context, pending);
    await removePendingRecord(context);
    t.equal(await readPendingRecord(context), undefined);
    await removePendingRecord(context);
    fs.unlink = async () => {
      throw errno('EROFS', { path, syscall: 'unlink' });
    };
    await t.rejects(removePendingRecord(context), { code: 'ERR_STORE_READ_ONLY', message: /^unlink .*\(EROFS\)$/ });
  },
);
