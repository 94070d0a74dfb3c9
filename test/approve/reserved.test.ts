/** What the approver finds out of the cluster's own names and addresses, from whom, and what it says where it cannot. */
import t, { type Test } from 'tap';
import { findReserved, ReservedNames } from '../../src/approve/reserved.ts';
import { lookForReserved } from '../../src/approve/reserved-watch.ts';
import { RELIST_MS } from '../../src/approve/watching.ts';
import { CertletError, type ErrorCode } from '../../src/errors.ts';
import { FakeClusterApi } from '../fixtures/fakes/cluster-api.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { FakeLogger } from '../fixtures/fakes/logger.ts';
import { settingsWith } from './requests.ts';
import { Troubles } from '../../src/trouble.ts';

const SERVICE = '/api/v1/namespaces/default/services/kubernetes';
const ENDPOINTS = '/api/v1/namespaces/default/endpoints/kubernetes';
const RANGES = '/apis/networking.k8s.io/v1/servicecidrs';
const KUBEADM = '/api/v1/namespaces/kube-system/configmaps/kubeadm-config';
const PATHS = [SERVICE, ENDPOINTS, RANGES, KUBEADM];
const { signal } = new AbortController();

type Answers = Readonly<Record<string, unknown>>;

/** An answer that is an error is thrown; what there is none for is not there. */
function serverWith(answers: Answers): FakeClusterApi {
  return new FakeClusterApi(({ path }) => {
    const answer = path in answers ? answers[path] : refusal('ERR_API_NOT_FOUND');
    if (answer instanceof Error) throw answer;
    return answer;
  });
}

const refusal = (code: ErrorCode): CertletError => new CertletError(code, 'no');
const service = (spec: object): object => ({ spec });
const kubeadm = (text: string): object => ({ data: { ClusterConfiguration: text } });

