import { CaFollower } from './ca/follower.ts';
import { clockSkewMs, type DateSample, NAMED_SKEW_MS, skewText } from './rules/clock-judge.ts';
import { AsksAsNode, type CertificateRules, IdentityRules, type NodeParts } from './certificate-rules.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import { Connections } from './node/connections.ts';
import type { KubeletSeen } from '../kubelet/served.ts';
import type { ApiConnection } from '../ports.ts';
import type { RotationContext, RotationPorts, RotationOptions } from './rotation-context.ts';
import { NodeKubeconfigs } from './node/kubeconfigs.ts';
import { NodeIdentity } from './node/node-identity.ts';
import { CertificateManager } from './manager.ts';
import { NodeReader } from './node/node-reader.ts';
import { Prover } from './proof/prover.ts';
import type { AgentSnapshot } from './snapshot.ts';
import { laterOf } from './rules/schedule.ts';
import type { Step } from './rules/step.ts';
import { roamingConnector } from './servers/roaming-connector.ts';
import { ServerRoster } from './servers/roster.ts';
import { type CareParts, ServerCare } from './servers/server-care.ts';
import { Troubles } from '../trouble.ts';
import { TaskSet } from './tasks.ts';
import { Upkeep } from './upkeep.ts';

/** The loop looks around at least so often: timers stop in suspend, and clocks are set. */
const TICK_MS = 60_000;
/** A round so late means that the clock was set or that the host slept. */
const CLOCK_SET_MS = 3 * TICK_MS;
/** The first state is told by then, whatever it is. */
const FIRST_WORD_MS = 25_000;
/** A skew is named again after so long. */
const SKEW_REPEAT_MS = 3_600_000;

/** The node's certificates: one loop that decides for each of them and starts what is to be done. */
export class Agent {
  readonly #context: RotationContext;
  readonly #node: NodeParts;
  readonly #prover: Prover;
  /** One for each certificate, that of the node's identity first. */
  readonly #managers: readonly CertificateManager[];
  readonly #upkeep: Upkeep;
  /** Only where the cluster's CA is followed. */
  readonly #follower: CaFollower | undefined;
  /** Only where there are several API servers. */
  readonly #servers: ServerCare | undefined;
  readonly #tasks: TaskSet;
  readonly #onTick: (snapshot: AgentSnapshot) => void;
  readonly #startedAt: Date;
  #lastTick: Date;
  #skewNamedAt: Date | undefined;

