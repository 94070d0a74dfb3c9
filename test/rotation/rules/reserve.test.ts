import fc from 'fast-check';
import t from 'tap';
import { KUBELET_WINDOW } from '../../../src/csr/spec.ts';
import { lifetimeForMs, renewalsAYear, reserveFacts } from '../../../src/rotation/rules/reserve.ts';
import { dueAt, reserveDeadline, rotationDeadline, usefulLife } from '../../../src/rotation/rules/schedule.ts';
import { clientSpec, proxySpec } from '../../fixtures/specs.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const life = (ms: number) => ({ cameAt: NOW, endsAt: at(ms) });
const roll = fc.double({ min: 0, max: 0.999_999, noNaN: true });
const lifetimes = fc.integer({ min: 10 * MINUTE, max: 3650 * DAY });

t.test('reserveDeadline: never in the first half of a life, whatever is wanted', async () => {
  fc.assert(
    fc.property(lifetimes, fc.integer({ min: 1, max: 3650 * DAY }), roll, (lifetimeMs, reserveMs, drawn) => {
      const deadline = reserveDeadline(life(lifetimeMs), reserveMs, drawn).getTime() - NOW.getTime();
      return deadline >= Math.floor(lifetimeMs / 2) && deadline < lifetimeMs;
    }),
  );
});

t.test('reserveDeadline: before the reserve is touched, wherever half a life is more than it', async () => {
  fc.assert(
    fc.property(lifetimes, fc.double({ min: 0.001, max: 0.499, noNaN: true }), roll, (lifetimeMs, share, drawn) => {
      const reserveMs = Math.floor(lifetimeMs * share);
      const deadline = reserveDeadline(life(lifetimeMs), reserveMs, drawn).getTime() - NOW.getTime();
      return lifetimeMs - deadline >= reserveMs;
    }),
  );
});

t.test(
  'reserveDeadline: a fleet that got its certificates in one minute is spread, also where the reserve cannot be kept',
  async (t) => {
    for (const reserveMs of [21 * DAY, 60 * DAY]) {
      const deadlines = [0, 0.25, 0.5, 0.75, 0.99].map((drawn) =>
        reserveDeadline(life(60 * DAY), reserveMs, drawn).getTime(),
      );
      t.equal(new Set(deadlines).size, 5);
      t.ok(Math.max(...deadlines) - Math.min(...deadlines) > 2 * DAY);
    }
  },
);

t.test('dueAt: the earlier of the usual deadline and the one of the reserve', async () => {
  fc.assert(
    fc.property(lifetimes, fc.integer({ min: 1, max: 400 * DAY }), fc.nat(), (lifetimeMs, reserveMs, serial) => {
      const certificate = { notBefore: NOW, notAfter: at(lifetimeMs), serial: serial.toString(16), selfSigned: false };
      const by = { nodeName: 'n1', window: KUBELET_WINDOW };
      const usual = rotationDeadline(certificate, by, undefined);
      const due = dueAt(certificate, { ...by, reserveMs }, {}, NOW);
      const none = dueAt(certificate, by, {}, NOW);
      return due !== undefined && due <= usual && none?.getTime() === usual.getTime();
    }),
  );
});

t.test('a certificate that was backdated by most of its life is not asked for again and again', async (t) => {
  const certificate = { notBefore: at(-9 * DAY), notAfter: at(DAY), serial: '1f', selfSigned: false };
  const history = { lastSerial: '1f', lastIssuedAt: NOW };
  const due = dueAt(certificate, { nodeName: 'n1', window: KUBELET_WINDOW, reserveMs: 5 * DAY }, history, NOW);
  t.ok(due !== undefined && due >= at(12 * HOUR), String(due));
});

t.test('usefulLife: from the receipt on, where it can be believed', async (t) => {
  const certificate = { notBefore: NOW, notAfter: at(10 * DAY) };
  t.strictSame(usefulLife(certificate, at(DAY), at(DAY)).cameAt, at(DAY));
  t.strictSame(usefulLife(certificate, undefined, at(DAY)).cameAt, NOW);
  t.strictSame(usefulLife(certificate, at(9 * DAY), at(DAY)).cameAt, NOW, 'told by a clock that was ahead');
  t.strictSame(usefulLife(certificate, at(11 * DAY), at(12 * DAY)).cameAt, NOW);
});

