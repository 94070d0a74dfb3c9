import { dirname, isAbsolute, join } from 'node:path';
import { parseIpAddress } from '../pki/ip-address.ts';
import { featureGates, flagBoolean, flagText, type KubeletFlags } from './flags.ts';

/** The parts of a KubeletConfiguration that certificates depend on; undefined where the file says nothing. */
export interface KubeletConfiguration {
  readonly rotateCertificates?: boolean;
  readonly serverTLSBootstrap?: boolean;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  /** Folder of static pods: each is root on the node. */
  readonly staticPodPath?: string;
  /** Who signs those that may give the kubelet orders. */
  readonly clientCAFile?: string;
  readonly address?: string;
  readonly port?: number;
  readonly featureGates: Readonly<Record<string, boolean>>;
}

/** How a kubelet handles its certificates, from flags and configuration together. */
export interface KubeletFacts {
  /** Undefined for a kubelet without an API server (standalone). */
  readonly kubeconfig: string | undefined;
  readonly bootstrapKubeconfig: string | undefined;
  readonly certDir: string;
  readonly rotatesClient: boolean;
  readonly rotatesServing: boolean;
  readonly tlsCertFile: string | undefined;
  readonly tlsPrivateKeyFile: string | undefined;
  readonly staticPodPath: string | undefined;
  readonly clientCAFile: string | undefined;
  /** Where it listens; undefined for its defaults. */
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly hostnameOverride: string | undefined;
  readonly nodeIPs: readonly string[];
  readonly cloudProvider: string | undefined;
}

/** Default of `--cert-dir` (kubelet options.go, NewKubeletFlags). */
const DEFAULT_CERT_DIR = '/var/lib/kubelet/pki';
/** Until 1.11 the feature gate alone switched serving requests on (the configuration field came with 1.11). */
const LAST_MINOR_WITH_GATE_ALONE = 11;

/**
 * Reads a parsed KubeletConfiguration file. Relative paths count from the file's folder, as in the kubelet. Fields of
 * another type than expected are taken as absent: the kubelet itself would have refused the file.
 */
export function readKubeletConfiguration(document: unknown, path: string): KubeletConfiguration {
  const fields =
    typeof document === 'object' && document !== null ? (document as Readonly<Record<string, unknown>>) : {};
  const {
    rotateCertificates,
    serverTLSBootstrap,
    tlsCertFile,
    tlsPrivateKeyFile,
    featureGates,
    staticPodPath,
    authentication,
    address,
    port,
  } = fields;
  const file = (value: unknown): string | undefined => {
    if (typeof value !== 'string' || value === '') return undefined;
    return isAbsolute(value) ? value : join(dirname(path), value);
  };
  const certFile = file(tlsCertFile);
  const keyFile = file(tlsPrivateKeyFile);
  const podPath = file(staticPodPath);
  const clientCA = file(at(at(authentication, 'x509'), 'clientCAFile'));
  const gates = typeof featureGates === 'object' && featureGates !== null ? Object.entries(featureGates) : [];
  return {
    ...(typeof rotateCertificates === 'boolean' && { rotateCertificates }),
    ...(typeof serverTLSBootstrap === 'boolean' && { serverTLSBootstrap }),
    ...(certFile !== undefined && { tlsCertFile: certFile }),
    ...(keyFile !== undefined && { tlsPrivateKeyFile: keyFile }),
    ...(podPath !== undefined && { staticPodPath: podPath }),
    ...(clientCA !== undefined && { clientCAFile: clientCA }),
    ...listening(address, port),
    featureGates: Object.fromEntries(gates.filter((gate): gate is [string, boolean] => typeof gate[1] === 'boolean')),
  };
}

const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (Reflect.get(value, key) as unknown) : undefined;

const listening = (address: unknown, port: unknown): Pick<KubeletConfiguration, 'address' | 'port'> => ({
  ...(typeof address === 'string' && parseIpAddress(address) !== undefined && { address }),
  ...(isPort(port) && { port }),
});

