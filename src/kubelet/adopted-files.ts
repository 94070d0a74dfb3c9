import { basename, dirname } from 'node:path';
import { CertletError } from '../errors.ts';
import { openedPki } from './opened-pki.ts';
import { type PlannedFile, sandboxDropIns, unitWord } from './sandbox-drop-in.ts';
import { isBelow, isSharedFolder, readOnlyPaths } from './shared-folders.ts';

/** The kubelet's service as its files have it, without certlet's own drop-in. */
export interface KubeletUnit {
  readonly name: string;
  /** As written, variables and specifiers included. */
  readonly execStart: string;
  readonly execStartPath: string;
  /** Where the program is a shell script: what its text tells of the kubelet that it starts. */
  readonly script?: KubeletScript;
}

/** A shell script that starts a kubelet. */
export interface KubeletScript {
  readonly path: string;
  /** A command that starts a kubelet was found in it. */
  readonly understood: boolean;
  /** Words of that command whose value only a shell could tell. */
  readonly unknown: readonly string[];
  /** It hands its own arguments on at the kubelet's end. */
  readonly passesArguments: boolean;
}

/** A folder in it for each entry of `certificates`. */
const CERTIFICATES = '/var/lib/certlet/certs';
/** Folders that the shipped units may write (their ReadWritePaths=). */
export const WRITABLE_FOLDERS: readonly string[] = ['/etc/kubernetes', '/var/lib/kubelet/pki', CERTIFICATES];
/** Folders below them that the units close again: what can be written there is root on the node, or the cluster's own keys. */
export const CLOSED_FOLDERS: readonly string[] = ['/etc/kubernetes/manifests', '/etc/kubernetes/pki'];
/** Both names that the kubelet's drop-in can have: the second where the unit's own drop-ins would come after the first. */
export const KUBELET_DROP_IN_NAMES = ['20-certlet.conf', 'zz-certlet.conf'] as const;

/** A shell command takes flags at its end as its own arguments, so they would not reach the kubelet. */
export function isShellCommand(execStart: string): boolean {
  return /^[-@:+!|]*\S*\/?(?:ba|da)?sh\s+-\w*c\b/u.test(execStart);
}

/** Whether flags at the end of `ExecStart=` reach the kubelet. */
export const takesFlags = ({ execStart, script }: KubeletUnit): boolean =>
  !isShellCommand(execStart) && (script === undefined || script.passesArguments);

/**
 * The drop-in that gives a kubelet further flags. It states the whole command again, variables left in place, because that
 * works for every unit: variables of kubeadm's unit such as KUBELET_EXTRA_ARGS come from a file (`/etc/default/kubelet`),
 * which wins over an `Environment=` of ours and would have to be repeated. Empty where it would not help.
 */
export function kubeletDropIn(unit: KubeletUnit | undefined, flags: readonly string[]): readonly PlannedFile[] {
  if (unit === undefined || !takesFlags(unit)) return [];
  const [first, last] = KUBELET_DROP_IN_NAMES;
  const isDropIn = dirname(unit.execStartPath).endsWith('.d');
  const name = isDropIn && basename(unit.execStartPath) > first ? last : first;
  const lines = [
    '# Written by "certlet adopt": certlet keeps the certificates, the kubelet only reads them.',
    `# The command is that of ${unit.execStartPath} with flags added at its end, where they win.`,
    '# Run "certlet adopt" again when that command changes.',
    '[Unit]',
    'Wants=certlet.service',
    'After=certlet.service',
    '',
    '[Service]',
    'ExecStart=',
    `ExecStart=${[unit.execStart, ...flags.map((flag) => unitWord(flag.replaceAll('$', '$$$$')))].join(' \\\n  ')}`,
  ];
  return [{ path: `/etc/systemd/system/${unit.name}.d/${name}`, text: `${lines.join('\n')}\n` }];
}

