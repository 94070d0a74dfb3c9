import type { CaPin } from '../discovery/ca-pin.ts';
import { parseCaPin } from '../discovery/ca-pin.ts';
import { endpointUrl } from '../discovery/cluster-info.ts';
import { CertletError } from '../errors.ts';

/** `certlet join` as typed, before anything is looked at. */
export interface JoinArguments {
  readonly endpoint?: string | undefined;
  readonly token?: string | undefined;
  /** A path, or `-` for standard input. */
  readonly tokenFile?: string | undefined;
  readonly caCertHashes: readonly string[];
  readonly unsafeSkipCaVerification: boolean;
  /** A path or an https URL. */
  readonly discoveryFile?: string | undefined;
  readonly timeoutMs: number;
  readonly force: boolean;
  /** Also write the node's kubeconfig; without an endpoint and a file, from the bootstrap kubeconfig that is there. */
  readonly writeKubeconfig: boolean;
  /** Seal the bootstrap kubeconfig to this host, and write no plain file. */
  readonly seal: boolean;
}

export type TokenSource =
  | { readonly kind: 'argument'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdin' };

/** What a valid command line comes to: ask the cluster, read a file that the admin brought, or go by the bootstrap kubeconfig that is there. */
export type JoinPlan =
  | { readonly kind: 'token'; readonly endpoint: string; readonly token: TokenSource; readonly pins: readonly CaPin[] }
  | { readonly kind: 'file'; readonly file: string; readonly token: TokenSource | undefined }
  | { readonly kind: 'present' };

/** Checks the command line as a whole. Throws `ERR_USAGE`. */
export function joinPlan(args: JoinArguments): JoinPlan {
  const token = tokenSource(args);
  if (args.discoveryFile !== undefined) {
    refuse(args.endpoint !== undefined, 'ENDPOINT and --discovery-file exclude each other');
    refuse(
      args.caCertHashes.length > 0 || args.unsafeSkipCaVerification,
      '--discovery-file brings the CA itself: leave the CA options out',
    );
    return { kind: 'file', file: args.discoveryFile, token };
  }
  if (args.endpoint === undefined && args.writeKubeconfig && token === undefined) {
    refuse(args.seal, '--seal has nothing to seal here: give ENDPOINT and a token');
    return { kind: 'present' };
  }
  if (args.endpoint === undefined)
    throw usage('ENDPOINT is missing (HOST:PORT of the API server), or use --discovery-file');
  if (token === undefined)
    throw usage('a token is missing: --token-file FILE, or --token-file - to read it from standard input');
  const pins = args.caCertHashes.map(parseCaPin);
  refuse(
    pins.length > 0 && args.unsafeSkipCaVerification,
    '--discovery-token-ca-cert-hash and --discovery-token-unsafe-skip-ca-verification exclude each other',
  );
  refuse(
    pins.length === 0 && !args.unsafeSkipCaVerification,
    'the CA is not pinned: --discovery-token-ca-cert-hash sha256:… (or, to trust whoever knows the token, --discovery-token-unsafe-skip-ca-verification)',
  );
  return { kind: 'token', endpoint: endpointUrl(args.endpoint), token, pins };
}

function tokenSource(args: JoinArguments): TokenSource | undefined {
  refuse(args.token !== undefined && args.tokenFile !== undefined, '--token and --token-file exclude each other');
  if (args.token !== undefined) return { kind: 'argument', text: args.token };
  if (args.tokenFile === undefined) return undefined;
  return args.tokenFile === '-' ? { kind: 'stdin' } : { kind: 'file', path: args.tokenFile };
}

function refuse(condition: boolean, message: string): void {
  if (condition) throw usage(message);
}

function usage(message: string): CertletError {
  return new CertletError('ERR_USAGE', message, { remedy: 'certlet join --help' });
}