/** Later files (a `--config-dir`) over earlier ones. */
export function mergeConfigurations(files: readonly KubeletConfiguration[]): KubeletConfiguration {
  const gates = Object.assign({}, ...files.map((file) => file.featureGates)) as Readonly<Record<string, boolean>>;
  return Object.assign({}, ...files, { featureGates: gates }) as KubeletConfiguration;
}

/** Flags win over the configuration file, which wins over defaults. `minor` is the kubelet's minor version, where known. */
export function kubeletFacts(
  flags: KubeletFlags,
  configuration: KubeletConfiguration,
  minor: number | undefined,
): KubeletFacts {
  const gates = new Map([...Object.entries(configuration.featureGates), ...featureGates(flags)]);
  const nodeIPs = (flagText(flags, 'node-ip') ?? '').split(',').map((address) => address.trim());
  return {
    kubeconfig: flagText(flags, 'kubeconfig'),
    bootstrapKubeconfig: flagText(flags, 'bootstrap-kubeconfig'),
    certDir: flagText(flags, 'cert-dir') ?? DEFAULT_CERT_DIR,
    rotatesClient: rotatesClient(flags, configuration, gates),
    rotatesServing: rotatesServing(flags, configuration, gates, minor),
    tlsCertFile: flagText(flags, 'tls-cert-file') ?? configuration.tlsCertFile,
    tlsPrivateKeyFile: flagText(flags, 'tls-private-key-file') ?? configuration.tlsPrivateKeyFile,
    staticPodPath: flagText(flags, 'pod-manifest-path') ?? configuration.staticPodPath,
    clientCAFile: flagText(flags, 'client-ca-file') ?? configuration.clientCAFile,
    address: givenAddress(flags) ?? configuration.address,
    port: givenPort(flags) ?? configuration.port,
    hostnameOverride: flagText(flags, 'hostname-override'),
    nodeIPs: nodeIPs.filter((address) => address !== ''),
    cloudProvider: flagText(flags, 'cloud-provider'),
  };
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535;

function givenAddress(flags: KubeletFlags): string | undefined {
  const address = flagText(flags, 'address');
  return address === undefined || parseIpAddress(address) === undefined ? undefined : address;
}

function givenPort(flags: KubeletFlags): number | undefined {
  const port = Number(flagText(flags, 'port'));
  return isPort(port) ? port : undefined;
}

type Gates = ReadonlyMap<string, boolean>;

function rotatesClient(flags: KubeletFlags, configuration: KubeletConfiguration, gates: Gates): boolean {
  const wanted = flagBoolean(flags, 'rotate-certificates') ?? configuration.rotateCertificates ?? false;
  return wanted && gates.get('RotateKubeletClientCertificate') !== false;
}

function rotatesServing(
  flags: KubeletFlags,
  configuration: KubeletConfiguration,
  gates: Gates,
  minor: number | undefined,
): boolean {
  const gate = gates.get('RotateKubeletServerCertificate');
  if (gate === true && minor !== undefined && minor <= LAST_MINOR_WITH_GATE_ALONE) return true;
  const wanted = flagBoolean(flags, 'rotate-server-certificates') ?? configuration.serverTLSBootstrap ?? false;
  return wanted && gate !== false;
}

/** `v1.20.2`, out of what `kubelet --version` prints (`Kubernetes v1.20.2`), undefined when there is none in it. */
export function versionIn(text: string): string | undefined {
  return /\bv\d+\.\d+(?:\.[0-9A-Za-z.+-]+)?/u.exec(text)?.[0];
}

/** Minor number of a 1.x version; undefined for anything else. */
export function minorOf(version: string | undefined): number | undefined {
  const minor = /^v?1\.(\d+)/u.exec(version ?? '')?.[1];
  return minor === undefined ? undefined : Number.parseInt(minor, 10);
}
