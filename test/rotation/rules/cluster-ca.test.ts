import fc from 'fast-check';
import t from 'tap';
import type { KubeletCas } from '../../../src/kubeconfig/ca-record.ts';
import { readTrustedCas, type TrustedCa } from '../../../src/kubeconfig/trusted-ca.ts';
import {
  additionsOf,
  goingOf,
  kubeletHolds,
  kubeletLag,
  LEAST_VERIFICATIONS,
  MAX_TRUSTED_CAS,
  notedRound,
  offersNothing,
  refusalsOf,
  removalWaits,
  type Verification,
  withoutCas,
} from '../../../src/rotation/rules/cluster-ca.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const DAY = 86_400_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

function ca(name: string, more: Partial<TrustedCa> = {}): TrustedCa {
  const dates = { notBefore: later(-DAY), notAfter: later(3650 * DAY) };
  return { fingerprint: name, subject: 'CN=kubernetes', pem: `${name}\n`, unfit: undefined, ...dates, ...more };
}

const many = (count: number, from = 0): readonly TrustedCa[] =>
  Array.from({ length: count }, (_, index) => ca(`ca${String(from + index)}`));
const [OLD, NEW, THIRD] = [ca('old'), ca('new'), ca('third')];
const names = (cas: readonly { readonly fingerprint: string }[]): readonly string[] =>
  cas.map(({ fingerprint }) => fingerprint);

for (const row of [
  { name: 'nothing new', trusted: [OLD], published: [OLD], added: [], refused: [] },
  { name: 'a second CA', trusted: [OLD], published: [OLD, NEW], added: ['new'], refused: [] },
  { name: 'other CAs alone', trusted: [OLD], published: [NEW], added: ['new'], refused: [] },
  {
    name: 'one that has expired',
    trusted: [OLD],
    published: [ca('x', { notAfter: later(-1) })],
    added: [],
    refused: ['x'],
  },
  {
    name: 'one that is to come',
    trusted: [OLD],
    published: [ca('x', { notBefore: later(DAY) })],
    added: ['x'],
    refused: [],
  },
  {
    name: 'what is no CA',
    trusted: [OLD],
    published: [ca('x', { unfit: 'no CA' }), NEW],
    added: ['new'],
    refused: ['x'],
  },
  {
    name: 'as many as there may be',
    trusted: many(1),
    published: many(MAX_TRUSTED_CAS - 1, 1),
    added: names(many(MAX_TRUSTED_CAS - 1, 1)),
    refused: [],
  },
  {
    name: 'one more than there may be: none of them',
    trusted: many(1),
    published: many(MAX_TRUSTED_CAS, 1),
    added: [],
    refused: names(many(MAX_TRUSTED_CAS, 1)),
  },
]) {
  t.test(`published: ${row.name}`, async (t) => {
    const { added, refused } = additionsOf(row.trusted, row.published, NOW);
    t.strictSame(names(added), row.added);
    t.strictSame(
      refused.map(({ ca }) => ca.fingerprint),
      row.refused,
    );
  });
}

for (const row of [
  { name: 'all published', trusted: [OLD, NEW], published: [NEW, OLD], going: [] },
  { name: 'one is gone', trusted: [OLD, NEW], published: [NEW], going: ['old'] },
  { name: 'nothing that is published is trusted', trusted: [OLD], published: [NEW], going: [] },
  { name: 'nothing is published', trusted: [OLD], published: [], going: [] },
]) {
  t.test(`going: ${row.name}`, async (t) => {
    t.strictSame(names(goingOf(row.trusted, row.published)), row.going);
  });
}

const one = (result: Verification): ReadonlyMap<string, Verification> => new Map([['https://a', result]]);

function afterRounds(results: readonly ReadonlyMap<string, Verification>[], everyMs: number): readonly string[] {
  let waits: readonly string[] = [];
  let proof: ReturnType<typeof notedRound> | undefined;
  for (const [index, round] of results.entries()) {
    const now = later(index * everyMs);
    proof = notedRound(proof, [OLD], { results: round, now });
    waits = removalWaits(proof, { results: round, now, verifiedForMs: DAY });
  }
  return waits;
}

