import { basename } from 'node:path';

/** A process of this host, as /proc tells it. */
export interface HostProcess {
  readonly pid: number;
  readonly argv: readonly string[];
  /** The systemd service of its cgroup. */
  readonly unit: string | undefined;
}

export type DistributionName = 'k3s' | 'rke2' | 'microk8s';

/** A program that brings its own kubelet and writes that kubelet's flags itself. */
export interface Distribution {
  readonly name: DistributionName;
  /** Its service, where known. */
  readonly unit: string | undefined;
  readonly pid: number | undefined;
  /** Where its kubelet takes further flags from, and in which form. */
  readonly flagsFile: string;
  readonly flagForm: 'list' | 'lines';
  readonly explanation: readonly string[];
}

/** The arguments of a kubelet, without the program; undefined when this process is none. */
export function kubeletArguments(argv: readonly string[]): readonly string[] | undefined {
  const program = basename(argv[0] ?? '');
  if (program === 'kubelet') return argv.slice(1);
  if (program === 'hyperkube' && argv[1] === 'kubelet') return argv.slice(2);
  return undefined;
}

/** Which distribution runs here, by its processes first and by the unit files that exist else. */
export function detectDistribution(
  processes: readonly HostProcess[],
  units: readonly string[],
): Distribution | undefined {
  for (const { name, programs, units: known } of KNOWN) {
    const process = processes.find(({ argv }) => programs.some((pattern) => pattern.test(basename(argv[0] ?? ''))));
    const unit = process?.unit ?? known.find((candidate) => units.includes(candidate));
    if (process !== undefined || unit !== undefined) return describe(name, unit, process?.pid);
  }
  return undefined;
}

/** Unit names that say which distribution is installed, also while it does not run. */
export const DISTRIBUTION_UNITS: readonly string[] = [
  'k3s.service',
  'k3s-agent.service',
  'rke2-server.service',
  'rke2-agent.service',
  'snap.microk8s.daemon-kubelite.service',
  'snap.microk8s.daemon-kubelet.service',
];

const KNOWN = [
  { name: 'rke2', programs: [/^rke2$/u], units: ['rke2-server.service', 'rke2-agent.service'] },
  { name: 'k3s', programs: [/^k3s(?:-agent|-server)?$/u], units: ['k3s.service', 'k3s-agent.service'] },
  {
    name: 'microk8s',
    programs: [/^kubelite$/u],
    units: ['snap.microk8s.daemon-kubelite.service', 'snap.microk8s.daemon-kubelet.service'],
  },
] as const;

function describe(name: DistributionName, unit: string | undefined, pid: number | undefined): Distribution {
  const where = `${unit ?? name}${pid === undefined ? '' : `, process ${String(pid)}`}`;
  const base = { name, unit, pid };
  if (name === 'microk8s') {
    return {
      ...base,
      flagsFile: '/var/snap/microk8s/current/args/kubelet',
      flagForm: 'lines',
      explanation: [
        `The kubelet runs inside microk8s (${where}), which passes it the flags of that file.`,
        'microk8s makes its certificates once and never renews the ones of the kubelet.',
      ],
    };
  }
  const flagsFile = `/etc/rancher/${name}/config.yaml`;
  const inside = name === 'k3s' ? 'runs inside the k3s process' : 'is started by rke2';
  return {
    ...base,
    flagsFile,
    flagForm: 'list',
    explanation: [
      `The kubelet ${inside} (${where}), which passes it its flags: a drop-in for kubelet.service would change nothing.`,
      `${name} fetches the certificates of its kubelet itself and renews them only when it starts: restarting its service before they expire is enough.`,
    ],
  };
}
