import * as real from 'node:fs';
import type { KubeletOptions } from '../../../src/csr/spec.ts';
import { kubeletSpecs } from '../../fixtures/specs.ts';
import { join } from 'node:path';
import type { FileSystem } from '../../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { FileCertificateStore, type FileStoreOptions } from '../../../src/adapters/store/file-certificate-store.ts';
import { type CertificatePair, encodePair, parsePair } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const authority = createAuthority({ name: 'test-ca' }).intermediate({ name: 'test-intermediate' });

/** A pair of a node whose certificate ends so many days from now; the dates order the pairs. */
export function newPair(days = 365): CertificatePair {
  const now = Date.now();
  const issued = authority.issue({
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    notBefore: new Date(now + (days - 366) * 86_400_000),
    notAfter: new Date(now + days * 86_400_000),
  });
  return parsePair(new Secret(issued.chainPem + issued.keyPem));
}

/** The file's text: chain, then key. */
export function pemOf(pair: CertificatePair): string {
  return encodePair(pair).reveal();
}

export interface Warning {
  readonly event: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** One node's folders in a temporary folder, and a store on them. */
export class Bench {
  readonly certDir: string;
  readonly stateDir: string;
  readonly warnings: Warning[] = [];
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.certDir = join(root, 'pki');
    this.stateDir = join(this.certDir, '.certlet');
  }

  /** A new store, as after a restart. */
  store(
    options: Partial<FileStoreOptions> &
      Partial<Pick<KubeletOptions, 'plainFiles'>> & { readonly fs?: FileSystem } = {},
  ): FileCertificateStore {
    const { plainFiles = {}, ...more } = options;
    return new FileCertificateStore({
      specs: kubeletSpecs({ certDir: this.certDir, plainFiles }),
      stateDir: this.stateDir,
      pruneGraceMs: 60_000,
      fs: new NodeFileSystem(),
      onWarning: (event, fields) => this.warnings.push({ event, fields }),
      ...more,
    });
  }

  /** What the stores of this bench have told of files that they moved aside, in order. */
  get movedAside(): readonly Readonly<Record<string, string>>[] {
    return this.warnings
      .filter(({ event }) => event === 'Moved a file aside that cannot be used')
      .map(({ fields }) => fields);
  }

  path(name: string): string {
    return join(this.certDir, name);
  }

  /** Puts a file into the cert-dir, as another program would. */
  put(name: string, text: string, mode = 0o600): string {
    real.mkdirSync(this.certDir, { recursive: true });
    real.chmodSync(this.certDir, 0o755);
    real.writeFileSync(this.path(name), text);
    real.chmodSync(this.path(name), mode);
    return this.path(name);
  }

  link(name: string, target: string): void {
    real.mkdirSync(this.certDir, { recursive: true });
    real.chmodSync(this.certDir, 0o755);
    real.symlinkSync(target, this.path(name));
  }

  /** A folder beside the cert-dir. */
  beside(name: string): string {
    const path = join(this.#root, name);
    real.mkdirSync(path, { mode: 0o755 });
    return path;
  }

  /** Names in the cert-dir without the state folder. */
  names(): readonly string[] {
    return real
      .readdirSync(this.certDir)
      .filter((name) => name !== '.certlet')
      .sort();
  }

  target(purpose: string): string | undefined {
    const path = this.store().currentPath(purpose);
    return real.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? real.readlinkSync(path)
      : undefined;
  }

  /** Every file and folder below the cert-dir with its permission bits. */
  modes(): Readonly<Record<string, string>> {
    const entries = real.readdirSync(this.certDir, { recursive: true, encoding: 'utf8' });
    return Object.fromEntries(
      ['.', ...entries].flatMap((name) => {
        const facts = real.lstatSync(join(this.certDir, name));
        return facts.isSymbolicLink() ? [] : [[name, (facts.mode & 0o7777).toString(8)]];
      }),
    );
  }
}
