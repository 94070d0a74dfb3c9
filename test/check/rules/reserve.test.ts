import t from 'tap';
import { reserveFindings } from '../../../src/check/rules/reserve.ts';
import { sampleFacts } from '../../fixtures/snapshots.ts';
import { clientSpec, servingSpec } from '../../fixtures/specs.ts';

const DAY = 86_400_000;
const NOW = new Date('2030-01-15T00:00:00Z');
const leaf = (days: number) =>
  sampleFacts({ notBefore: new Date(NOW.getTime() - DAY), notAfter: new Date(NOW.getTime() + (days - 1) * DAY) });

t.test('without a reserve there is nothing to say', async (t) => {
  t.strictSame(reserveFindings({ spec: clientSpec(), leaf: leaf(365), history: {}, now: NOW }), []);
});

t.test('what a reserve costs in approvals a year, and who gives them', async (t) => {
  const spec = servingSpec({ reserveMs: 12 * DAY });
  t.match(reserveFindings({ spec, leaf: leaf(30), history: {}, now: NOW }), [
    {
      id: 'certificate.serving-reserve',
      verdict: 'ok',
      what: 'the serving certificate has 12 days in reserve: about 21 approvals a year (15 without it), by an approver or a person',
      evidence: { reserveSeconds: 1_036_800, possibleSeconds: 1_296_000, approvalsAYear: 21 },
    },
  ]);
});

t.test('a lifetime that does not allow the reserve: what is left, and what to ask for', async (t) => {
  const spec = clientSpec({ reserveMs: 21 * DAY });
  t.match(reserveFindings({ spec, leaf: leaf(14), history: {}, now: NOW }), [
    {
      id: 'certificate.client-reserve',
      verdict: 'warning',
      what: /^a reserve of 21 days is set, and the client certificate came for 14 days: 7 days is what is always left, with about 50 approvals a year/,
      remedy: "# Ask the cluster's admin for kube-controller-manager --cluster-signing-duration=1120h.",
    },
  ]);
});
