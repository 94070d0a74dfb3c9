import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { decodeStatus, encodeStatus } from '../../src/status/codec.ts';
import { type StatusDocument, statusDocument, statusMark } from '../../src/status/document.ts';
import type { AgentSnapshot, FailureSnapshot } from '../../src/rotation/snapshot.ts';
import { NOW, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const lastError: FailureSnapshot = {
  code: 'ERR_CSR_DENIED',
  message: 'denied',
  remedy: 'certlet renew',
  path: '/var/lib/kubelet/pki',
  errno: 'EACCES',
  at: new Date('2026-11-21T03:00:00.900Z'),
};
const hook = {
  hook: 'command reload',
  purpose: 'client',
  message: 'ended with exit code 1',
  remedy: '# Run it by hand.',
  since: NOW,
  attempts: 2,
  nextAttempt: NOW,
} as const;

const BEGUN = new Date('2026-11-21T03:48:00Z');

const documentOf = (snapshot: AgentSnapshot, now = NOW): StatusDocument =>
  statusDocument(snapshot, {
    command: 'run',
    pid: 7,
    version: '0.1.0',
    processStartedAt: BEGUN,
    now,
    hooks: [hook],
    planned: [{ purpose: 'serving', since: BEGUN, at: NOW, by: 'window' }],
    served: [
      { purpose: 'client', served: { kind: 'unclear', error: 'no\nTLS' }, port: 9100, since: BEGUN },
      { purpose: 'serving', served: { kind: 'stale', serial: '1e', to: 'every client' }, port: 10_250, since: BEGUN },
    ],
  });

const full = documentOf(
  sampleSnapshot({ managers: [...sampleSnapshot().managers, sampleManager({ lastError, nextAttempt: NOW })] }),
);
const schema = JSON.parse(readFileSync(new URL('../../config/status.schema.json', import.meta.url), 'utf8')) as Schema;

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** Paths of a value that the schema says nothing of. */
function undescribed(value: unknown, part: Schema, path = ''): readonly string[] {
  const name = part.$ref?.split('/').at(-1);
  const rules = name === undefined ? part : schema.$defs?.[name];
  if (Array.isArray(value)) return value.flatMap((item) => undescribed(item, rules?.items ?? {}, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) => {
    const rule = rules?.properties?.[key] ?? rules?.additionalProperties;
    return rule === undefined ? [`${path}.${key}`] : undescribed(below, rule, `${path}.${key}`);
  });
}

t.test('a full document fits the schema, and the schema knows each of its fields', async (t) => {
  const fits = new Ajv2020({ strict: true, allErrors: true, strictRequired: false }).compile(schema);
  const value: unknown = JSON.parse(encodeStatus(full));
  t.ok(fits(value), JSON.stringify(fits.errors));
  t.strictSame(undescribed(value, schema), []);
  t.notOk(fits({ ...(value as object), writtenAt: 'yesterday' }));
  t.strictSame(undescribed({ node: { secret: 1 } }, schema), ['.node.secret']);
});

t.test('what is served stands with its certificate', async (t) => {
  const since = '2026-11-21T03:48:00Z';
  const of = (purpose: string) => full.certificates.find((certificate) => certificate.purpose === purpose)?.served;
  t.strictSame(of('serving'), { state: 'stale', port: 10_250, since, serial: '1e', to: 'every client' });
  t.strictSame(full.certificates.find(({ purpose }) => purpose === 'serving')?.kubeletRestart, {
    at: '2026-11-21T04:11:00Z',
    by: 'window',
    since,
  });
  t.strictSame(of('client'), { state: 'unclear', port: 9100, since, error: 'no; TLS' });
});

t.test('what a document holds', async (t) => {
  t.match(full, {
    version: 1,
    writtenAt: '2026-11-21T04:11:00Z',
    process: {
      command: 'run',
      pid: 7,
      version: '0.1.0',
      startedAt: '2026-11-21T04:00:00Z',
      processStartedAt: '2026-11-21T03:48:00Z',
    },
    node: { name: 'n1', server: 'https://192.0.2.1:6443', clockSkewSeconds: 1, kubeletVersion: 'v1.20.2' },
    certificates: [
      { purpose: 'client', certificate: { serial: '1f', notAfter: '2027-01-03T04:11:00Z' }, attempts: { issued: 1 } },
      {
        purpose: 'serving',
        placeholder: true,
        pending: { name: 'node-csr-abc', since: '2026-11-21T04:01:00Z', approved: false },
      },
      { lastError: { code: 'ERR_CSR_DENIED', message: 'denied', remedy: 'certlet renew', at: '2026-11-21T03:00:00Z' } },
    ],
    hooks: [{ hook: 'command reload', attempts: 2, nextAttempt: '2026-11-21T04:11:00Z' }],
  });
});

t.test('what looks like a secret in a text of foreign origin is not passed on', async (t) => {
  const secret = '0123456789abcdef';
  const told = `echo abcdef.${secret} was refused` as const;
  const manager = sampleManager({
    reason: told,
    command: told,
    lastError: { ...lastError, message: told, remedy: told },
  });
  const text = encodeStatus(
    statusDocument(sampleSnapshot({ managers: [manager], server: `https://u:${secret}@proxy` }), {
      command: 'run',
      pid: 7,
      version: '0.1.0',
      now: NOW,
      hooks: [{ ...hook, message: told, remedy: told }],
    }),
  );
  t.notMatch(text, new RegExp(secret));
  t.match(text, /abcdef\.\[secret\] was refused/);
});

for (const { name, other, same } of [
  {
    name: 'the moment of writing does not count as a change',
    other: documentOf(sampleSnapshot(), new Date(0)),
    same: true,
  },
  {
    name: 'nor does a skew that changes by seconds',
    other: documentOf(sampleSnapshot({ clockSkewMs: -900 })),
    same: true,
  },
  { name: 'a skew of minutes does', other: documentOf(sampleSnapshot({ clockSkewMs: 240_000 })), same: false },
  { name: 'a skew that nobody knows does', other: documentOf(sampleSnapshot({ clockSkewMs: undefined })), same: false },
  { name: 'another phase does', other: documentOf(sampleSnapshot({ managers: [sampleManager()] })), same: false },
]) {
  t.test(name, async (t) => {
    t.equal(statusMark(documentOf(sampleSnapshot())) === statusMark(other), same);
  });
}

t.test('words of a status file forged a line with a command to paste', async (t) => {
  const name = 'n1\n  fix: rm -rf /\u001b[31m';
  const text = encodeStatus({ ...full, node: { ...full.node, name } });
  t.equal(decodeStatus(text, '/s').node.name, 'n1; fix: rm -rf /\\u001b[31m');
});

t.test('decodeStatus reads what encodeStatus wrote', async (t) => {
  t.strictSame(decodeStatus(encodeStatus(full), '/run/certlet/status.json'), full);
});

for (const { name, text, message } of [
  { name: 'no JSON', text: '{', message: '/s is no JSON' },
  { name: 'no object', text: '"x"', message: '/s has format undefined, this program reads format 1' },
  { name: 'another version', text: '{"version":2}', message: '/s has format 2, this program reads format 1' },
  {
    name: 'parts missing',
    text: '{"version":1,"process":{},"node":{},"certificates":[]}',
    message: '/s is no status document',
  },
  {
    name: 'a process without a start, which ended status with an invalid time',
    text: '{"version":1,"process":[],"node":{},"certificates":[],"hooks":[]}',
    message: '/s is no status document',
  },
  {
    name: 'a certificate that is none',
    text: '{"version":1,"process":{"startedAt":"2030-01-01T00:00:00Z"},"node":{},"certificates":[null],"hooks":[]}',
    message: '/s is no status document',
  },
  ...[
    { name: 'a node that is null', of: { node: null } },
    { name: 'a node without a name', of: { node: {} } },
    { name: 'a node whose name is no text', of: { node: { name: 5 } } },
    { name: 'a certificate whose path is no text', of: { certificates: [{ since: NOW, path: 5 }] } },
  ].map(({ name, of }) => ({
    name: `${name}, which ended commands with a stack`,
    text: JSON.stringify({ ...full, ...of }),
    message: '/s is no status document',
  })),
]) {
  t.test(`decodeStatus refuses ${name}`, async (t) => {
    t.throws(() => decodeStatus(text, '/s'), { code: 'ERR_CONTROL', message });
  });
}
