/** Makes `docs/screens.md`, what commands and demo show at two widths: `node test/demo/screens.ts > docs/screens.md`. A test holds the page to it. */
import { checkText } from '../../src/check/report.ts';
import { finding, good, type StepReport } from '../../src/check/finding.ts';
import { statusDocument } from '../../src/status/document.ts';
import { statusReport } from '../../src/status/text.ts';
import { verdictOf } from '../../src/status/verdict.ts';
import { NOW, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';
import { Narrator } from './narrator.ts';
import { type Stage, tellStory } from './story.ts';

const WIDTHS = [80, 120] as const;
const CSR = 'node-csr-Mx6lT_3Ex1xCdDzh4Eg4wHj_sbq5oHjEw3QBemX84LU';
const UNREACHABLE =
  'POST /apis/certificates.k8s.io/v1/certificatesigningrequests at https://192.0.2.1:6443: nothing listens there (ECONNREFUSED)';

/** A node whose client certificate cannot be renewed at the moment, and whose serving request waits for a person. */
function troubledStatus(columns: number, details: boolean): string {
  const since = new Date('2026-11-21T03:48:00Z');
  const failed = {
    code: 'ERR_API_UNREACHABLE',
    message: UNREACHABLE,
    remedy: 'nc -vz 192.0.2.1 6443   # route, firewall and proxy',
    at: new Date('2026-11-21T04:10:00Z'),
  } as const;
  const client = sampleManager({
    phase: 'waiting to retry',
    reason: UNREACHABLE,
    since,
    rotationDeadline: since,
    nextAttempt: new Date('2026-11-21T04:15:00Z'),
    lastError: failed,
    failing: { since, tries: 9 },
  });
  const made = new Date('2026-11-21T04:01:00Z');
  const serving = waitingServing({
    command: `kubectl certificate approve ${CSR}`,
    pending: { name: CSR, createdAt: made, posted: true, approved: false, received: false },
  });
  const document = statusDocument(sampleSnapshot({ managers: [client, serving] }), {
    command: 'run',
    pid: 812,
    version: '0.2.0',
    now: NOW,
    hooks: [],
    warnings: [
      {
        at: '2026-11-21T04:01:10Z',
        level: 'warn',
        event: 'Certificate signing request waits for approval',
        purpose: 'serving',
        times: 1,
      },
      {
        at: '2026-11-21T04:10:00Z',
        level: 'warn',
        event: 'Failed while requesting a signed certificate',
        purpose: 'client',
        code: failed.code,
        times: 9,
      },
    ],
  });
  const verdict = verdictOf(document, NOW, 'running');
  return statusReport(document, { source: { kind: 'socket' }, verdict, now: NOW, colour: false, columns, details });
}

const REPORTS: readonly StepReport[] = [
  { step: 'settings', title: 'Settings', findings: [good('settings', '/etc/certlet/config.yaml, node n1')] },
  {
    step: 'authorization',
    title: 'Authorization',
    findings: [
      finding(
        'problem',
        'authorization.bootstrap-forbidden',
        'the bootstrap token may not create certificatesigningrequests: the role system:node-bootstrapper is not bound to its group',
        {
          remedy:
            'kubectl create clusterrolebinding certlet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers',
        },
      ),
    ],
  },
  {
    step: 'requests',
    title: 'Requests of this node',
    findings: [
      finding('warning', 'requests.client-unapproved', 'the client request has been waiting for 3 hours', {
        sure: 'likely',
        causes: [
          { what: 'kube-controller-manager is down', sure: 'likely', remedy: 'kubectl -n kube-system get pods' },
          { what: 'the role nodeclient is not bound to its group', sure: 'possible' },
        ],
      }),
    ],
  },
];

const checkScreen = (columns: number): string =>
  checkText(REPORTS, { nodeName: 'n1', program: '0.2.0', now: NOW, colour: false, columns });

/** The demo with everything going as it should; each step takes half a second. */
async function demoScreen(columns: number): Promise<string> {
  let text = '';
  let now = 0;
  const pair = (second: string): { file: string; serial: string; expires: string } => ({
    file: `kubelet-client-2026-11-21-04-11-${second}.pem`,
    serial: '5b7c1f0e',
    expires: '2026-11-21T04:12:00Z',
  });
  const step = async (): Promise<void> => void (now += 500);
  const stage: Stage = {
    cluster: 'a throw-away cluster (an API server of the test suite)',
    nodeName: 'demo-node',
    seconds: 50,
    outageSeconds: 10,
    begin: step,
    requested: async () => {
      await step();
      return { csr: CSR };
    },
    current: async () => {
      await step();
      return pair('48');
    },
    kubeconfig: async () => [
      'apiVersion: v1',
      'kind: Config',
      '…',
      '    client-certificate: pki/kubelet-client-current.pem',
    ],
    approveServing: step,
    approveFurther: () => undefined,
    rotated: async () => {
      now += 24_000;
      return pair('30');
    },
    listing: () => [
      'kubelet-client-2026-11-21-04-11-02.pem',
      'kubelet-client-current.pem -> kubelet-client-2026-11-21-04-11-02.pem',
      'kubelet-server-2026-11-21-04-11-04.pem',
      'kubelet-server-current.pem -> kubelet-server-2026-11-21-04-11-04.pem',
    ],
    stopApiServer: step,
    renewInVain: async () => {
      await step();
      return { code: 'ERR_API_UNREACHABLE' };
    },
    outage: async () => void (now += 10_000),
    startApiServer: step,
    caughtUp: async () => undefined,
    end: async () => [
      { what: 'client certificate', where: 'pki/kubelet-client-current.pem', until: '2026-11-21T04:12:00Z' },
      { what: 'serving certificate', where: 'pki/kubelet-server-current.pem', until: '2026-11-21T04:11:55Z' },
      { what: 'kubeconfig', where: 'kubelet.conf', until: '-' },
    ],
  };
  const write = (more: string): void => void (text += more);
  await tellStory(new Narrator({ columns, colour: false, live: false, write, now: () => now }), stage);
  return text;
}

/** The whole page. */
export async function screensPage(): Promise<string> {
  const screens = [
    { title: 'certlet status', show: async (columns: number) => troubledStatus(columns, false) },
    { title: 'certlet status -v', show: async (columns: number) => troubledStatus(columns, true) },
    { title: 'certlet check', show: async (columns: number) => checkScreen(columns) },
    { title: 'npm run demo', show: demoScreen },
  ];
  const parts = [
    '# Screens',
    '',
    'What a person sees, at terminals of 80 and of 120 columns. Made by `node test/demo/screens.ts`.',
  ];
  for (const { title, show } of screens) {
    for (const columns of WIDTHS) {
      parts.push(
        '',
        `## \`${title}\` at ${String(columns)} columns`,
        '',
        '```',
        (await show(columns)).trimEnd(),
        '```',
      );
    }
  }
  return `${parts.join('\n')}\n`;
}

if (import.meta.main) process.stdout.write(await screensPage());
