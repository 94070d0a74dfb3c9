import { type Remedy, onControlPlane } from '../remedy.ts';
import { JsonFields } from '../csr/json-fields.ts';
import { type CertletError, isCertletError } from '../errors.ts';
import { parseOnlyYaml } from '../kubeconfig/yaml.ts';
import { bareHost, canonicalIpAddress } from '../pki/ip-address.ts';
import { parseIpRange, rangeHolds } from '../pki/ip-range.ts';
import type { HostNames } from '../pki/server-names.ts';
import type { ClusterApi } from './ports.ts';
import { type ApproveSettings, judgesNames } from './settings.ts';

/** What is the cluster's own: names in lower case, addresses in canonical text. */
export interface Reserved {
  /** Addresses and ranges that no node can have, as entries of `never`: Services, pods. */
  readonly never: readonly string[];
  /** Names and addresses of API servers; a node that is one of their hosts has them, too. */
  readonly apiServers: ReadonlySet<string>;
}

/** What was found out, by whom it could not be, and whether that tells where Services are. */
export interface Finding extends Reserved {
  /** What the approver may not read, with the server's words. */
  readonly forbidden: readonly { readonly what: string; readonly error: CertletError }[];
  /** What could be read and not understood. */
  readonly broken: readonly CertletError[];
  /** Why addresses of Services may pass for a node's; undefined where their range is known. */
  readonly unknownRange: string | undefined;
}

const NOTHING: Reserved = { never: [], apiServers: new Set() };

/** What was found last, for whoever judges. */
export class ReservedNames {
  #found: Reserved = NOTHING;

  found(reserved: Reserved): void {
    this.#found = reserved;
  }

  /** With what the server is called; a name with a star is no name of the server alone. */
  with({ dnsNames, ipAddresses }: HostNames): Reserved {
    const { never, apiServers } = this.#found;
    const names = dnsNames.filter((name) => !name.includes('*')).map((name) => name.toLowerCase());
    return { never, apiServers: new Set([...apiServers, ...names, ...ipAddresses]) };
  }
}

/** One object that tells something, and how it does. */
interface Source {
  readonly what: string;
  readonly path: string;
  readonly read: (json: unknown) => Partial<Told>;
}

interface Told {
  readonly serviceAddresses: readonly string[];
  readonly serviceRanges: readonly string[];
  readonly podRanges: readonly string[];
  readonly apiServers: readonly string[];
}

const SOURCES: readonly Source[] = [
  {
    what: 'services kubernetes',
    path: '/api/v1/namespaces/default/services/kubernetes',
    read: (json) => {
      const spec = fields(json, 'Service kubernetes').object('spec');
      return { serviceAddresses: [spec.optionalText('clusterIP') ?? '', ...spec.texts('clusterIPs')] };
    },
  },
  {
    what: 'endpoints kubernetes',
    path: '/api/v1/namespaces/default/endpoints/kubernetes',
    read: (json) => ({
      apiServers: fields(json, 'Endpoints kubernetes')
        .objects('subsets')
        .flatMap((subset) => [...subset.objects('addresses'), ...subset.objects('notReadyAddresses')])
        .map((address) => address.text('ip')),
    }),
  },
  {
    // From 1.33 on; before, nothing but kube-apiserver's flag tells the range.
    what: 'servicecidrs',
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    read: (json) => ({
      serviceRanges: fields(json, 'ServiceCIDRs')
        .objects('items')
        .flatMap((item) => item.object('spec').texts('cidrs')),
    }),
  },
  {
    what: 'configmaps kubeadm-config',
    path: '/api/v1/namespaces/kube-system/configmaps/kubeadm-config',
    read: kubeadm,
  },
];

const fields = (json: unknown, what: string): JsonFields => new JsonFields(json, what, 'ERR_API_PROTOCOL');

