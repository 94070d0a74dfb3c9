import { dirname, resolve } from 'node:path';
import { Secret } from '../secret.ts';
import type { Field } from './fields.ts';
import type { ClusterEntry, Material, Origin } from './model.ts';
import { readProxyUrl, readServer, readTlsServerName } from './server-url.ts';

/** Checks the `cluster` map of a named cluster. Throws `ERR_KUBECONFIG_INVALID`. */
export function readCluster(cluster: Field): ClusterEntry {
  const ca = readMaterial(cluster, 'certificate-authority');
  const insecure = cluster.at('insecure-skip-tls-verify');
  const insecureSkipTlsVerify = insecure.flag();
  if (insecureSkipTlsVerify && ca.material !== undefined) {
    throw insecure.invalid(
      'a certificate authority is given too, and client-go refuses the two together',
      'Delete insecure-skip-tls-verify: the certificate authority is what makes the connection safe.',
    );
  }
  const { server, warnings } = readServer(cluster.at('server'), ca.material !== undefined || insecureSkipTlsVerify);
  return {
    server,
    ca: ca.material,
    insecureSkipTlsVerify,
    tlsServerName: readTlsServerName(cluster.at('tls-server-name')),
    proxyUrl: readProxyUrl(cluster.at('proxy-url')),
    warnings: [
      ...warnings,
      ...ca.warnings,
      ...(insecureSkipTlsVerify
        ? [`${insecure.place}: ${insecure.name} is true: whoever is on the way to ${server} can pose as the API server`]
        : []),
    ],
  };
}

/** Where `field` stands, for messages about what it names. */
export function originOf(field: Field): Origin {
  return { place: field.place, field: field.name };
}

/** A path as client-go resolves it: against the folder of the kubeconfig. */
export function resolveBeside(field: Field, path: string): string {
  return resolve(dirname(field.file), path);
}

/** `<name>-data` (base64) or `<name>` (path); data wins over path, as in client-go's loadTLSFiles. */
export function readMaterial(
  parent: Field,
  name: string,
): { readonly material: Material | undefined; readonly warnings: readonly string[] } {
  const data = parent.at(`${name}-data`);
  const path = parent.at(name);
  const encoded = data.text();
  const pathText = path.text();
  if (encoded !== undefined) {
    const warnings =
      pathText === undefined ? [] : [`${path.place}: ${path.name} is not read: ${name}-data beside it wins`];
    return { material: { kind: 'data', text: decodeBase64(data, encoded), origin: originOf(data) }, warnings };
  }
  if (pathText === undefined) return { material: undefined, warnings: [] };
  return { material: { kind: 'file', path: resolveBeside(path, pathText), origin: originOf(path) }, warnings: [] };
}

function decodeBase64(field: Field, encoded: string): Secret {
  // Go's decoder passes line breaks by, and nothing else.
  const packed = encoded.replaceAll(/[\r\n]/g, '');
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) {
    throw field.invalid(
      packed.startsWith('-----BEGIN') ? 'is PEM text instead of base64' : 'is no base64',
      `Write the PEM file in base64 on one line (base64 -w0 FILE), or name it with ${field.name.replace(/^.*\./, '').replace(/-data$/, '')}.`,
    );
  }
  return new Secret(Buffer.from(packed, 'base64').toString('utf8'));
}
