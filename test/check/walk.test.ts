import t from 'tap';
import type { CheckPorts, Facts, Step } from '../../src/check/facts.ts';
import type { OwnUnits } from '../../src/adapters/own-units.ts';
import { finding, good } from '../../src/check/finding.ts';
import { walk } from '../../src/check/walk.ts';
import { CertletError } from '../../src/errors.ts';

/** No step here touches a port; the walk itself looks at the units for remedies. */
const portsOf = (units: Partial<OwnUnits>): CheckPorts =>
  ({
    uid: 0,
    carried: [{ commands: ['certlet renew'], options: '--config /srv/c.yaml' }],
    ownUnits: async () => ({
      service: true,
      timer: false,
      command: undefined,
      sandbox: undefined,
      uid: undefined,
      ...units,
    }),
  }) as unknown as CheckPorts;
const ports = portsOf({});
const never = new AbortController().signal;
const step = (id: string, run: Step['run']): Step => ({ id, title: id, run });

t.test('later steps are told what earlier ones established', async (t) => {
  const seen: Facts[] = [];
  const { reports, facts } = await walk(
    [
      step('a', async () => ({ findings: [good('a', 'x')], facts: { skewMs: 5 } })),
      step('b', async (context) => {
        seen.push(context.facts);
        return { findings: [] };
      }),
    ],
    ports,
    never,
  );
  t.strictSame(seen, [{ skewMs: 5 }]);
  t.strictSame(facts, { skewMs: 5 });
  t.strictSame(
    reports.map(({ step }) => step),
    ['a'],
    'a step without findings is not told',
  );
});

t.test('a step without ground is skipped with the reason, and a failing one becomes a finding', async (t) => {
  const fail = (error: Error) =>
    step('b', async () => {
      throw error;
    });
  const { reports } = await walk(
    [
      step('a', async () => 'no ground'),
      fail(new CertletError('ERR_API_SERVER', '503', { remedy: 'kubectl x' })),
      fail(new Error('a defect')),
    ],
    ports,
    never,
  );
  t.match(
    reports.flatMap(({ findings }) => findings),
    [
      { id: 'a.skipped', verdict: 'skipped', what: 'no ground' },
      { id: 'b.failed', verdict: 'problem', what: '503', remedy: 'kubectl x', evidence: { code: 'ERR_API_SERVER' } },
      { id: 'b.failed', verdict: 'problem', what: /a defect/, evidence: { code: 'ERR_INTERNAL' } },
    ],
  );
});

t.test('an abort ends it', async (t) => {
  const stop = new AbortController();
  const reason = new Error('stopped');
  const steps = [
    step('a', () => {
      stop.abort(reason);
      return Promise.reject(new Error('torn down'));
    }),
  ];
  await t.rejects(walk(steps, ports, stop.signal), reason);
});

t.test('what looks like a secret is taken out of every text', async (t) => {
  const token = 'abcdef.0123456789abcdef';
  const found = finding('note', 'a', `x ${token}`, {
    remedy: `echo ${token}`,
    causes: [
      { what: token, sure: 'possible', remedy: `echo ${token}` },
      { what: token, sure: 'possible' },
    ],
    evidence: { one: token, list: [token], number: 1, none: undefined },
  });
  const { reports } = await walk([step('a', async () => ({ findings: [found] }))], ports, never);
  t.notMatch(JSON.stringify(reports), /0123456789abcdef/);
  t.strictSame(reports[0]?.findings[0]?.evidence, { one: 'abcdef.[secret]', list: ['abcdef.[secret]'], number: 1 });
});

for (const row of [
  { name: 'the daemon', units: { service: true }, remedy: 'systemctl restart certlet' },
  { name: 'the timer alone', units: { service: false, timer: true }, remedy: 'systemctl start certlet-once.service' },
  {
    name: 'with the settings of this run',
    units: {},
    printed: 'certlet renew client' as const,
    remedy: 'certlet renew --config /srv/c.yaml client',
  },
  { name: 'both: the daemon has the lock', units: { timer: true }, remedy: 'systemctl restart certlet' },
]) {
  t.test(`a remedy, and that of a cause, start what does the work here: ${row.name}`, async (t) => {
    const remedy = row.printed ?? 'systemctl restart certlet';
    const found = finding('problem', 'a', 'x', { remedy, causes: [{ what: 'y', sure: 'likely', remedy }] });
    const { reports } = await walk([step('a', async () => ({ findings: [found] }))], portsOf(row.units), never);
    t.match(reports[0]?.findings, [{ remedy: row.remedy, causes: [{ remedy: row.remedy }] }]);
  });
}