/** kubeadm's ClusterConfiguration (kubeadm API, v1beta1 to v1beta4). */
function kubeadm(json: unknown): Partial<Told> {
  const data = fields(json, 'ConfigMap kubeadm-config').object('data');
  const path = 'ConfigMap kubeadm-config data.ClusterConfiguration';
  const text = data.optionalText('ClusterConfiguration') ?? '';
  const configuration = fields(parseOnlyYaml(text, path, 'ERR_API_PROTOCOL').value ?? {}, path);
  const part = (key: string): JsonFields | undefined =>
    configuration.has(key) ? configuration.object(key) : undefined;
  const ranges = (key: string): readonly string[] => (part('networking')?.optionalText(key) ?? '').split(',');
  return {
    serviceRanges: ranges('serviceSubnet'),
    podRanges: ranges('podSubnet'),
    apiServers: [
      hostOf(configuration.optionalText('controlPlaneEndpoint') ?? ''),
      ...(part('apiServer')?.texts('certSANs') ?? []),
    ],
  };
}

/** `HOST` or `HOST:PORT`, an IPv6 address in brackets where there is a port. */
function hostOf(endpoint: string): string {
  return canonicalIpAddress(endpoint) ?? bareHost(endpoint.replace(/:\d+$/, ''));
}

/**
 * Asks the cluster what is its own. What is not there tells nothing, what may not be read or cannot be understood is told, and everything else
 * that fails is thrown: a judgement without it would let pass what the next one stops.
 */
export async function findReserved(api: ClusterApi, settings: ApproveSettings, signal: AbortSignal): Promise<Finding> {
  const told: Partial<Told>[] = [];
  const forbidden: { what: string; error: CertletError }[] = [];
  const broken: CertletError[] = [];
  if (settings.findReserved && judgesNames(settings)) {
    for (const { what, path, read } of SOURCES) {
      try {
        told.push(read(await api.request('GET', path, undefined, signal)));
      } catch (error) {
        if (isCertletError(error, 'ERR_API_FORBIDDEN')) forbidden.push({ what, error });
        else if (isCertletError(error, 'ERR_API_PROTOCOL')) broken.push(error);
        else if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
      }
    }
  }
  return { ...reservedBy(told, settings), forbidden, broken };
}

/** Pure: what all that was told comes to. */
function reservedBy(
  told: readonly Partial<Told>[],
  settings: ApproveSettings,
): Reserved & Pick<Finding, 'unknownRange'> {
  const all = (key: keyof Told): readonly string[] =>
    told.flatMap((part) => part[key] ?? []).map((text) => text.trim());
  // The first of the list stands alone, too.
  const services = [...new Set(all('serviceAddresses'))].filter((text) => canonicalIpAddress(text) !== undefined);
  const ranges = all('serviceRanges').filter((text) => parseIpRange(text) !== undefined);
  const pods = all('podRanges').filter((text) => parseIpRange(text) !== undefined);
  const apiServers = all('apiServers').filter((text) => text !== '' && !text.includes('*'));
  return {
    never: [...new Set([...services, ...ranges, ...pods])],
    apiServers: new Set(apiServers.map((text) => canonicalIpAddress(text) ?? text.toLowerCase())),
    unknownRange: unknownRange(services, ranges, settings),
  };
}

/** An address alone is no range: the Services beside it are meant. */
function unknownRange(
  services: readonly string[],
  found: readonly string[],
  settings: ApproveSettings,
): string | undefined {
  if (!judgesNames(settings)) return undefined;
  const ranges = [...found, ...settings.never].flatMap((text) => {
    const range = text.includes('/') ? parseIpRange(text) : undefined;
    return range === undefined ? [] : [range];
  });
  const open = services.filter((address) => !ranges.some((range) => rangeHolds(range, address)));
  if (open.length > 0)
    return `the Service kubernetes has ${open.join(' and ')}, and no range in approve.never holds it`;
  return services.length === 0 && ranges.length === 0 ? 'approve.never has no range' : undefined;
}

/** Where kube-apiserver has it (its reference): kubeadm in a static pod, others in a unit. */
export const SERVICE_RANGE_REMEDY: Remedy = onControlPlane(
  "tr '\\0' '\\n' < /proc/$(pgrep -o kube-apiserver)/cmdline | grep service-cluster-ip-range",
  'its value belongs into approve.never',
);
