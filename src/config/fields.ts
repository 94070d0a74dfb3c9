import { KEY_USAGES } from '../csr/spec.ts';
import { NODE_ADDRESS_TYPES } from '../kubelet/node-addresses.ts';
import { KEY_ALGORITHMS } from '../pki/keys.ts';
import { approveCodec, signerName, subjectText } from './approve.ts';
import { calendarExpression, timeZone } from './calendar.ts';
import { defaulted, group, list, optional, required } from './codec.ts';
import {
  absolutePath,
  addressRange,
  boolean,
  certificateNames,
  choice,
  duration,
  hostName,
  integer,
  ipAddress,
  listenAddress,
  longDuration,
  serverAddress,
  serverUrl,
  subjectName,
  text,
} from './values.ts';

/** The signers take nothing shorter (validation of spec.expirationSeconds). */
const MIN_EXPIRATION_SECONDS = 600;
/** expirationSeconds is an int32 in the API. */
const MAX_INT32 = 2 ** 31 - 1;
/** The least that keeps a node from a hot loop whatever a file says. */
const MIN_PAUSE_MS = 1000;

/** A certificate with more names than this fits into no handshake that anybody does. */
const MOST_NAMES = 1000;
const CLOUD_PROVIDERS = ['none', 'external'] as const;
/** Less is what an API server is away for while it is upgraded, and each move restarts the kubelet. */
const MIN_MOVE_MS = 60_000;

/** Less would not spread the nodes of a site. */
const MIN_WINDOW_MS = 10 * 60_000;

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
const LOG_FORMATS = ['auto', 'text', 'journal', 'json'] as const;
const RESTARTS = ['auto', 'always', 'never'] as const;
const CA_SOURCES = ['cluster-info', 'clusterTrustBundle', 'off'] as const;
const APPROVALS = ['person', 'approver'] as const;