const times = (count: number, result: Verification): readonly ReadonlyMap<string, Verification>[] =>
  Array.from({ length: count }, () => one(result));
const HOURLY = DAY / 24;

for (const row of [
  { name: 'a day of hourly rounds', rounds: times(25, 'verified'), everyMs: HOURLY, waits: undefined },
  { name: 'an hour less', rounds: times(24, 'verified'), everyMs: HOURLY, waits: /long enough/ },
  { name: 'two rounds with a year between', rounds: times(2, 'verified'), everyMs: 365 * DAY, waits: /long enough/ },
  { name: 'a round a day', rounds: times(LEAST_VERIFICATIONS, 'verified'), everyMs: DAY, waits: undefined },
  {
    name: 'a refusal in the middle begins anew',
    rounds: [...times(20, 'verified'), one('refused'), ...times(20, 'verified')],
    everyMs: HOURLY,
    waits: /long enough/,
  },
  {
    name: 'a refusal at the end',
    rounds: [...times(30, 'verified'), one('refused')],
    everyMs: HOURLY,
    waits: /does not hold without/,
  },
  {
    name: 'silence in the middle',
    rounds: [...times(10, 'verified'), ...times(10, 'silent'), ...times(5, 'verified')],
    everyMs: HOURLY,
    waits: undefined,
  },
  {
    name: 'silence at the end',
    rounds: [...times(30, 'verified'), one('silent')],
    everyMs: HOURLY,
    waits: /does not answer/,
  },
]) {
  t.test(`an old CA goes after: ${row.name}`, async (t) => {
    const waits = afterRounds(row.rounds, row.everyMs);
    if (row.waits === undefined) t.strictSame(waits, []);
    else t.match(waits.join(), row.waits);
  });
}

t.test('a CA more that goes begins the day anew', async (t) => {
  const results = one('verified');
  const before = notedRound(undefined, [OLD], { results, now: NOW });
  const after = notedRound(before, [OLD, THIRD], { results, now: later(DAY) });
  t.strictSame(after.servers, { 'https://a': { since: later(DAY), count: 1 } });
});

t.test('a clock that was set back has no past to count', async (t) => {
  const results = one('verified');
  const before = notedRound(undefined, [OLD], { results, now: later(DAY) });
  t.strictSame(notedRound(before, [OLD], { results, now: NOW }).servers['https://a']?.since, NOW);
});

const held = (run: string | undefined, form: 'data' | 'file', ...cas: readonly TrustedCa[]): KubeletCas => ({
  run,
  form,
  cas: cas.map(({ fingerprint, subject }) => ({ fingerprint, subject })),
});

for (const row of [
  { name: 'nothing is known yet', before: undefined, now: held('1', 'data', OLD), rereads: false, holds: ['old'] },
  {
    name: 'the same run',
    before: held('1', 'data', OLD),
    now: held('1', 'data', OLD, NEW),
    rereads: false,
    holds: ['old'],
  },
  {
    name: 'a run later',
    before: held('1', 'data', OLD),
    now: held('2', 'data', OLD, NEW),
    rereads: false,
    holds: ['old', 'new'],
  },
  {
    name: 'a file that it reads again',
    before: held('1', 'file', OLD),
    now: held('1', 'file', NEW),
    rereads: true,
    holds: ['new'],
  },
  {
    name: 'a file that an old one does not',
    before: held('1', 'file', OLD),
    now: held('1', 'file', NEW),
    rereads: false,
    holds: ['old'],
  },
  {
    name: 'data became a file',
    before: held('1', 'data', OLD),
    now: held('1', 'file', NEW),
    rereads: true,
    holds: ['old'],
  },
]) {
  t.test(`the kubelet holds, ${row.name}`, async (t) => {
    t.strictSame(names(kubeletHolds(row.before, row.now, row.rereads).cas), row.holds);
  });
}

t.test('what the kubelet lacks and what it goes on trusting', async (t) => {
  t.equal(kubeletLag(held('1', 'data', OLD), [OLD]), undefined);
  const lag = kubeletLag(held('1', 'data', OLD), [NEW]);
  t.strictSame([names(lag?.lacks ?? []), names(lag?.keeps ?? [])], [['new'], ['old']]);
});

