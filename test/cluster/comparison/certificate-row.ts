import { base64, configJson } from './config-text.ts';
import type { Fields } from './config-text.ts';
import { serving } from './materials.ts';
import type { Materials } from './materials.ts';
import type { Minted } from './mint.ts';
import type { Row, Served } from './row.ts';

/** What a server shows, and the certificates that its clients are given. */
interface Shown {
  readonly leaf: Minted;
  readonly chain?: readonly Minted[];
  readonly trusted: readonly Minted[];
  readonly served?: Partial<Served>;
}

/** A row whose kubeconfig trusts what `make` says, and whose server shows what it says; both are made once. */
export function certificateRow(
  kind: string,
  name: string,
  make: (materials: Materials) => Shown,
  cluster: Fields = {},
): Row {
  const made = new Map<Materials, Shown>();
  const of = (materials: Materials): Shown => {
    const shown = made.get(materials) ?? make(materials);
    made.set(materials, shown);
    return shown;
  };
  return {
    table: 'certificate',
    kind,
    name,
    served: (materials) => {
      const { leaf, chain = [], served = {} } = of(materials);
      return { ...serving(leaf, ...chain), ...served };
    },
    files: (scene) => {
      const trusted = of(scene.materials)
        .trusted.map(({ pem }) => pem)
        .join('');
      return { config: configJson(scene, { cluster: { 'certificate-authority-data': base64(trusted), ...cluster } }) };
    },
  };
}