/** A name that is safe as part of a file name and as the instance of a systemd unit. */
const hookName = () =>
  text({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$', what: 'a name of letters, digits, dots, - and _', maxLength: 64 });

const plainPair = () => group({ certFile: optional(absolutePath()), keyFile: optional(absolutePath()) });

const hook = () =>
  group({
    name: required(hookName()),
    command: required(list(text({ pattern: '^[^\\u0000]*$', what: 'text' }), { min: 1 })),
    on: optional(list(certificateName(), { min: 1 })),
    timeout: defaulted(duration(MIN_PAUSE_MS), '30s'),
  });

/** A DNS label (RFC 1123): it becomes part of file names, metrics and unit names. */
const certificateName = () =>
  text({ pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$', what: 'a DNS label, such as kube-proxy', maxLength: 63 });

const certificate = () =>
  group({
    name: required(certificateName()),
    signerName: required(signerName()),
    commonName: required(subjectText()),
    organizations: defaulted(list(subjectText()), []),
    usages: required(list(choice(KEY_USAGES), { min: 1 })),
    names: defaulted(certificateNames(), 'none'),
    keyAlgorithm: optional(choice(KEY_ALGORITHMS)),
    expirationSeconds: optional(integer(MIN_EXPIRATION_SECONDS, MAX_INT32)),
    rotationWindow: defaulted(
      group({
        earliestPercent: defaulted(integer(10, 90), 70),
        latestPercent: defaulted(integer(10, 90), 90),
      }),
      {},
    ),
    reserve: optional(longDuration(0)),
    certFile: optional(absolutePath()),
    keyFile: optional(absolutePath()),
    groupReadable: defaulted(boolean(), false),
    kubeconfig: optional(absolutePath()),
    reload: optional(hookName()),
    verify: optional(
      group({
        address: required(
          serverAddress({
            pattern: '^([0-9A-Za-z.-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$',
            what: 'an address or name with a port, such as 127.0.0.1:9100',
            maxLength: 261,
          }),
        ),
        within: defaulted(duration(MIN_PAUSE_MS), '90s'),
      }),
    ),
    approval: optional(choice(APPROVALS)),
  });

/** Every setting, as it stands in the file, with its default. Flags, schema, example and man pages are made from it. */
export const SETTINGS_CODEC = group({
  bootstrapKubeconfig: defaulted(absolutePath(), '/etc/kubernetes/bootstrap-kubelet.conf'),
  kubeconfig: defaulted(absolutePath(), '/etc/kubernetes/kubelet.conf'),
  manageKubeconfig: defaulted(boolean(), true),
  followClusterCA: defaulted(choice(CA_SOURCES), 'off'),
  caFile: defaulted(boolean(), false),
  servers: defaulted(list(serverUrl()), []),
  serversFromEndpoints: defaulted(boolean(), false),
  moveKubeconfig: optional(duration(MIN_MOVE_MS)),
  certDir: defaulted(absolutePath(), '/var/lib/kubelet/pki'),
  stateDir: optional(absolutePath()),
  runtimeDir: defaulted(absolutePath(), '/run/certlet'),
  hostnameOverride: optional(hostName()),
  nodeIP: defaulted(list(ipAddress()), []),
  rotateServerCertificates: defaulted(boolean(), true),
  servingNames: defaulted(list(subjectName()), []),
  addressTypes: defaulted(list(choice(NODE_ADDRESS_TYPES), { min: 1 }), NODE_ADDRESS_TYPES),
  ignoreAddresses: defaulted(list(addressRange()), []),
  maxNames: optional(integer(1, MOST_NAMES)),
  keyAlgorithm: defaulted(choice(KEY_ALGORITHMS), 'ECDSA-P256'),
  keyEncipherment: defaulted(boolean(), true),
  expirationSeconds: optional(integer(MIN_EXPIRATION_SECONDS, MAX_INT32)),
  reserve: optional(longDuration(0)),
  plainFiles: defaulted(group({ client: optional(plainPair()), serving: optional(plainPair()) }), {}),
  certificates: defaulted(list(certificate()), []),
  certificatesDir: defaulted(absolutePath(), '/var/lib/certlet/certs'),
  deleteBootstrapKubeconfig: defaulted(boolean(), false),
  rotation: defaulted(
    group({
      minimumSpacing: defaulted(duration(MIN_PAUSE_MS), '30s'),
      keepOldFiles: defaulted(integer(0, 100), 2),
      pruneGrace: defaulted(duration(0), '1h'),
      addressDebounce: defaulted(duration(0), '10s'),
      nodeRefresh: defaulted(duration(MIN_PAUSE_MS), '5m'),
      startSpread: defaulted(duration(0), '1m'),
      refusedBackoff: defaulted(duration(MIN_PAUSE_MS), '1h'),
      proofRetry: defaulted(duration(0), '5m'),
      clusterCARefresh: defaulted(duration(MIN_PAUSE_MS), '1h'),
    }),
    {},
  ),
  kubelet: defaulted(
    group({
      unit: defaulted(
        text({
          pattern: '^[A-Za-z0-9:_.\\\\-]+(@[A-Za-z0-9:_.\\\\-]+)?\\.service$',
          what: 'the name of a systemd service, such as kubelet.service',
          maxLength: 255,
        }),
        'kubelet.service',
      ),
      version: optional(
        text({
          pattern: '^v?[0-9]{1,5}\\.[0-9]{1,5}(\\.[0-9A-Za-z.+-]*)?$',
          what: 'a version such as v1.20.2',
          maxLength: 64,
        }),
      ),
      restart: defaulted(choice(RESTARTS), 'auto'),
      cloudProvider: defaulted(choice(CLOUD_PROVIDERS), 'none'),
      reloadWithin: defaulted(duration(MIN_PAUSE_MS), '90s'),
      address: optional(ipAddress()),
      port: optional(integer(1, 65_535)),
      restartWindow: optional(
        group({
          start: required(calendarExpression()),
          length: required(duration(MIN_WINDOW_MS)),
          timeZone: optional(timeZone()),
        }),
      ),
    }),
    {},
  ),
  hooks: defaulted(list(hook()), []),
  privilegedHooks: defaulted(list(hookName()), []),
  log: defaulted(
    group({ level: defaulted(choice(LOG_LEVELS), 'info'), format: defaulted(choice(LOG_FORMATS), 'auto') }),
    {},
  ),
  metrics: defaulted(
    group({
      address: optional(
        listenAddress({
          pattern: '^(127(\\.[0-9]{1,3}){3}|localhost|\\[::1\\]):[0-9]{1,5}$',
          what: 'a loopback address with a port, such as 127.0.0.1:9099',
          maxLength: 64,
        }),
      ),
      textfile: optional(absolutePath()),
    }),
    {},
  ),
  events: defaulted(boolean(), false),
  approve: defaulted(approveCodec(), {}),
});

/** The settings as read, before paths and names that follow from others are filled in. */
export type SettingsFile = NonNullable<ReturnType<typeof SETTINGS_CODEC.read>>;
