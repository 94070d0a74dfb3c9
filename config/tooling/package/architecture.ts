/** The architectures that packages are made for, and how each world names them. */

export interface Architecture {
  /** Node and npm. */
  readonly node: 'x64' | 'arm64';
  /** Debian and the OCI image specification (GOARCH). */
  readonly debian: 'amd64' | 'arm64';
  readonly rpm: 'x86_64' | 'aarch64';
  /** `ARCHITECTURE=` of extension-release. */
  readonly systemd: 'x86-64' | 'arm64';
  /** GNU triplet, as in the names of library folders. */
  readonly triplet: 'x86_64-linux-gnu' | 'aarch64-linux-gnu';
  /** Where programs look for the dynamic loader. */
  readonly loader: '/lib64/ld-linux-x86-64.so.2' | '/lib/ld-linux-aarch64.so.1';
  /** xz's filter for this machine code, where every xz that may unpack it knows one: arm64's came with 5.4. */
  readonly filter: readonly string[];
  /** Of its ELF files: pages of 64 KiB are common on arm64. */
  readonly pageBytes: number;
}

export const ARCHITECTURES: readonly Architecture[] = [
  {
    node: 'x64',
    debian: 'amd64',
    rpm: 'x86_64',
    systemd: 'x86-64',
    triplet: 'x86_64-linux-gnu',
    loader: '/lib64/ld-linux-x86-64.so.2',
    filter: ['--x86'],
    pageBytes: 4096,
  },
  {
    node: 'arm64',
    debian: 'arm64',
    rpm: 'aarch64',
    systemd: 'arm64',
    triplet: 'aarch64-linux-gnu',
    loader: '/lib/ld-linux-aarch64.so.1',
    filter: [],
    pageBytes: 65_536,
  },
];
