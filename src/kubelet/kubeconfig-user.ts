/** Where the current user of a kubelet's kubeconfig has its client certificate. */
export interface KubeconfigUser {
  /** The certificate lies inside the kubeconfig: no kubelet ever reads it again while it runs. */
  readonly embedded: boolean;
  /** PEM of embedded data. */
  readonly certificatePem: string | undefined;
  /** Path as written. */
  readonly certificatePath: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads the user of the current context of a parsed kubeconfig; undefined when there is none. */
export function kubeconfigUser(document: unknown): KubeconfigUser | undefined {
  const root = fieldsOf(document);
  const context = fieldsOf(namedItem(root['contexts'], root['current-context'])['context']);
  const entry = namedItem(root['users'], context['user']);
  if (entry['user'] === undefined) return undefined;
  const user = fieldsOf(entry['user']);
  const data = user['client-certificate-data'];
  const path = user['client-certificate'];
  const embedded = typeof data === 'string' && data !== '';
  return {
    embedded,
    certificatePem: embedded ? Buffer.from(data, 'base64').toString('utf8') : undefined,
    certificatePath: typeof path === 'string' && path !== '' ? path : undefined,
  };
}

/** Files that the current context of a parsed kubeconfig names, as written: CA, certificate, key. */
export function kubeconfigNames(document: unknown): readonly string[] {
  const root = fieldsOf(document);
  const context = fieldsOf(namedItem(root['contexts'], root['current-context'])['context']);
  const cluster = fieldsOf(namedItem(root['clusters'], context['cluster'])['cluster']);
  const user = fieldsOf(namedItem(root['users'], context['user'])['user']);
  const named = [cluster['certificate-authority'], user['client-certificate'], user['client-key']];
  return named.filter((path) => typeof path === 'string' && path !== '') as readonly string[];
}

function namedItem(list: unknown, name: unknown): Fields {
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  return fieldsOf(items.find((item) => fieldsOf(item)['name'] === name && name !== undefined));
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
