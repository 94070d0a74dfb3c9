import { OUTLOOK_FLAGS } from './outlook-flags.ts';
import { KUBELET_NAMES } from '../csr/spec.ts';
import { APPROVE, RBAC, TOKEN } from './cluster-commands.ts';
import type { CommandSpec } from './command-spec.ts';
import { CONFIG_FLAG, OUTPUT, TIMEOUT } from './flags.ts';
import { ONCE, RUN } from './service-commands.ts';

/** Exit codes that every command can end with. */
export const COMMON_EXITS: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'failed; the message says why'],
  [64, 'the command line cannot be used'],
  [75, 'not done yet: try again later'],
  [77, 'not permitted: run it as root or as the user of the service'],
  [78, 'settings or kubeconfig cannot be used'],
];

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  RUN,
  ONCE,
  {
    name: 'status',
    summary: 'Show the state of the certificates.',
    description: [
      'Works without root and without a running daemon. The exit code tells a monitor what it must know.',
      'A table, and below it what is wrong with which command against it; with the name of a certificate, or --verbose, everything that is known of it.',
    ],
    positional: {
      name: 'certificate',
      summary: 'Only this one: client, serving, or the name of an entry of `certificates`.',
      required: false,
      suggestions: KUBELET_NAMES,
      namesCertificates: true,
    },
    flags: [
      OUTPUT,
      { name: 'watch', short: 'w', kind: 'boolean', summary: 'Show it again whenever it changes.' },
      { name: 'verbose', short: 'v', kind: 'boolean', summary: 'Show every fact of each certificate.' },
    ],
    settings: true,
    exits: [
      [0, 'healthy'],
      [3, 'waiting: a certificate is not issued yet, or the next one waits for something'],
      [4, 'expiring: a renewal is overdue'],
      [5, 'expired'],
      [6, 'unknown: the daemon that should run is down, or runs of the timer are missing'],
    ],
    examples: ['certlet status', 'certlet status serving', 'certlet status -w', 'certlet status -o json'],
  },
  {
    name: 'history',
    summary: 'Show what became of earlier requests.',
    description: [
      'From the records of the state folder, with and without a daemon; changes nothing. Of each request when it was made and when it ended, the certificate that came of it, what the approver wrote, or why there is none, and how many tries had failed before.',
      'The last 20 of each certificate are kept.',
    ],
    positional: {
      name: 'certificate',
      summary: 'Only this one: client, serving, or the name of an entry of `certificates`.',
      required: false,
      suggestions: KUBELET_NAMES,
      namesCertificates: true,
    },
    flags: [OUTPUT],
    settings: true,
    exits: [],
    examples: ['certlet history', 'certlet history serving', 'certlet history -o json'],
  },
  {
    name: 'renew',
    summary: 'Ask for new certificates now.',
    description: [
      'Through the daemon where one runs, by itself where not. Also ends the delay after a denied request.',
    ],
    positional: {
      name: 'certificate',
      summary: 'Which one: client, serving, the name of an entry of `certificates`, or all.',
      required: false,
      suggestions: [...KUBELET_NAMES, 'all'],
      namesCertificates: true,
      fallback: 'all',
    },
    flags: [
      { name: 'dry-run', kind: 'boolean', summary: 'Say what would be asked for, and ask for nothing.' },
      { name: 'wait', kind: 'boolean', summary: 'Show progress until the new certificate is in place.' },
      {
        name: 'restart-now',
        kind: 'boolean',
        summary: 'Ask for nothing: the restart of the kubelet that waits for its window happens now.',
      },
      OUTPUT,
      TIMEOUT,
    ],
    settings: true,
    exits: [[75, 'with --wait: not issued within the timeout']],
    examples: ['certlet renew serving --wait', 'certlet renew --dry-run'],
  },
  {
    name: 'check',
    summary: 'Find out why it does not work.',
    description: [
      'Walks the way of a certificate: settings, files, name, connection, credential, permissions, approver, signer. Names what is wrong, how sure that is, and the command that mends it. Changes nothing.',
    ],
    flags: [...OUTLOOK_FLAGS, OUTPUT],
    settings: true,
    exits: [
      [0, 'nothing is wrong'],
      [1, 'a problem was found, or the check itself failed'],
      [77, 'nothing wrong was found, but something could not be looked at by this user'],
    ],
    examples: ['certlet check', 'certlet check --output json', 'certlet check --for kubelet-ca'],
  },
  {
    name: 'adopt',
    summary: 'Take over from a kubelet that rotates its own certificates.',
    description: [
      "Reads the kubelet's flags and configuration on this host and shows the certlet settings and kubelet changes that go with them. Never edits the kubelet's own files.",
    ],
    flags: [
      { name: 'write', kind: 'boolean', summary: 'Write what is shown.' },
      {
        name: 'write-kubeconfig',
        kind: 'boolean',
        summary: "The kubelet's kubeconfig is written by root here, and the service can write it no more.",
      },
      {
        name: 'kube-proxy',
        kind: 'boolean',
        summary: 'Also the certificate of a kube-proxy that runs on this host; --no-kube-proxy leaves it alone.',
        fallback: 'true',
      },
      OUTPUT,
    ],
    settings: true,
    exits: [
      [0, 'shown, and with --write written'],
      [1, 'there is no kubelet to adopt from, or a file may not be written'],
      [78, 'settings cannot be used, or the kubelet has no kubeconfig or paths that are not absolute'],
    ],
    examples: ['certlet adopt', 'certlet adopt --write'],
  },
  {
    name: 'allow',
    summary: 'Let the service write a folder, or reload a unit; lists what is allowed.',
    description: [
      'For root. The sandbox of the service writes to the folders of certificates and of the kubeconfig and nowhere else. DIR is opened by a drop-in for certlet.service and certlet-once.service; it counts after systemctl daemon-reload and a restart.',
      'Refused are folders that root, the kubelet or a distribution believes, folders that others than root could exchange, and links.',
      'With --reload, says which unit certlet-reload@NAME reloads after a certificate with reload: NAME was renewed. ACTION is reload, try-restart or try-reload-or-restart (unless told).',
    ],
    positional: {
      name: 'dir',
      summary: 'Absolute path of the folder; made where it is missing.',
      required: false,
      completes: 'folder',
    },
    flags: [
      { name: 'reload', kind: 'list', value: 'NAME=UNIT[:ACTION]', summary: 'Name the unit that NAME stands for.' },
      { name: 'remove', kind: 'boolean', summary: 'Take it back: DIR, or --reload NAME.' },
      OUTPUT,
    ],
    settings: true,
    exits: [
      [0, 'listed, or done'],
      [64, 'the command line cannot be used, or this may not be allowed; nothing was changed'],
    ],
    examples: [
      'certlet allow',
      'certlet allow /srv/certificates',
      'certlet allow --reload kube-proxy=kube-proxy.service:try-restart',
      'certlet allow --remove --reload kube-proxy',
    ],
  },
  {
    name: 'join',
    summary: 'Write a bootstrap kubeconfig from a token, as kubeadm join does.',
    description: [
      'Reads cluster-info without a credential, checks its signature with the token and its CA against the hash, and takes server and CA from it.',
    ],
    positional: { name: 'endpoint', summary: 'HOST:PORT of the API server.', required: false },
    flags: [
      {
        name: 'token-file',
        kind: 'text',
        value: 'FILE',
        summary: 'File with the bootstrap token; - reads it from standard input.',
        completes: 'file',
      },
      {
        name: 'token',
        kind: 'text',
        value: 'TOKEN',
        summary: 'The token itself. Shows in the process list: prefer --token-file.',
      },
      {
        name: 'discovery-token-ca-cert-hash',
        kind: 'list',
        value: 'sha256:HEX',
        summary: "Hash of the public key of the cluster's CA.",
      },
      {
        name: 'discovery-file',
        kind: 'text',
        value: 'FILE',
        summary: 'Kubeconfig file or https URL to take the cluster from.',
        completes: 'file',
      },
      {
        name: 'discovery-token-unsafe-skip-ca-verification',
        kind: 'boolean',
        summary: 'Trust whoever knows the token.',
      },
      {
        name: 'write-kubeconfig',
        kind: 'boolean',
        summary:
          "Also write the kubelet's kubeconfig, for manageKubeconfig: false. Alone: from the bootstrap kubeconfig that is there.",
      },
      {
        name: 'seal',
        kind: 'boolean',
        summary:
          'Seal the bootstrap kubeconfig to this host (systemd-creds, systemd 250 and later) in place of a plain file.',
      },
      { name: 'force', kind: 'boolean', summary: 'Replace a bootstrap kubeconfig of another cluster.' },
      OUTPUT,
      TIMEOUT,
    ],
    settings: true,
    exits: [
      [0, 'the bootstrap kubeconfig is written'],
      [
        1,
        'the cluster cannot be trusted (signature, CA, token), or a bootstrap kubeconfig of another cluster is there',
      ],
      [75, 'no answer, or no cluster-info signed for the token, until the timeout'],
    ],
    examples: ['certlet join 192.0.2.1:6443 --token-file /run/token --discovery-token-ca-cert-hash sha256:...'],
  },
  {
    name: 'reset',
    summary: 'Remove what certlet made, for a node that joins another cluster.',
    description: [
      'Shows links, pairs, state and kubeconfig that would go, and asks before it removes them. Files that certlet did not write are listed and left. Refuses while a daemon runs.',
    ],
    flags: [
      { name: 'yes', kind: 'boolean', summary: 'Do not ask.' },
      { name: 'with-bootstrap-kubeconfig', kind: 'boolean', summary: 'Remove the bootstrap kubeconfig, too.' },
      OUTPUT,
    ],
    settings: true,
    exits: [
      [0, 'removed, or nothing was there'],
      [1, 'the answer was no: nothing was removed'],
      [64, 'the command line cannot be used, or nobody can be asked and --yes is missing'],
      [75, 'a certlet is at work: stop it first'],
    ],
    examples: ['certlet reset', 'certlet reset --yes --with-bootstrap-kubeconfig'],
  },
  APPROVE,
  TOKEN,
  RBAC,
  {
    name: 'version',
    summary: 'Show the version.',
    description: ['Of the program that is typed here; `certlet status` tells that of the daemon.'],
    flags: [OUTPUT],
    settings: false,
    exits: [],
    examples: ['certlet version', 'certlet version -o json'],
  },
  {
    name: 'completion',
    summary: 'Print a completion script for a shell.',
    description: [
      'With certificates in place of a shell: the names of the entries of `certificates`, a line each, and nothing where the settings cannot be read. The scripts ask for them.',
    ],
    positional: {
      name: 'shell',
      summary: 'Which shell.',
      required: true,
      choices: ['bash', 'zsh', 'fish', 'certificates'],
    },
    flags: [CONFIG_FLAG],
    settings: false,
    exits: [],
    examples: ['certlet completion bash > /usr/share/bash-completion/completions/certlet'],
  },
];

/** The command of that name; undefined for any other word. */
export function findCommand(name: string | undefined): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}
