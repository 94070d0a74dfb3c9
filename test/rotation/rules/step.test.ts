import { timestamp } from '../../../src/timestamp.ts';
import fc from 'fast-check';
import t from 'tap';
import { clientTemplate } from '../../fixtures/specs.ts';
import type { CertificateFacts } from '../../../src/pki/certificate.ts';
import { nextStep, type StepInput } from '../../../src/rotation/rules/step.ts';

const MINUTE = 60_000;
const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const wanted = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const leaf: CertificateFacts = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: [],
  ipAddresses: [],
  extendedKeyUsages: ['client auth'],
  notBefore: at(-50 * DAY),
  notAfter: at(50 * DAY),
  serial: '1',
  fingerprint: 'f',
  issuer: 'CN=ca',
  selfSigned: false,
  isCa: false,
} as unknown as CertificateFacts;
const judged = (local: Date, earliest = local, latest = local) => ({ local, earliest, latest });
const base: StepInput = {
  now: judged(NOW),
  current: leaf,
  refused: false,
  wanted,
  deadline: at(30 * DAY),
  pending: false,
  retryAt: undefined,
  spacedUntil: undefined,
  forced: false,
  hold: undefined,
};

const steps: readonly { name: string; input: Partial<StepInput>; step: object }[] = [
  {
    name: 'a valid one waits for its deadline',
    input: {},
    step: { kind: 'wait', cause: 'valid', until: at(30 * DAY), reason: 'valid' },
  },
  { name: 'none asks', input: { current: undefined }, step: { kind: 'request', reasons: ['no certificate'] } },
  {
    name: 'a placeholder asks',
    input: { current: { ...leaf, selfSigned: true } },
    step: { kind: 'request', reasons: ['self-signed placeholder'] },
  },
  {
    name: 'a due one asks',
    input: { deadline: NOW },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: 'due by one clock and good by it asks: a Date that lies must not hold renewal back until the end',
    input: { deadline: NOW, now: judged(NOW, at(-DAY)) },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: "due by the server's clock asks before the server refuses it",
    input: { deadline: NOW, now: judged(at(-DAY), at(-DAY), NOW) },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: 'due by one clock only waits until half of what was left has passed',
    input: { deadline: NOW, now: judged(NOW, at(-DAY)), doubtfulUntil: at(1) },
    step: { kind: 'wait', cause: 'valid', reason: 'valid' },
  },
  {
    name: 'expired by one clock and not yet due by the other waits',
    input: { deadline: at(10 * DAY), now: judged(at(51 * DAY), NOW, at(51 * DAY)) },
    step: { kind: 'wait', cause: 'clock', reason: 'clock: expired by one clock and valid by the other' },
  },
  {
    name: 'an expired one asks and says since when',
    input: { now: judged(at(51 * DAY)) },
    step: { kind: 'request', reasons: [`certificate is expired since ${timestamp(at(50 * DAY))}`] },
  },
  {
    name: 'expired by one clock and valid by the other waits for the clock',
    input: { now: judged(at(51 * DAY), NOW, at(51 * DAY)) },
    step: { kind: 'wait', cause: 'clock', reason: 'clock: expired by one clock and valid by the other' },
  },
  {
    name: 'one that begins in the future by every clock waits for the clock',
    input: { now: judged(at(-60 * DAY)) },
    step: { kind: 'wait', cause: 'clock', reason: /^clock: the certificate begins at/ },
  },
  {
    name: 'a refused one asks',
    input: { refused: true },
    step: { kind: 'request', reasons: ['the API server refuses the certificate'] },
  },
  {
    name: 'one for another node asks',
    input: { current: { ...leaf, commonName: 'system:node:n2' } },
    step: { kind: 'request', reasons: ['common name is system:node:n2, not system:node:n1'] },
  },
  {
    name: 'a wish asks',
    input: { forced: true },
    step: { kind: 'request', reasons: ['asked for by an administrator'] },
  },
  {
    name: 'a wish overrides the spacing',
    input: { forced: true, spacedUntil: at(MINUTE) },
    step: { kind: 'request' },
  },
  {
    name: 'a wish keeps to the retry',
    input: { forced: true, retryAt: at(MINUTE) },
    step: { kind: 'wait', cause: 'retry', until: at(MINUTE), reason: 'waiting to try again' },
  },
  {
    name: 'a pending request is resumed before all else',
    input: { pending: true, forced: true, spacedUntil: at(MINUTE), current: undefined },
    step: { kind: 'request', reasons: ['a request is pending'] },
  },
  {
    name: 'a pending request keeps to the retry',
    input: { pending: true, retryAt: at(MINUTE) },
    step: { kind: 'wait', until: at(MINUTE) },
  },
  {
    name: 'the spacing says what waits',
    input: { deadline: NOW, spacedUntil: at(MINUTE) },
    step: {
      kind: 'wait',
      cause: 'spacing',
      until: at(MINUTE),
      reason: 'rotation deadline reached; waits for the spacing between requests',
      due: ['rotation deadline reached'],
    },
  },
  {
    name: 'a hold holds everything',
    input: { hold: { cause: 'held', reason: 'held' }, forced: true, pending: true, current: undefined },
    step: { kind: 'wait', cause: 'held', until: undefined, reason: 'held' },
  },
];
for (const { name, input, step } of steps) {
  t.test(`nextStep: ${name}`, async (t) => t.match(nextStep({ ...base, ...input }), step));
}

t.test('nextStep: nothing under hold, nothing before the retry, no new request within the spacing', async () => {
  const dates = fc.option(fc.integer({ min: -DAY, max: DAY }).map(at), { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({
        current: fc.constantFrom(undefined, leaf, { ...leaf, selfSigned: true }),
        refused: fc.boolean(),
        pending: fc.boolean(),
        forced: fc.boolean(),
        deadline: dates,
        retryAt: dates,
        spacedUntil: dates,
        hold: fc.constantFrom(undefined, { cause: 'held', reason: 'held' } as const),
      }),
      (input) => {
        const step = nextStep({ ...base, ...input });
        if (step.kind === 'wait') return step.until === undefined || step.until >= at(-DAY);
        const spaced = input.spacedUntil !== undefined && input.spacedUntil > NOW;
        return (
          input.hold === undefined &&
          !(input.retryAt !== undefined && input.retryAt > NOW) &&
          (!spaced || input.pending || input.forced)
        );
      },
    ),
  );
});