  /** `onTick` is called after each round with what there is to know. */
  constructor(ports: RotationPorts, options: RotationOptions, onTick: (snapshot: AgentSnapshot) => void) {
    this.#startedAt = ports.clock.now();
    this.#lastTick = this.#startedAt;
    this.#onTick = onTick;
    const roster = rosterOf(ports, options);
    const connector = roster === undefined ? ports.connector : roamingConnector(ports.connector, roster);
    const connections = new Connections(connector, ports.connector);
    const context = {
      ...ports,
      connector,
      options,
      connections,
      troubles: new Troubles(),
      dateSample: undefined,
      changed: () => this.#tasks.wake(),
    };
    this.#context = context;
    const kubeconfigs = new NodeKubeconfigs(context);
    const own = new NodeIdentity(context, kubeconfigs, () => this.#identity.current);
    const node = { identity: own, kubeconfigs, reader: new NodeReader(context, own, kubeconfigs) };
    this.#node = node;
    const rulesOf = (spec: CertificateSpec): CertificateRules =>
      spec.isIdentity ? new IdentityRules(spec, context, node) : new AsksAsNode(spec, context, node);
    this.#managers = options.specs.map((spec) => new CertificateManager(context, rulesOf(spec)));
    const identity = this.#identity;
    const { spec } = identity.rules;
    this.#prover = new Prover(context, node, async (cluster, signal) => {
      await this.#follower?.noteKubelet();
      await kubeconfigs.takeOver(cluster, spec, signal);
    });
    const { followCa } = options;
    this.#follower = followCa && new CaFollower(context, followCa, { ...node, spec, roster });
    this.#upkeep = new Upkeep(context, { node, prover: this.#prover, identity, managers: this.#managers });
    this.#servers = roster && careOf(context, { ...node, spec, roster });
    this.#tasks = new TaskSet(ports.clock);
  }

  /** Runs until the signal aborts; then waits for what runs to end and closes the connections. */
  async run(signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    try {
      // What an earlier process did about servers and CAs says which are asked, and what an offer is.
      await this.#servers?.load();
      await this.#follower?.load();
      while (!signal.aborted) {
        const next = this.#tick(ended);
        this.#onTick(this.snapshot());
        await this.#tasks.waitUntil(next, ended);
      }
    } finally {
      // Also after a defect: the caller lets go of the lock, so nothing may go on writing.
      ending.abort();
      await this.#tasks.settled();
      await this.#context.connections.drop();
    }
  }

  /** `certlet renew`: a new certificate now. */
  async renew(purposes: readonly string[]): Promise<void> {
    for (const manager of this.#managers) {
      if (purposes.includes(manager.purpose)) await manager.force();
    }
    this.#upkeep.hurry();
    this.#tasks.wake();
  }

  /** Watched files changed (kubeconfig, CA, token): looked at in the next round. `paths` are those known to have changed. */
  filesChanged(paths: readonly string[] = []): void {
    const { bootstrap } = this.#node.kubeconfigs;
    const credential = bootstrap.kind === 'usable' ? bootstrap.config.credential : undefined;
    // A fresh token in the same file changes nothing in the kubeconfig itself.
    if (credential?.kind === 'tokenFile' && paths.includes(credential.path)) this.#identity.release();
    const swapped = this.#managers.filter(({ currentPath }) => paths.includes(currentPath));
    if (swapped.length > 0 && swapped.length === paths.length)
      this.#upkeep.suspect(swapped.map((each) => each.purpose));
    else this.#upkeep.expire();
    this.#tasks.wake();
  }

  /** Files whose change matters: both kubeconfigs and what they name, and the link of each certificate. */
  get watchedFiles(): readonly string[] {
    const { node, bootstrap } = this.#node.kubeconfigs;
    const named = [node, bootstrap].flatMap((reading) => {
      if (reading.kind === 'absent') return [reading.path];
      return [reading.path, ...(reading.kind === 'usable' ? reading.config.files : (reading.files ?? []))];
    });
    return [...named, ...this.#managers.map(({ currentPath }) => currentPath)];
  }

  /** The `Date` header of an answer. A skew above two minutes is named once an hour. */
  observeDate(sample: DateSample): void {
    this.#context.dateSample = sample;
    const skewMs = clockSkewMs(sample) ?? 0;
    if (Math.abs(skewMs) < NAMED_SKEW_MS) {
      this.#skewNamedAt = undefined;
      return;
    }
    const now = sample.receivedAt;
    const silentMs =
      this.#skewNamedAt === undefined ? SKEW_REPEAT_MS : Math.abs(now.getTime() - this.#skewNamedAt.getTime());
    if (silentMs < SKEW_REPEAT_MS) return;
    this.#skewNamedAt = now;
    this.#context.log.log('warn', 'Clock skew between this node and the API server', {
      skew: `this node is ${skewText(skewMs)} the server`,
      server: sample.serverDate,
      remedy: 'timedatectl status',
    });
  }

  /** The node's own connection, for what is told beside the rotation; undefined while it has no certificate that it may use. */
  nodeConnection(): ApiConnection | undefined {
    const { identity } = this.#node;
    return identity.canAsk ? identity.nodeAsker().api : undefined;
  }

  /** What the cluster has said of the kubelet so far. */
  get kubelet(): KubeletSeen {
    return this.#node.reader.kubelet;
  }

  snapshot(): AgentSnapshot {
    const { clock, options, dateSample } = this.#context;
    const managers = this.#managers;
    const started = this.#upkeep.started && !this.#upkeep.failing && !this.#tasks.running('upkeep');
    const quiet = started && this.#prover.idle && managers.every((manager) => !manager.busy);
    return {
      nodeName: options.nodeName,
      startedAt: this.#startedAt,
      at: clock.now(),
      managers: managers.map((manager) => manager.snapshot()),
      server: this.#node.kubeconfigs.cluster.active?.server,
      servers: this.#servers?.snapshot(),
      clockSkewMs: clockSkewMs(dateSample),
      kubeletVersion: this.#node.reader.kubeletVersion,
      lastTick: this.#lastTick,
      kubeconfig: this.#node.kubeconfigs.need,
      trusted: this.#node.kubeconfigs.trusted,
      clusterCa: this.#follower?.snapshot,
      upToDate:
        quiet &&
        (this.#follower?.idle ?? true) &&
        managers.every((manager) => manager.isValid && isDone(manager.step(undefined))),
    };
  }

  /** Exactly one certificate is what the node asks with. Throws a RangeError where the settings name none. */
  get #identity(): CertificateManager {
    const identity = this.#managers.find(({ rules }) => rules.spec.isIdentity);
    if (identity === undefined) throw new RangeError('no certificate is the identity of the node');
    return identity;
  }

  /** One round: decide for everything, start what is due, tell when to look again. */
  #tick(signal: AbortSignal): Date {
    const now = this.#context.clock.now();
    const sinceMs = now.getTime() - this.#lastTick.getTime();
    // The clock was set, or the host slept: the comparison with the server's clock says nothing about this clock any more.
    if (sinceMs < 0 || sinceMs > CLOCK_SET_MS) this.#context.dateSample = undefined;
    this.#lastTick = now;
    const wakes = [now.getTime() + TICK_MS, this.#startedAt.getTime() + FIRST_WORD_MS];
    wakes.push(...this.#round(now, signal).map((date) => date.getTime()));
    return new Date(Math.min(...wakes.filter((wake) => wake > now.getTime())));
  }

  #round(now: Date, signal: AbortSignal): readonly Date[] {
    const upkeep = this.#upkeep.due(now);
    const idle = !this.#tasks.running('upkeep');
    if (idle && upkeep <= now) this.#tasks.launch('upkeep', () => this.#upkeep.run(signal));
    // Nothing is decided on before the disk has been read, nor while it is being put in order.
    if (!this.#upkeep.started || this.#tasks.running('upkeep')) return [upkeep];
    const quiet = this.#upkeep.quietUntil(now);
    const proof = this.#prover.due();
    const proofAt = proof !== undefined && quiet !== undefined && quiet > proof ? quiet : proof;
    if (proofAt !== undefined && proofAt <= now) this.#tasks.launch('proof', () => this.#prove(signal));
    const followAt = this.#followCa(now, quiet, signal);
    const serversAt = this.#care(now, quiet, signal);
    const steps = this.#managers.map((manager) => this.#decide(manager, quiet, signal));
    return [upkeep, proofAt, followAt, serversAt, ...steps].filter((date) => date !== undefined);
  }

  /** The CAs that the cluster publishes: read when it is time, and never in the rush of a start. */
  #followCa(now: Date, quiet: Date | undefined, signal: AbortSignal): Date | undefined {
    const follower = this.#follower;
    const due = follower?.due(now);
    if (follower === undefined || due === undefined || this.#tasks.running('cluster CA')) return undefined;
    const at = quiet !== undefined && quiet > due ? quiet : due;
    if (at <= now) this.#tasks.launch('cluster CA', () => follower.run(signal));
    return at;
  }

  /** Of the API servers, where there are several: when there is something to do about them. */
  #care(now: Date, quiet: Date | undefined, signal: AbortSignal): Date | undefined {
    const servers = this.#servers;
    const due = servers?.due();
    if (servers === undefined || due === undefined || this.#tasks.running('servers')) return undefined;
    const at = laterOf(due, quiet) ?? due;
    if (at <= now) this.#tasks.launch('servers', () => servers.run(signal));
    return at;
  }

  /** A round of the proof, and what a restart has to know of it. */
  async #prove(signal: AbortSignal): Promise<void> {
    await this.#prover.run(signal);
    await this.#identity.noteAnswers(this.#node.identity.answers);
  }

  #decide(manager: CertificateManager, quiet: Date | undefined, signal: AbortSignal): Date | undefined {
    if (manager.busy) {
      manager.supersede();
      return undefined;
    }
    const step = manager.decide(quiet);
    if (step.kind === 'request') {
      this.#tasks.launch(manager.purpose, () => manager.attempt(signal));
      return undefined;
    }
    manager.rest(step);
    return step.until;
  }
}

/** Nothing is due. A retry or the spacing between requests means that something is. */
const isDone = (step: Step): boolean => step.kind === 'wait' && step.cause === 'valid';

/** Undefined where the settings name no other server and ask for none: nothing is made for what is not wanted. */
const rosterOf = (ports: RotationPorts, options: RotationOptions): ServerRoster | undefined =>
  (options.servers ?? []).length > 0 || options.serversFromEndpoints === true
    ? new ServerRoster(ports, options.servers ?? [])
    : undefined;

function careOf(context: RotationContext, parts: Omit<CareParts, 'file' | 'restart'>): ServerCare | undefined {
  const { serversFile: file, restartFlag: restart } = context;
  return file && restart && new ServerCare(context, { ...parts, file, restart });
}