t.test('a bootstrap kubeconfig of before the rotation offers nothing', async (t) => {
  const [old, fresh] = [createAuthority({ name: 'kubernetes' }).pem, createAuthority({ name: 'kubernetes' }).pem];
  const at = (caPem: string, server = 'https://a') => ({ server, caPem, insecureSkipTlsVerify: false });
  t.equal(offersNothing(at(old + fresh), at(old)), true);
  t.equal(offersNothing(at(old), at(fresh)), false, 'a CA that is not trusted is an offer');
  t.equal(offersNothing(at(old), at(old + fresh)), false);
  t.equal(offersNothing(at(old + fresh), at(old, 'https://b')), false, 'another server is an offer');
  t.equal(offersNothing(at(old), at('what is no PEM')), false);
});

const cas = (max: number): fc.Arbitrary<readonly TrustedCa[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: max })
    .map((ids) => ids.map((id) => ca(`ca${String(id)}`, id % 7 === 0 ? { unfit: 'unfit' } : {})));

t.test(
  'whatever is published: nothing is lost by an addition, never too many, and a removal leaves something',
  async (t) => {
    fc.assert(
      fc.property(cas(MAX_TRUSTED_CAS), cas(40), (trusted, published) => {
        fc.pre(trusted.length > 0);
        const { added } = additionsOf(trusted, published, NOW);
        const all = [...trusted, ...added];
        t.ok(all.length <= MAX_TRUSTED_CAS);
        t.ok(added.every(({ unfit }) => unfit === undefined));
        t.equal(new Set(names(all)).size, all.length, 'each once');
        const rest = withoutCas(all, goingOf(all, published));
        t.ok(rest.length > 0);
        const stays = new Set(names(published));
        t.ok(all.filter(({ fingerprint }) => stays.has(fingerprint)).every((kept) => rest.includes(kept)));
      }),
    );
  },
);

t.test(
  'however the rounds come: no CA goes that a server needed within the last day, or that one was never asked about',
  async (t) => {
    const results = fc.constantFrom<Verification>('verified', 'refused', 'silent');
    const round = fc.record({ a: results, b: results, afterMs: fc.integer({ min: 0, max: DAY }) });
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 12 }), (rounds) => {
        let now = NOW;
        let proof: ReturnType<typeof notedRound> | undefined;
        const needed: Record<string, Date> = {};
        for (const { a, b, afterMs } of rounds) {
          now = new Date(now.getTime() + afterMs);
          const seen = new Map([
            ['a', a],
            ['b', b],
          ]);
          for (const [server, result] of seen) if (result === 'refused') needed[server] = now;
          proof = notedRound(proof, [OLD], { results: seen, now });
          if (removalWaits(proof, { results: seen, now, verifiedForMs: DAY }).length > 0) continue;
          t.ok(now.getTime() - NOW.getTime() >= DAY);
          for (const at of Object.values(needed)) t.ok(now.getTime() - at.getTime() >= DAY);
          t.ok([a, b].every((result) => result === 'verified'));
        }
      }),
    );
  },
);

t.test('what is published and refused is told by reason: a publication of thousands filled the journal', async (t) => {
  const [first] = readTrustedCas(createAuthority({ name: 'kubernetes' }).pem);
  if (first === undefined) throw new Error('no CA');
  const refused = (count: number, why: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => ({ ca: first, why: why(index) }));
  const one = refusalsOf(refused(2000, () => 'it has expired'));
  t.match(one, [
    { why: 'it has expired', text: /^(CN=kubernetes \(sha256 \w{16}…\)(, )?){5} and 1995 more: it has expired$/ },
  ]);
  t.equal(one.length, 1);
  t.equal(refusalsOf(refused(2000, String)).length, 10);
  t.match(refusalsOf(refused(1, () => 'it is no CA')), [{ text: /^CN=kubernetes \(sha256 \w{16}…\): it is no CA$/ }]);
  t.strictSame(refusalsOf([]), []);
});
