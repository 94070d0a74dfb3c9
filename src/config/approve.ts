import { type ApproveSettings, CLIENT_SIGNER, SERVING_SIGNER } from '../approve/settings.ts';
import { isNeverEntry } from '../approve/rules/never.ts';
import { KEY_USAGES } from '../csr/spec.ts';
import { KEY_ALGORITHMS } from '../pki/keys.ts';
import {
  type Codec,
  defaulted,
  group,
  list,
  optional,
  type Problem,
  reject,
  required,
  type SettingPath,
} from './codec.ts';
import {
  absolutePath,
  boolean,
  certificateNames,
  choice,
  duration,
  integer,
  listenAddress,
  refined,
  text,
} from './values.ts';

/** A signer's name, as the API server validates it (571 characters). */
export const signerName = (): Codec<string> =>
  text({
    pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
    what: 'the name of a signer, such as example.com/monitoring',
    maxLength: 571,
  });

/** Text of a subject. The placeholder is all that may stand in braces; RFC 5280 allows 64 characters, `{nodeName}` put in. */
export const subjectText = (): Codec<string> =>
  text({
    pattern: '^([^{}\\u0000-\\u001f\\u007f]|\\{nodeName\\})+$',
    what: 'text, in which {nodeName} stands for the name of the node',
    maxLength: 256,
  });

const neverEntry = (): Codec<string> =>
  refined(
    text({ pattern: '^[0-9A-Za-z*:./-]+$', what: 'a DNS name, an address or a range', maxLength: 253 }),
    (given, path, problems) => {
      const entry = given.toLowerCase();
      if (isNeverEntry(entry)) return entry;
      return reject(
        problems,
        path,
        `expected a DNS name (*. in front stands for all below), an address or a range such as 10.96.0.0/12, got ${JSON.stringify(given)}`,
      );
    },
  );

const otherSigner = (): Codec<string> =>
  refined(signerName(), (name, path, problems) =>
    [SERVING_SIGNER, CLIENT_SIGNER].includes(name)
      ? reject(problems, path, `${name} has settings of its own: serving, clientRenewals, clientBootstrap`)
      : name,
  );

const allowedCertificate = () =>
  group({
    name: required(
      text({ pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$', what: 'a DNS label, such as kube-proxy', maxLength: 63 }),
    ),
    signerName: required(otherSigner()),
    commonName: required(subjectText()),
    organizations: defaulted(list(subjectText()), []),
    usages: required(list(choice(KEY_USAGES), { min: 1 })),
    names: defaulted(certificateNames(), 'none'),
    requester: defaulted(
      text({ pattern: '^[^\\u0000-\\u001f\\u007f]+$', what: 'node, or the name of a user', maxLength: 512 }),
      'node',
    ),
  });

/** Labels and namespaces, as the API server validates them. */
const labelKey = () =>
  text({
    pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
    what: 'the key of a label',
    maxLength: 317,
  });
const namespace = () =>
  text({ pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$', what: 'the name of a namespace', maxLength: 63 });

/** Settings of `certlet approve`; a file alone can give them. */
export const approveCodec = () =>
  group({
    serving: defaulted(boolean(), true),
    clientRenewals: defaulted(boolean(), false),
    clientBootstrap: defaulted(choice(['none', 'bound'] as const), 'none'),
    certificates: defaulted(list(allowedCertificate()), []),
    permission: defaulted(boolean(), true),
    namesFrom: defaulted(choice(['node', 'inventory', 'both', 'either'] as const), 'node'),
    inventory: optional(absolutePath()),
    never: defaulted(list(neverEntry()), []),
    findReserved: defaulted(boolean(), true),
    dns: defaulted(boolean(), false),
    keyAlgorithms: defaulted(list(choice(KEY_ALGORITHMS), { min: 1 }), KEY_ALGORITHMS),
    maxNames: defaulted(integer(1, 100), 9),
    maxLifetime: defaulted(duration(600_000), '8760h'),
    maxPerNodeAndHour: defaulted(integer(1, 1000), 10),
    withholdLabel: defaulted(labelKey(), 'node-restriction.kubernetes.io/certlet-withhold'),
    deny: defaulted(boolean(), false),
    events: defaulted(boolean(), true),
    leaseNamespace: defaulted(namespace(), 'kube-system'),
    metricsAddress: optional(
      listenAddress({
        pattern: '^([0-9.]+|localhost|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$',
        what: 'an address with a port, such as 127.0.0.1:9099',
        maxLength: 64,
      }),
    ),
    deleteTokens: defaulted(boolean(), false),
  });

type ApproveFile = NonNullable<ReturnType<ReturnType<typeof approveCodec>['read']>>;

/** The settings as the approver takes them. */
export function approveSettings(file: ApproveFile): ApproveSettings {
  const { maxLifetime, leaseNamespace, metricsAddress, ...rest } = file;
  return {
    ...rest,
    maxLifetimeMs: maxLifetime,
    leaseNamespace: leaseNamespace === '' ? undefined : leaseNamespace,
    metricsAddress,
  };
}

/** Settings that fit their kinds and not each other, at their places. */
export function approveProblems(file: ApproveFile): readonly Problem[] {
  const path = (...at: SettingPath): SettingPath => ['approve', ...at];
  const names = file.certificates.map(({ name }) => name);
  return [
    ...(file.namesFrom !== 'node' && file.inventory === undefined
      ? [{ path: path('namesFrom'), text: `${file.namesFrom} needs approve.inventory, the file` }]
      : []),
    ...(file.namesFrom === 'node' && file.inventory !== undefined
      ? [{ path: path('inventory'), text: 'is not looked at with namesFrom: node; set inventory, both or either' }]
      : []),
    ...(file.deleteTokens && file.clientBootstrap !== 'bound'
      ? [{ path: path('deleteTokens'), text: 'needs clientBootstrap: bound' }]
      : []),
    ...names.flatMap((name, index) =>
      names.indexOf(name) === index
        ? []
        : [{ path: path('certificates', index, 'name'), text: `${name} stands twice` }],
    ),
  ];
}