const held = (lifetimeMs: number, endsWith?: string) => ({
  notBefore: NOW,
  notAfter: at(lifetimeMs),
  serial: '1f',
  selfSigned: false,
  ...(endsWith === undefined ? {} : { endsWith }),
});

for (const row of [
  { name: 'no reserve is set', spec: clientSpec(), held: held(DAY), facts: undefined },
  { name: 'nothing has been issued', spec: clientSpec({ reserveMs: DAY }), held: undefined, facts: undefined },
  {
    name: 'a placeholder',
    spec: clientSpec({ reserveMs: DAY }),
    held: { ...held(DAY), selfSigned: true },
    facts: undefined,
  },
  {
    name: 'a year gives three weeks',
    spec: clientSpec({ reserveMs: 21 * DAY }),
    held: held(365 * DAY),
    facts: { wantedMs: 21 * DAY, possibleMs: 182.5 * DAY, ask: undefined },
  },
  {
    name: 'a day does not: the admin of the cluster is asked',
    spec: clientSpec({ reserveMs: 21 * DAY }),
    held: held(DAY),
    facts: {
      wantedMs: 21 * DAY,
      possibleMs: 12 * HOUR,
      ask: "# Ask the cluster's admin for kube-controller-manager --cluster-signing-duration=1120h.",
    },
  },
  {
    name: 'the lifetime asked for is what is too short: the setting is named first',
    spec: clientSpec({ reserveMs: 21 * DAY, expirationSeconds: 86_400 }),
    held: held(DAY),
    facts: {
      ask: "# Set expirationSeconds: 4032000, and ask the cluster's admin for kube-controller-manager --cluster-signing-duration=1120h where the signer gives less.",
    },
  },
  {
    name: 'a signer of somebody',
    spec: { ...proxySpec(), signerName: 'example.com/monitoring', reserveMs: 21 * DAY },
    held: held(DAY),
    facts: {
      ask: '# Ask whoever runs the signer example.com/monitoring for lifetimes of 1120 hours, or set expirationSeconds of kube-proxy: 4032000 where it honours that.',
    },
  },
  {
    name: 'the CA ends first: no lifetime helps',
    spec: clientSpec({ reserveMs: 21 * DAY }),
    held: held(DAY, 'CN=old-ca'),
    facts: {
      ask: "# Ask the cluster's admin for a signer whose CA lives longer: CN=old-ca ends before the certificate does.",
    },
  },
]) {
  t.test(`reserveFacts: ${row.name}`, async (t) => {
    const facts = reserveFacts(row.held, row.spec, {}, NOW);
    if (row.facts === undefined) t.equal(facts, undefined);
    else t.match(facts, row.facts);
  });
}

t.test('lifetimeForMs: what is asked for gives the reserve, with room for the spread', async () => {
  fc.assert(
    fc.property(fc.integer({ min: HOUR, max: 365 * DAY }), roll, (reserveMs, drawn) => {
      const lifetimeMs = lifetimeForMs(reserveMs);
      const deadline = reserveDeadline(life(lifetimeMs), reserveMs, drawn).getTime() - NOW.getTime();
      return lifetimeMs - deadline >= reserveMs && deadline > lifetimeMs / 2;
    }),
  );
});

for (const row of [
  { lifetime: 365 * DAY, reserveMs: undefined, times: 1 },
  { lifetime: 365 * DAY, reserveMs: 21 * DAY, times: 1 },
  { lifetime: 30 * DAY, reserveMs: undefined, times: 15 },
  { lifetime: 30 * DAY, reserveMs: 12 * DAY, times: 21 },
  { lifetime: DAY, reserveMs: 21 * DAY, times: 695 },
]) {
  const { lifetime, reserveMs, times } = row;
  t.test(`renewalsAYear: ${String(lifetime / DAY)} days, reserve ${String((reserveMs ?? 0) / DAY)}`, async (t) => {
    t.equal(renewalsAYear(life(lifetime), KUBELET_WINDOW, reserveMs), times);
  });
}
