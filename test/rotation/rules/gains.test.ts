import fc from 'fast-check';
import t from 'tap';
import type { RequestHistory } from '../../../src/csr/pending.ts';
import type { CertificateTemplate } from '../../../src/csr/template.ts';
import {
  earlierRefused,
  GAIN_SPACING_MS,
  gainedNames,
  heldBack,
  isNewTemplate,
  withGains,
  withGone,
  withoutNames,
  withRequest,
} from '../../../src/rotation/rules/gains.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const names = (ipAddresses: readonly string[], dnsNames: readonly string[] = ['n1']) => ({ dnsNames, ipAddresses });

t.test('what a certificate lacks, but for what the settings name', async (t) => {
  t.strictSame(gainedNames(names(['a']), names(['a', 'b', 'c']), ['c']), ['b']);
  t.strictSame(gainedNames(names(['a'], ['N1']), names(['a']), []), [], 'names in whatever case');
  t.strictSame(gainedNames(undefined, names(['a']), []), [], 'without one all of it is asked for, and nothing gained');
});

t.test('a name is held back once it was asked for, has gone and is lacking again, for a day', async (t) => {
  const asked = withGains({}, ['a'], NOW);
  t.equal(heldBack(asked.gains, ['a'], at(HOUR)), undefined, 'it has never gone: what was refused is tried again');
  const gone = withGone(asked, names([]));
  t.strictSame(heldBack(gone.gains, ['a', 'b'], at(HOUR)), { names: ['a'], until: at(DAY) });
  t.equal(heldBack(gone.gains, ['b'], at(HOUR)), undefined);
  t.equal(heldBack(gone.gains, ['a'], at(DAY)), undefined, 'the day is over');
  t.equal(heldBack(gone.gains, ['a'], at(-1)), undefined, 'a clock that was set back forgets it');
  const again = withGains(gone, ['a'], at(DAY));
  t.strictSame(again.gains, [{ name: 'a', at: at(DAY) }], 'asked for again, it is there again');
});

t.test('nothing is written where nothing has gone, and no empty list', async (t) => {
  const asked = withGains({}, ['a'], NOW);
  t.equal(withGone(asked, names(['a'])), asked);
  t.strictSame(withGains(asked, [], at(DAY)), {});
});

t.test('so many names are remembered, the newest', async (t) => {
  const many = Array.from({ length: 300 }, (_, index) => `n${String(index)}`);
  const { gains = [] } = withGains({}, many, NOW);
  t.equal(gains.length, 256);
  t.equal(gains.at(-1)?.name, 'n299');
});

t.test('a request ends the wait for the cloud provider, and notes what it was made for and without', async (t) => {
  const past: RequestHistory = { cloudAwaitedSince: at(-HOUR), gains: [{ name: 'b', at: at(-HOUR) }] };
  const request = { createdAt: NOW, gained: ['a'], template: names(['a']) };
  t.strictSame(withRequest(past, request), {
    lastRequestAt: NOW,
    gains: [
      { name: 'b', at: at(-HOUR), gone: true },
      { name: 'a', at: NOW },
    ],
  });
});

t.test('a template that was refused within the day is not a new one', async (t) => {
  const refusal = (templateDigest: string, when: Date, more: object = {}) => ({
    code: 'ERR_CSR_DENIED',
    message: 'no',
    at: when,
    count: 1,
    templateDigest,
    ...more,
  });
  t.strictSame(earlierRefused(undefined, 'a', NOW), {});
  t.strictSame(earlierRefused(refusal('a', NOW), 'a', at(HOUR)), {}, 'the same template once more');
  const second = refusal('b', at(HOUR), earlierRefused(refusal('a', NOW), 'b', at(HOUR)));
  t.strictSame(second, refusal('b', at(HOUR), { earlier: [{ templateDigest: 'a', at: NOW }] }));
  t.equal(isNewTemplate(second, 'b', at(2 * HOUR)), false);
  t.equal(isNewTemplate(second, 'a', at(2 * HOUR)), false, 'it goes back and forth');
  t.equal(isNewTemplate(second, 'c', at(2 * HOUR)), true);
  t.equal(isNewTemplate(second, 'a', at(DAY)), true);
});

t.test('whatever comes and goes, no address leads to two requests within a day', async () => {
  const events = fc.array(
    fc.record({ pauseMs: fc.integer({ min: 60_000, max: 6 * HOUR }), up: fc.subarray(['a', 'b', 'c', 'd']) }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(events, (steps) => {
      let history: RequestHistory = {};
      let certificate = names([]);
      let now = NOW;
      const askedFor = new Map<string, number[]>();
      for (const { pauseMs, up } of steps) {
        now = new Date(now.getTime() + pauseMs);
        history = withGone(history, names(up));
        const lacking = gainedNames(certificate, names(up), []);
        const held = heldBack(history.gains, lacking, now)?.names ?? [];
        const causes = lacking.filter((name) => !held.includes(name));
        if (causes.length === 0) continue;
        for (const name of causes) askedFor.set(name, [...(askedFor.get(name) ?? []), now.getTime()]);
        history = withRequest(history, { createdAt: now, gained: lacking, template: names(up) });
        certificate = names(up);
      }
      return [...askedFor.values()].every((times) =>
        times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) >= GAIN_SPACING_MS),
      );
    }),
  );
});

t.test('a template without names keeps the rest', async (t) => {
  const template = { ...names(['a', 'b']), purpose: 'serving' } as CertificateTemplate;
  t.equal(withoutNames(template, []), template);
  t.strictSame(withoutNames(template, ['b', 'n1']), { purpose: 'serving', dnsNames: [], ipAddresses: ['a'] });
});
