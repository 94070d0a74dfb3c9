import type { Materials } from './materials.ts';

/** Where a row's own server listens, and what it is made of. */
export interface Scene {
  /** The row's folder, where its files are written. */
  readonly folder: string;
  readonly port: number;
  /** `https://127.0.0.1:<port>`. */
  readonly server: string;
  /** Port of the proxy of rows that have one, else 0. */
  readonly frontPort: number;
  readonly materials: Materials;
}

/** Certificate chain and key of a row's server. */
export interface Served {
  readonly chain: string;
  readonly key: string;
  /** Curves of the key exchange, where the default does not do. */
  readonly curves?: string;
  readonly maxVersion?: 'TLSv1.2';
}

/** Files of a row by name; `config` is the kubeconfig. Names ending in `.sh` can be run. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** What stands before, or instead of, an ordinary API server. */
export type Front =
  | 'plain http'
  | 'http2 only'
  | 'redirect'
  | 'small hello'
  | 'http proxy'
  | 'https proxy'
  | 'socks proxy';

/** One input that kubectl and certlet both read: a kubeconfig with the server that it leads to. */
export interface Row {
  readonly table: 'kubeconfig' | 'certificate';
  /** What kind of input it stands for. */
  readonly kind: string;
  /** Unique within its kind. */
  readonly name: string;
  /** Addresses to listen on; 127.0.0.1 unless told. */
  readonly addresses?: readonly string[];
  readonly front?: Front;
  readonly served?: (materials: Materials) => Served;
  readonly files: (scene: Scene) => Files;
  /** Other files for certlet alone: a planted difference. */
  readonly plantedFiles?: (scene: Scene) => Files;
}

/** What became of one reader's try: the server saw its request, and as whose. */
export interface Reading {
  readonly accepted: boolean;
  /** Credential and path as the server saw them; empty when nothing came. */
  readonly seen: string;
  /** The reader's own words, shown when the two disagree. */
  readonly words: string;
}

/** Kind and name as decisions name a row. */
export const titleOf = (row: Row): string => `${row.kind}: ${row.name}`;
