import { asCertletError, errorFields, isCertletError, problemOf } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { RestartFlag, ServerMove, ServersFile } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import type { Connections } from '../node/connections.ts';
import type { NodeIdentity } from '../node/node-identity.ts';
import type { NodeKubeconfigs } from '../node/kubeconfigs.ts';
import { proveClientPair } from '../proof/proof.ts';
import type { RotationContext } from '../rotation-context.ts';
import { endpointServers, faultOf, moveTo } from '../rules/servers.ts';
import { endOf, type Pause, pauseOf } from '../rules/retry.ts';
import type { ServersSnapshot } from '../snapshot.ts';
import type { ServerRoster } from './roster.ts';

/** API servers come and go seldom, and each reading is a request of every node. */
const READ_ENDPOINTS_MS = 60 * 60_000;
/** After a reading that failed. */
const READ_AGAIN_MS = 10 * 60_000;
/** A restart flag that nobody took is raised again. */
const TELL_AGAIN_MS = 10 * 60_000;
const ENDPOINTS = '/api/v1/namespaces/default/endpoints/kubernetes';

/** What is told once until it has worked again. */
const UNREAD = 'Cannot read the API servers of the cluster';
const NOT_NOTED = 'Cannot note what is known of the API servers';
const NOT_WRITTEN = 'Could not write the kubeconfig for another API server';
const NOT_RESTARTED = 'Could not have the kubelet restarted';

export interface CareParts {
  readonly roster: ServerRoster;
  readonly file: ServersFile;
  readonly restart: RestartFlag;
  readonly identity: NodeIdentity;
  readonly kubeconfigs: NodeKubeconfigs;
  /** The certificate that the node asks with. */
  readonly spec: CertificateSpec;
}

/**
 * What is done about the API servers besides asking them: those that do not answer are looked at again, the cluster's own list is read, and the
 * node's kubeconfig follows one that has taken the place of another for long enough.
 */
export class ServerCare {
  readonly #context: RotationContext;
  readonly #parts: CareParts;
  readonly #said = new SaidOnce();
  #endpointsRead: Pause | undefined;
  #move: ServerMove | undefined;
  #told: Pause | undefined;

