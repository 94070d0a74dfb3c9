/** What the hooks are told: of which pairs at the start, of which rotations, and of which files that were mended. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { CertificateSpec } from '../src/csr/spec.ts';
import { CertletError } from '../src/errors.ts';
import {
  afterKubeconfigs,
  afterPlainFiles,
  type HookStore,
  hostHooks,
  presentPairs,
  tellMended,
} from '../src/host-hooks.ts';
import type { Settings } from '../src/config.ts';
import type { RotationEvent } from '../src/ports.ts';
import { type FileSystem, NodeFileSystem } from '../src/adapters/file-system.ts';
import { sampleFacts } from './fixtures/snapshots.ts';
import { FakeLogger } from './fixtures/fakes/logger.ts';
import { FakeClock } from './fixtures/fakes/clock.ts';
import { clientSpec, exporterSpec, proxySpec } from './fixtures/specs.ts';

const PLAIN = { certFile: '/certs/exporter/tls.crt', keyFile: '/certs/exporter/tls.key' };
const withPlain = (spec: CertificateSpec): CertificateSpec => ({ ...spec, files: { ...spec.files, plain: PLAIN } });
const refused = new CertletError('ERR_STORE_IO', 'open /certs/exporter: permission denied (EACCES)');

type Behind = boolean | CertletError;

function storeWith(behind: Behind, current: HookStore['current'] = async () => undefined): HookStore {
  return {
    currentPath: (name) => `/certs/${name}/${name}-current.pem`,
    current,
    arePlainFilesBehind: async () => {
      if (typeof behind !== 'boolean') throw behind;
      return behind;
    },
  };
}

const settingsOf = (...specs: readonly CertificateSpec[]): Settings =>
  ({ specs, kubeconfig: '/etc/kubernetes/kubelet.conf', kubelet: { version: 'v1.20.2' } }) as unknown as Settings;

const eventOf = (purpose: string): RotationEvent => ({
  purpose,
  after: {},
  currentPath: '/x/current.pem',
  pairPath: '/x/1.pem',
  kubeconfigPath: '/x/k.conf',
  kubeletVersion: undefined,
});

const rotations: readonly {
  readonly name: string;
  readonly spec: CertificateSpec;
  readonly behind: Behind;
  readonly purpose?: string;
  readonly told: boolean;
}[] = [
  { name: 'a certificate without plain files', spec: exporterSpec(), behind: true, told: true },
  { name: 'plain files that are those of the pair', spec: withPlain(exporterSpec()), behind: false, told: true },
  { name: 'plain files that are behind', spec: withPlain(exporterSpec()), behind: true, told: false },
  { name: 'plain files that may not be read', spec: withPlain(exporterSpec()), behind: refused, told: true },
  { name: "the kubelet's own, which reads the link", spec: withPlain(clientSpec()), behind: true, told: true },
  {
    name: 'one that the settings name no more',
    spec: withPlain(exporterSpec()),
    behind: true,
    purpose: 'gone',
    told: true,
  },
];
for (const { name, spec, behind, purpose = spec.name, told } of rotations) {
  t.test(`a rotation is ${told ? 'told' : 'held back'}: ${name}`, async (t) => {
    const heard: string[] = [];
    const after = {
      rotated: async (event: RotationEvent) => void heard.push(event.purpose),
      announce: async () => undefined,
    };
    const signal = new AbortController().signal;
    await afterPlainFiles(after, [spec], storeWith(behind)).rotated(eventOf(purpose), signal);
    t.strictSame(heard, told ? [purpose] : []);
  });
}

for (const { name, spec, kubeconfigPath } of [
  { name: 'its own kubeconfig', spec: proxySpec(), kubeconfigPath: '/etc/kubernetes/kube-proxy.kubeconfig' },
  {
    name: "the node's kubeconfig where it has none",
    spec: exporterSpec(),
    kubeconfigPath: '/etc/kubernetes/kubelet.conf',
  },
]) {
  t.test(`mended files are told as a rotation, with ${name}`, async (t) => {
    const heard: RotationEvent[] = [];
    const after = { rotated: async (event: RotationEvent) => void heard.push(event) };
    await tellMended(after, settingsOf(spec), storeWith(false), { name: spec.name, pairPath: '/certs/1.pem' });
    t.strictSame(heard, [
      {
        purpose: spec.name,
        after: spec.after,
        currentPath: `/certs/${spec.name}/${spec.name}-current.pem`,
        kubeconfigPath,
        kubeletVersion: 'v1.20.2',
        pairPath: '/certs/1.pem',
      },
    ]);
    await tellMended(after, settingsOf(spec), storeWith(false), { name: 'gone', pairPath: '/certs/2.pem' });
    t.equal(heard.length, 1, 'of a certificate that the settings name no more nobody is told');
  });
}

const pairWith = (selfSigned: boolean): HookStore['current'] => {
  const leaf = sampleFacts({ selfSigned });
  return async () => ({ chain: { leaf } }) as unknown as Awaited<ReturnType<HookStore['current']>>;
};
const fails = async (): Promise<never> => {
  throw refused;
};
const present: readonly {
  readonly name: string;
  readonly current: HookStore['current'];
  readonly behind?: Behind;
  readonly readlink?: () => Promise<string | undefined>;
  readonly pairPath: string | undefined;
}[] = [
  { name: 'an issued pair', current: pairWith(false), pairPath: '/certs/exporter/1.pem' },
  { name: 'no pair', current: async () => undefined, pairPath: undefined },
  { name: 'a pair that cannot be read', current: fails, pairPath: undefined },
  { name: 'a pair that signed itself', current: pairWith(true), pairPath: undefined },
  { name: 'no link', current: pairWith(false), readlink: async () => undefined, pairPath: undefined },
  { name: 'a link that cannot be read', current: pairWith(false), readlink: fails, pairPath: undefined },
  { name: 'plain files that are behind', current: pairWith(false), behind: true, pairPath: undefined },
  {
    name: 'plain files that may not be read',
    current: pairWith(false),
    behind: refused,
    pairPath: '/certs/exporter/1.pem',
  },
  {
    name: 'a link out of the folder',
    current: pairWith(false),
    readlink: async () => '/elsewhere/2.pem',
    pairPath: '/elsewhere/2.pem',
  },
];
for (const { name, current, behind = false, readlink = async () => '1.pem', pairPath } of present) {
  t.test(`what is present for the hooks: ${name}`, async (t) => {
    const parts = {
      fs: { readlink } as unknown as FileSystem,
      clock: new FakeClock(),
      log: new FakeLogger(),
      store: storeWith(behind, current),
    };
    const [pair, ...more] = await presentPairs(settingsOf(withPlain(exporterSpec())), parts);
    t.strictSame(more, []);
    t.match(pair, { purpose: 'exporter', currentPath: '/certs/exporter/exporter-current.pem' });
    t.equal(pair?.pairPath, pairPath);
  });
}

t.test(
  'a restart of the kubelet waits for the window of the settings, and a record that cannot be written changes nothing',
  async (t) => {
    const clock = new FakeClock();
    const log = new FakeLogger();
    const planned: string[] = [];
    const full = new CertletError('ERR_STORE_FULL', 'no space left on device (ENOSPC)');
    let broken = false;
    const folder = t.testdir({ state: {}, run: {} });
    const settings = {
      ...settingsOf(clientSpec()),
      nodeName: 'n1',
      stateDir: join(folder, 'state'),
      runtimeDir: join(folder, 'run'),
      hooks: [],
      privilegedHooks: [],
      nodeIPs: [],
      kubelet: {
        unit: 'kubelet-that-is-not-here.service',
        version: 'v1.17.2',
        restart: 'auto',
        reloadWithinMs: 90_000,
        restartWindow: { start: '0 2 * * *', lengthMs: 3_600_000, timeZone: 'Europe/Berlin' },
      },
    } as unknown as Settings;
    const host = hostHooks(settings, {
      fs: new NodeFileSystem(),
      clock,
      log,
      store: storeWith(false),
      kubelet: () => undefined,
      confirmLock: async () => {
        if (broken) throw full;
      },
      observer: { observe: ({ kind, text }) => void planned.push(`${kind}: ${text}`) },
    });
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    t.same([host.planned(), host.restartNow()], [[], []]);
    broken = true;
    const replaced = { notBefore: new Date('2030-01-01'), notAfter: new Date('2031-01-01'), selfSigned: false };
    const { after } = clientSpec();
    await host.hooks.rotated({ ...eventOf('client'), after, replaced }, stop.signal);
    while (host.planned().length === 0) await new Promise(setImmediate);
    const [restart] = host.planned();
    t.match(restart, { purpose: 'client', by: 'window' });
    // 02:00 in Berlin is midnight in summer, which it is; the moment follows from the name of the node.
    t.match(restart?.at.toISOString(), /^2030-06-01T00:/);
    t.match(planned, [/^restartPlanned: the kubelet is restarted at 2030-06-01T00:.* for client, in its window$/]);
    t.match(log.of('hook record cannot be written'), [{}, { level: 'warn', fields: { code: 'ERR_STORE_FULL' } }]);
    t.same(host.restartNow(), ['client']);
    while (!existsSync(join(folder, 'run/restart-kubelet'))) await new Promise(setImmediate);
    t.same(host.planned(), []);
  },
);

for (const { name, spec, target, told } of [
  { name: 'one with a reload', spec: proxySpec(), target: 'kube-proxy-1.pem', told: true },
  { name: 'one without a reload', spec: { ...proxySpec(), after: {} }, target: 'kube-proxy-1.pem', told: false },
  { name: 'one without a pair', spec: proxySpec(), target: undefined, told: false },
]) {
  t.test(
    `a kubeconfig that was written for a pair that stayed is ${told ? 'told' : 'nobody’s business'}: ${name}`,
    async (t) => {
      const heard: RotationEvent[] = [];
      const after = {
        announce: async () => undefined,
        rotated: async (event: RotationEvent) => void heard.push(event),
      };
      const fs = { readlink: async () => target } as unknown as FileSystem;
      const signal = new AbortController().signal;
      await afterKubeconfigs(after, settingsOf(spec), { fs, store: storeWith(false) }).reconfigured?.(
        'kube-proxy',
        signal,
      );
      t.match(
        heard,
        told ? [{ purpose: 'kube-proxy', pairPath: '/certs/kube-proxy/kube-proxy-1.pem', cause: 'kubeconfig' }] : [],
      );
      t.equal(heard.length, Number(told));
    },
  );
}
