import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startControlPlane, type ControlPlane } from '../../cluster/fixtures/control-plane.ts';
import type { AuditedRequest } from '../../cluster/fixtures/audit.ts';
import { TOKEN_GROUP } from '../../cluster/fixtures/objects.ts';
import { kubeconfigText } from '../../fixtures/cluster/kubeconfig-text.ts';
import { Child } from './child.ts';
import type { ClusterCommand, ClusterReport } from './messages.ts';

type Seen = Pick<ClusterReport, 'momentsMs' | 'createdMs' | 'kinds'>;

/** The cluster that the nodes talk to. */
export interface Target {
  readonly label: string;
  readonly bootstrapKubeconfig: string;
  /** Serving requests are approved by somebody here. */
  readonly serving: boolean;
  setLifetime(ms: number): Promise<void>;
  down(): Promise<void>;
  up(): Promise<void>;
  /** What has been asked since the last call of `forget`. */
  seen(): Promise<Seen>;
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** The fake cluster, on 127.0.0.1, in a process of its own. */
export async function fakeTarget(): Promise<Target> {
  const child = new Child<ClusterCommand, ClusterReport>(join(import.meta.dirname, 'fake-target.ts'));
  const { bootstrapKubeconfig } = await child.ready;
  const tell = async (command: ClusterCommand): Promise<void> => void (await child.ask(command));
  return {
    label: 'the fake cluster',
    bootstrapKubeconfig,
    serving: true,
    setLifetime: (lifetimeMs) => tell({ lifetimeMs }),
    down: () => tell({ up: false }),
    up: () => tell({ up: true }),
    seen: () => child.ask({}),
    forget: () => tell({ forget: true }),
    close: () => Promise.resolve(child.end()),
  };
}

/** A real etcd, API server and controller manager from `KUBEBUILDER_ASSETS`; what was asked is read from its audit log. */
export async function realTarget(): Promise<Target> {
  const plane = await startControlPlane();
  const token = await plane.createBootstrapToken({
    id: 'soak00',
    secret: '0123456789abcdef',
    extraGroups: [TOKEN_GROUP],
  });
  const caPem = await readFile(plane.caPath, 'utf8');
  let since = Date.now();
  return {
    label: `a real API server ${plane.abilities.version}`,
    bootstrapKubeconfig: kubeconfigText({ server: plane.server, caPem, token }),
    // No Kubernetes approves serving requests by itself.
    serving: false,
    setLifetime: (ms) => plane.setUsableSeconds(Math.round(ms / 1000)),
    down: () => plane.stopApiServer(),
    up: () => plane.startApiServer(),
    seen: () => Promise.resolve(audited(plane, since)),
    forget: () => {
      since = Date.now();
      return Promise.resolve();
    },
    close: () => plane.close(false),
  };
}

const CREATE = 'create certificatesigningrequests';

function audited(plane: ControlPlane, since: number): Seen {
  const ours = plane
    .requests()
    .filter(({ userAgent, receivedAt }) => userAgent.startsWith('certlet') && receivedAt.getTime() >= since);
  const kinds: Record<string, number> = {};
  // A real API server that has too much to do answers 429: that is not yet a request for a certificate.
  const kindOf = ({ verb, resource, status }: AuditedRequest): string =>
    `${verb} ${resource ?? ''}${status === 429 ? ' answered 429' : ''}`.trim();
  for (const request of ours) kinds[kindOf(request)] = (kinds[kindOf(request)] ?? 0) + 1;
  const at = (requests: readonly AuditedRequest[]): readonly number[] =>
    requests.map(({ receivedAt }) => receivedAt.getTime());
  return { momentsMs: at(ours), createdMs: at(ours.filter((request) => kindOf(request) === CREATE)), kinds };
}