  constructor(context: RotationContext, parts: CareParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** When there is something to do; undefined while the node cannot ask. */
  due(): Date | undefined {
    const { clock, options } = this.#context;
    const now = clock.now();
    const home = this.#home?.server;
    if (home === undefined || !this.#parts.identity.canAsk) return undefined;
    const dates = [
      this.#isOwed ? (endOf(this.#told, now) ?? now) : undefined,
      options.serversFromEndpoints === true ? (endOf(this.#endpointsRead, now) ?? now) : undefined,
      this.#parts.roster.nextLook(home, options.moveKubeconfigMs),
    ].filter((date) => date !== undefined);
    return dates.length === 0 ? undefined : new Date(Math.min(...dates.map((date) => date.getTime())));
  }

  /** One round. Throws only defects. */
  async run(signal: AbortSignal): Promise<void> {
    const { identity } = this.#parts;
    const pair = identity.current;
    const home = this.#home;
    if (home === undefined || pair === undefined || !identity.canAsk) return;
    const { options } = this.#context;
    for (const server of this.#parts.roster.dueLooks(home.server, options.moveKubeconfigMs))
      await this.#look({ ...home, server }, pair, signal);
    if (options.serversFromEndpoints === true) await this.#readEndpoints(home, pair, signal);
    if (options.moveKubeconfigMs !== undefined) await this.#follow(home, pair, signal);
  }

  snapshot(): ServersSnapshot | undefined {
    const home = this.#home?.server;
    if (home === undefined) return undefined;
    const { roster } = this.#parts;
    return { inUse: roster.inUse(home), ofKubeconfig: home, servers: roster.of(home), moved: this.#move };
  }

  get #isOwed(): boolean {
    return this.#context.options.moveKubeconfigMs !== undefined && this.#move?.owed === true;
  }

  get #home(): ClusterAccess | undefined {
    return this.#parts.kubeconfigs.cluster.active;
  }

  #moved(move: ServerMove | undefined): void {
    const { roster, kubeconfigs } = this.#parts;
    this.#move = move;
    kubeconfigs.noteMove(move);
    roster.nameFormer([move?.home, move?.from].filter((server) => server !== undefined));
  }

  /** Before anything else: what an earlier process knew. A list that only the cluster had told is needed most when the kubeconfig's own server is away. */
  async load(): Promise<void> {
    const { file, roster } = this.#parts;
    const problem = await problemOf(async () => {
      const record = await file.read();
      if (this.#context.options.serversFromEndpoints === true) roster.nameFound(record.found);
      this.#moved(record.move);
    });
    if (problem !== undefined) this.#tell('Cannot read what is known of the API servers', problem);
  }

  /** Whether this server answers the node, by the CA in hand: true when it does. */
  async #look(cluster: ClusterAccess, pair: CertificatePair, signal: AbortSignal): Promise<boolean> {
    const { roster } = this.#parts;
    const { server } = cluster;
    try {
      const refusal = await proveClientPair({ connections: this.#exact }, cluster, pair, signal);
      if (refusal === undefined) roster.seenUp(server);
      else roster.down(server, refusal);
      return refusal === undefined;
    } catch (error) {
      if (signal.aborted || !isCertletError(error)) throw error;
      if (faultOf(error) === 'untrusted') roster.untrusted(server, error);
      else roster.down(server, error);
      return false;
    }
  }

  async #readEndpoints(home: ClusterAccess, pair: CertificatePair, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const now = clock.now();
    if (endOf(this.#endpointsRead, now) !== undefined) return;
    this.#endpointsRead = pauseOf(now, READ_AGAIN_MS);
    const { roster } = this.#parts;
    try {
      const body = await this.#parts.identity.nodeAsker().api.request('GET', ENDPOINTS, undefined, signal);
      const named = endpointServers(body);
      const known = new Set(roster.found);
      const verified: string[] = [];
      for (const server of named)
        if (known.has(server) || (await this.#look({ ...home, server }, pair, signal))) verified.push(server);
      this.#said.over(UNREAD);
      this.#endpointsRead = pauseOf(now, READ_ENDPOINTS_MS);
      if (verified.length > 0 && verified.join() !== roster.found.join()) await this.#found(verified);
    } catch (error) {
      if (signal.aborted || !isCertletError(error)) throw error;
      this.#tell(UNREAD, error);
    }
  }

  async #found(servers: readonly string[]): Promise<void> {
    this.#parts.roster.nameFound(servers);
    this.#context.log.log('info', 'The cluster names its API servers', { servers });
    await this.#save();
  }

  /** The kubelet has no second server: where its own stays away, its kubeconfig is made to name the one that answers, which must have accepted the pair. */
  async #follow(home: ClusterAccess, pair: CertificatePair, signal: AbortSignal): Promise<void> {
    const { clock, log, options } = this.#context;
    const { roster, kubeconfigs, spec } = this.#parts;
    if (this.#isOwed && this.#move !== undefined) await this.#tellKubelet(this.#move, signal);
    const ofKubeconfig = roster.factsOf(home.server);
    const at = { now: clock.now(), afterMs: options.moveKubeconfigMs ?? 0, last: this.#move };
    const to = moveTo(ofKubeconfig, roster.factsOf(roster.inUse(home.server)), at);
    if (to === undefined || !(await this.#look({ ...home, server: to }, pair, signal))) return;
    const { bootstrap } = kubeconfigs;
    const named = this.#move?.to === home.server ? this.#move.home : undefined;
    // One that is absent now names the same server as before when it is put back.
    const bootstrapServer = named ?? (bootstrap.kind === 'usable' ? bootstrap.config.cluster : home).server;
    const last = this.#move;
    const move: ServerMove = { at: at.now, from: home.server, to, home: bootstrapServer, owed: true };
    this.#moved(move);
    // On disk before the kubeconfig: a crash between the two leaves a restart too many, and never one too few.
    await this.#save();
    try {
      if (!(await kubeconfigs.move(home, to, spec))) {
        // Somebody else has written it meanwhile.
        this.#moved(last);
        return await this.#save();
      }
    } catch (error) {
      this.#tell(NOT_WRITTEN, asCertletError(error));
      return;
    }
    this.#said.over(NOT_WRITTEN);
    const { since } = ofKubeconfig;
    log.log('warn', 'The kubeconfig names another API server now', {
      file: spec.kubeconfig,
      server: to,
      instead: home.server,
      since,
    });
    await this.#tellKubelet(move, signal);
  }

  /** A running kubelet reads its kubeconfig no more. */
  async #tellKubelet(move: ServerMove, signal: AbortSignal): Promise<void> {
    const { restart } = this.#parts;
    const problem = await problemOf(async () => {
      await restart.raise('kubeconfig');
      await restart.taken(signal);
    });
    if (problem === undefined) this.#said.over(NOT_RESTARTED);
    else this.#tell(NOT_RESTARTED, problem);
    if (signal.aborted) return;
    this.#told = pauseOf(this.#context.clock.now(), TELL_AGAIN_MS);
    this.#move = { ...move, owed: problem !== undefined };
    await this.#save();
  }

  async #save(): Promise<void> {
    const { file, roster } = this.#parts;
    const problem = await problemOf(() => file.write({ found: roster.found, move: this.#move }));
    if (problem === undefined) this.#said.over(NOT_NOTED);
    else this.#tell(NOT_NOTED, problem);
  }

  get #exact(): Pick<Connections, 'fresh'> {
    const { connections } = this.#context;
    return { fresh: (cluster, pair) => connections.exact(cluster, pair) };
  }

  #tell(event: string, error: Parameters<typeof errorFields>[0] & { readonly code: string }): void {
    if (this.#said.isNews(event, error.code)) this.#context.log.log('warn', event, errorFields(error));
  }
}