const rows: readonly {
  readonly name: string;
  readonly answers: Answers;
  readonly approve?: Answers;
  readonly never?: readonly string[];
  readonly apiServers?: readonly string[];
  readonly unknownRange?: RegExp;
  readonly forbidden?: readonly string[];
  readonly broken?: RegExp;
}[] = [
  { name: 'nothing at all', answers: {}, unknownRange: /^approve.never has no range$/ },
  {
    name: 'a Service before dual stack, whose range nobody knows',
    answers: { [SERVICE]: service({ clusterIP: '10.96.0.1' }) },
    never: ['10.96.0.1'],
    unknownRange: /^the Service kubernetes has 10\.96\.0\.1, and no range in approve\.never holds it$/,
  },
  {
    name: 'a range of the settings for other addresses',
    answers: { [SERVICE]: service({ clusterIP: '10.96.0.1' }) },
    approve: { never: ['10.244.0.0/16', '10.96.0.1'] },
    never: ['10.96.0.1'],
    unknownRange: /10\.96\.0\.1/,
  },
  {
    name: 'the range of the Services in the settings',
    answers: { [SERVICE]: service({ clusterIP: '10.96.0.1' }) },
    approve: { never: ['10.96.0.0/12'] },
    never: ['10.96.0.1'],
  },
  {
    name: 'two families, and the range of one',
    answers: { [SERVICE]: service({ clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'] }) },
    approve: { never: ['10.96.0.0/12'] },
    never: ['10.96.0.1', 'fd00::1'],
    unknownRange: /has fd00::1, and/,
  },
  {
    name: 'a Service without an address',
    answers: { [SERVICE]: service({ clusterIP: 'None' }) },
    unknownRange: /no range/,
  },
  {
    name: 'the ranges of a server from 1.33 on',
    answers: {
      [SERVICE]: service({ clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'] }),
      [RANGES]: { items: [{ spec: { cidrs: ['10.96.0.0/16', 'fd00::/112'] } }, { spec: { cidrs: ['10.97.0.0/16'] } }] },
    },
    never: ['10.96.0.1', 'fd00::1', '10.96.0.0/16', 'fd00::/112', '10.97.0.0/16'],
  },
  {
    name: 'Endpoints, also of a server that is not ready',
    answers: {
      [ENDPOINTS]: {
        subsets: [{ addresses: [{ ip: '192.0.2.10' }], notReadyAddresses: [{ ip: '2001:DB8:0::10' }] }, { ports: [] }],
      },
    },
    apiServers: ['192.0.2.10', '2001:db8::10'],
    unknownRange: /no range/,
  },
  { name: 'Endpoints without any', answers: { [ENDPOINTS]: { subsets: null } }, unknownRange: /no range/ },
  {
    name: 'what kubeadm was told',
    answers: {
      [SERVICE]: service({ clusterIP: '10.96.0.1' }),
      [KUBEADM]: kubeadm(
        'controlPlaneEndpoint: API.example:6443\napiServer: {certSANs: [vip.example, 192.0.2.100, "*.example"]}\nnetworking: {serviceSubnet: "10.96.0.0/12, fd00::/112", podSubnet: 10.244.0.0/16, dnsDomain: cluster.local}\n',
      ),
    },
    never: ['10.96.0.1', '10.96.0.0/12', 'fd00::/112', '10.244.0.0/16'],
    apiServers: ['api.example', 'vip.example', '192.0.2.100'],
  },
  {
    name: 'an endpoint of kubeadm that is IPv6',
    answers: { [KUBEADM]: kubeadm('controlPlaneEndpoint: "[2001:db8::0:1]:6443"') },
    apiServers: ['2001:db8::1'],
    unknownRange: /no range/,
  },
  {
    name: 'an IPv6 endpoint without a port',
    answers: { [KUBEADM]: kubeadm('controlPlaneEndpoint: "2001:db8::6443"') },
    apiServers: ['2001:db8::6443'],
    unknownRange: /no range/,
  },
  { name: 'a ConfigMap of kubeadm that is empty', answers: { [KUBEADM]: { data: {} } }, unknownRange: /no range/ },
  {
    name: 'a ConfigMap of kubeadm that is no YAML',
    answers: { [KUBEADM]: kubeadm('a: [') },
    broken: /ClusterConfiguration/,
    unknownRange: /no range/,
  },
  {
    name: 'networks of kubeadm that are none, beside a Service',
    answers: {
      [SERVICE]: service({ clusterIP: '10.96.0.1' }),
      [KUBEADM]: kubeadm('networking: {serviceSubnet: x, podSubnet: 7/3}'),
    },
    never: ['10.96.0.1'],
    unknownRange: /10\.96\.0\.1/,
  },
  {
    name: 'what may not be read is named, and the rest is found',
    answers: {
      [SERVICE]: refusal('ERR_API_FORBIDDEN'),
      [KUBEADM]: refusal('ERR_API_FORBIDDEN'),
      [ENDPOINTS]: { subsets: [{ addresses: [{ ip: '192.0.2.10' }] }] },
    },
    apiServers: ['192.0.2.10'],
    forbidden: ['services kubernetes', 'configmaps kubeadm-config'],
    unknownRange: /no range/,
  },
  {
    name: 'a Service of another form',
    answers: { [SERVICE]: { spec: { clusterIP: 7 } } },
    broken: /Service kubernetes.*clusterIP/,
    unknownRange: /no range/,
  },
];

for (const row of rows) {
  t.test(`found out from ${row.name}`, async (t) => {
    const api = serverWith(row.answers);
    const finding = await findReserved(api, settingsWith(row.approve), signal);
    t.strictSame([...finding.never], row.never ?? []);
    t.strictSame([...finding.apiServers], row.apiServers ?? []);
    t.strictSame(
      finding.forbidden.map(({ what }) => what),
      row.forbidden ?? [],
    );
    t.match(finding.broken.map(({ message }) => message).join(), row.broken ?? /^$/);
    t.match(finding.unknownRange ?? 'known', row.unknownRange ?? /^known$/);
    t.strictSame(
      api.asked.map(({ path }) => path),
      PATHS,
      'each is asked once',
    );
  });
}

for (const { name, approve, says } of [
  { name: 'switched off', approve: { findReserved: false }, says: 'approve.never has no range' },
  { name: 'for client certificates alone', approve: { serving: false, clientRenewals: true }, says: undefined },
]) {
  t.test(`nobody is asked where it is ${name}`, async (t) => {
    const api = serverWith({});
    t.equal((await findReserved(api, settingsWith(approve), signal)).unknownRange, says);
    t.strictSame(api.asked, []);
  });
}

t.test('an API server that fails is no cluster without Services: it is thrown', async (t) => {
  const api = serverWith({ [ENDPOINTS]: refusal('ERR_API_SERVER') });
  await t.rejects(findReserved(api, settingsWith(), signal), { code: 'ERR_API_SERVER' });
});

t.test('names of the certificate count beside what was found, in lower case and without stars', async (t) => {
  const names = new ReservedNames();
  names.found({ never: ['10.96.0.1'], apiServers: new Set(['192.0.2.10']) });
  const { never, apiServers } = names.with({ dnsNames: ['API.example', '*.example'], ipAddresses: ['192.0.2.100'] });
  t.strictSame(never, ['10.96.0.1']);
  t.strictSame([...apiServers], ['192.0.2.10', 'api.example', '192.0.2.100']);
});

/** The loop with a clock that the test moves. */
function looking(t: Test, answers: Record<string, unknown>) {
  const api = serverWith(answers);
  const [clock, log, reserved, end] = [new FakeClock(), new FakeLogger(), new ReservedNames(), new AbortController()];
  const failures: string[] = [];
  let looks = 0;
  const times = {
    now: () => clock.now(),
    ticks: () => clock.now().getTime(),
    pause: async (ms: number, signal: AbortSignal) =>
      clock.sleepUntil(new Date(clock.now().getTime() + ms), signal).catch(() => undefined),
  };
  const done = lookForReserved(
    {
      api,
      settings: settingsWith(),
      reserved,
      times,
      chance: { roll: () => 0.5 },
      log,
      troubles: new Troubles(),
      failed: (code) => failures.push(code),
      found: () => (looks += 1),
    },
    end.signal,
  );
  t.teardown(async () => {
    end.abort();
    await done;
  });
  return { api, clock, log, reserved, failures, looks: () => looks };
}

t.test(
  'it is looked for every five minutes, and what is lacking is told once, and again after it was there',
  async (t) => {
    const answers: Record<string, unknown> = { [SERVICE]: refusal('ERR_API_FORBIDDEN'), [KUBEADM]: kubeadm('a: [') };
    const { clock, log, reserved, looks } = looking(t, answers);
    await clock.settle();
    const first = [
      'Not allowed to find out what no node may have',
      'What no node may have cannot be read',
      'Addresses of Services may pass for those of nodes',
    ];
    t.strictSame(log.events, first);
    t.match(log.of(first[0] ?? '')[0], {
      fields: { what: 'services kubernetes', code: 'ERR_API_FORBIDDEN', remedy: /--print-rbac/ },
    });
    t.match(log.of(first[2] ?? '')[0], { fields: { reason: /no range/, remedy: /service-cluster-ip-range/ } });
    await clock.advance(RELIST_MS);
    t.equal(looks(), 2);
    t.strictSame(log.events, first, 'nothing new');
    answers[RANGES] = { items: [{ spec: { cidrs: ['10.96.0.0/16'] } }] };
    await clock.advance(RELIST_MS);
    t.strictSame(reserved.with({ dnsNames: [], ipAddresses: [] }).never, ['10.96.0.0/16']);
    delete answers[RANGES];
    await clock.advance(RELIST_MS);
    t.strictSame(log.events, [...first, 'Addresses of Services may pass for those of nodes']);
  },
);

t.test(
  'nothing counts as found before a server that fails has answered; each failure is told and tried again',
  async (t) => {
    const answers: Record<string, unknown> = { [RANGES]: refusal('ERR_API_SERVER') };
    const { clock, log, failures, looks } = looking(t, answers);
    await clock.settle();
    t.equal(looks(), 0);
    t.strictSame(failures, ['ERR_API_SERVER']);
    t.match(log.of('Cannot follow what happens in the cluster')[0], {
      fields: { what: 'what is its own', code: 'ERR_API_SERVER' },
    });
    delete answers[RANGES];
    await clock.advanceUntil(() => looks() === 1, 10_000);
  },
);
