import { inSettings } from '../remedy.ts';
import type { Settings } from '../config.ts';
import { nearest } from '../config/nearest.ts';
import { KUBELET_SERVING } from '../csr/spec.ts';
import { CertletError } from '../errors.ts';
import { typedLine } from './carried.ts';

/** All that is managed, or the one that was named on the line `argv`. Throws `ERR_USAGE` for one that is not managed. */
export function managedPurposes(
  { specs }: Pick<Settings, 'specs'>,
  wanted: string | undefined,
  argv: readonly string[],
): readonly string[] {
  const managed = specs.map(({ name }) => name);
  if (wanted === undefined) return managed;
  if (managed.includes(wanted)) return [wanted];
  if (wanted === KUBELET_SERVING) {
    throw new CertletError('ERR_USAGE', 'the serving certificate is not managed: rotateServerCertificates is false', {
      remedy: inSettings('rotateServerCertificates: true'),
    });
  }
  const meant = nearest(wanted, managed);
  throw new CertletError(
    'ERR_USAGE',
    `no certificate is named ${JSON.stringify(wanted)}: there are ${managed.join(', ')}`,
    {
      remedy: meant === undefined ? 'certlet status' : typedLine(argv.map((word) => (word === wanted ? meant : word))),
    },
  );
}