/** What the sandbox of certlet's units has to be adapted to. */
export interface SandboxNeeds {
  readonly kubeconfig: string;
  readonly certDir: string;
  /** The kubeconfig is root's: only the cert-dir is open. */
  readonly kubeconfigByRoot: boolean;
  /** Kubeconfigs that the service writes besides; their folders are its alone. */
  readonly furtherKubeconfigs: readonly string[];
  /** Names of what lies in the cert-dir. */
  readonly certDirNames: readonly string[];
  /** Files that the kubeconfigs name: CA, certificate, key. */
  readonly kubeconfigNames: readonly string[];
  /** What the kubelet reads besides: its configuration, environment, static pods, client CA. Never writable, whatever is open. */
  readonly kubeletReads: readonly string[];
}

/**
 * One drop-in for each of certlet's units that write, where their sandbox does not fit: folders outside the defaults are read-only else, and the
 * folder of the kubeconfig is open else. Throws `ERR_CONFIG_INVALID`, with the way out, where a folder to be opened is not the service's alone.
 */
export function pathsDropIns(needs: SandboxNeeds): readonly PlannedFile[] {
  const { kubeconfig, certDir, kubeconfigByRoot, furtherKubeconfigs } = needs;
  const pki = openedPki(needs);
  refuseClosed(needs);
  const own = kubeconfigByRoot ? [CERTIFICATES] : [dirname(kubeconfig)];
  const further = furtherKubeconfigs.map((path) => dirname(path));
  const wanted = [...new Set([...own, ...further, certDir])].filter((folder) => !isClosedFolder(folder));
  const given = kubeconfigByRoot ? [] : WRITABLE_FOLDERS;
  const missing = wanted.filter((folder) => !given.some((open) => isBelow(folder, open)));
  for (const folder of missing) refuseShared(folder, folder === certDir, needs);
  const closed = readOnlyPaths([...given, ...missing], needs.kubeletReads).filter((path) => !isClosedFolder(path));
  if (missing.length === 0 && closed.length === 0 && pki === undefined) return [];
  return sandboxDropIns({
    name: '20-adopted-paths.conf',
    heading: [
      'Written by "certlet adopt": folders outside the defaults that certlet has to write, and what the kubelet reads there.',
    ],
    reset: kubeconfigByRoot,
    writable: missing,
    readOnly: closed,
    ...(pki !== undefined && { pki }),
  });
}

/** Of what the units hide, only a cert-dir below the folder of the cluster's keys can be shown. */
function refuseClosed({ kubeconfig, certDir, kubeconfigByRoot }: SandboxNeeds): void {
  const closed = (folder: string): string | undefined => CLOSED_FOLDERS.find((path) => isBelow(folder, path));
  if (closed(certDir) === '/etc/kubernetes/manifests') {
    throw new CertletError('ERR_CONFIG_INVALID', `--cert-dir: ${certDir} is closed: a static pod would be root here`, {
      remedy: '# Give the kubelet a folder of its own for certificates: --cert-dir=/var/lib/kubelet/pki',
    });
  }
  const folder = closed(dirname(kubeconfig));
  if (kubeconfigByRoot || folder === undefined) return;
  throw new CertletError('ERR_CONFIG_INVALID', `--kubeconfig ${kubeconfig}: ${folder} is closed to certlet.service`, {
    remedy: 'certlet adopt --write-kubeconfig --write   # leaves that file to root, so that the folder stays closed',
  });
}

function refuseShared(folder: string, isCertDir: boolean, { kubeconfig }: SandboxNeeds): void {
  if (!isSharedFolder(folder)) return;
  const why = `${folder} is not certlet's alone: a service that can write it is root on this node`;
  if (isCertDir) {
    throw new CertletError('ERR_CONFIG_INVALID', `--cert-dir: ${why}`, {
      remedy: '# Give the kubelet a folder of its own for certificates, such as --cert-dir=/var/lib/kubelet/pki.',
    });
  }
  throw new CertletError('ERR_CONFIG_INVALID', `--kubeconfig ${kubeconfig}: ${why}`, {
    remedy: 'certlet adopt --write-kubeconfig --write   # leaves that file to root, so that the folder stays closed',
  });
}

/** Whether certlet's units may never write there, whatever a drop-in adds (their InaccessiblePaths=). */
export function isClosedFolder(folder: string): boolean {
  return CLOSED_FOLDERS.some((closed) => isBelow(folder, closed));
}
