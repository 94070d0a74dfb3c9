import type { DateSample, JudgedTime } from './rules/clock-judge.ts';
import { judgedTime } from './rules/clock-judge.ts';
import type { Connections } from './node/connections.ts';
import type { RotationOptions } from './options.ts';
import type {
  AfterRotation,
  ApiConnector,
  CertificateStore,
  Chance,
  Clock,
  KubeconfigFiles,
  Logger,
  Observer,
  RouteProbe,
} from '../ports.ts';

export interface RotationPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Logger;
  readonly store: CertificateStore;
  readonly kubeconfigs: KubeconfigFiles;
  readonly connector: ApiConnector;
  readonly route: RouteProbe;
  readonly after: AfterRotation;
  readonly observer: Observer;
}

/** What both certificates of a node share. `options` is replaced as a whole on reload. */
export interface RotationContext extends RotationPorts {
  options: RotationOptions;
  readonly connections: Connections;
  /** The last `Date` header that an API server sent; set by the agent. */
  dateSample: DateSample | undefined;
  /** As the settings or the Node tell it; set by the node watch. */
  kubeletVersion: string | undefined;
  /** An attempt entered another phase: what watches the agent is told without waiting for the next round. */
  readonly changed?: () => void;
}

/** Now, as this host and the last server date bound it. */
export function judgedNow(context: RotationContext): JudgedTime {
  return judgedTime(context.clock.now(), context.dateSample);
}
