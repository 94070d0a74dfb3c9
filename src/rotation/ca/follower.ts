import { type CertletError, errorFields, isCertletError, problemOf } from '../../errors.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { caPinOf } from '../../discovery/ca-pin.ts';
import type { CaRecord, RemovalProof } from '../../kubeconfig/ca-record.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { bundleOf, CLUSTER_CA, readTrustedCas, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { parseChain } from '../../pki/certificate.ts';
import { timestamp } from '../../timestamp.ts';
import type { NodeParts } from '../certificate-rules.ts';
import { type FollowOptions, judgedNow, type RotationContext } from '../rotation-context.ts';
import type { ClusterCaSnapshot, FailureSnapshot } from '../snapshot.ts';
import {
  additionsOf,
  changeWanted,
  formOf,
  goingOf,
  notedRound,
  removalWaits,
  type Verification,
  withoutCas,
} from '../rules/cluster-ca.ts';
import { Backoff, endOf, type Pause, pauseOf } from '../rules/retry.ts';
import type { ServerRoster } from '../servers/roster.ts';
import { KubeletCaKeeper } from './kubelet-cas.ts';
import { missingCa } from './missing-ca.ts';
import { readPublished } from './publication.ts';
import { Refusals } from './refusals.ts';
import { verifyEach, verifyUnder } from './verify.ts';

/** While the kubelet holds other CAs than its kubeconfig gives, its next start is looked for so often. */
const LOOK_MS = 60_000;

/** While a restart waits for its window: whether the kubelet can still verify the server is asked so often, by every node of a cluster. */
const COMPARE_MS = 10 * 60_000;

const FOREIGN = 'the kubeconfig has its CA in a file that is not of certlet, and caFile is not set:';

/** What the follower works with. */
export interface FollowParts extends NodeParts {
  /** Of the node's identity: its kubeconfig is the one that is changed. */
  readonly spec: CertificateSpec;
  /** Where there are several API servers. */
  readonly roster?: Pick<ServerRoster, 'inUse' | 'named'> | undefined;
}

/**
 * Follows the CAs that the cluster publishes: adds to what the node's kubeconfig trusts, takes away what is gone for good, and wants the kubelet
 * restarted, which reads them at its start only.
 */
export class CaFollower {
  readonly #context: RotationContext;
  readonly #options: FollowOptions;
  readonly #node: FollowParts;
  readonly #kubelet: KubeletCaKeeper;
  readonly #backoff = new Backoff();
  readonly #refusals: Refusals;
  #removal: RemovalProof | undefined;
  #passedBy: string | undefined;
  #loaded = false;
  /** When the server in use was last looked at with the kubelet's CAs alone. */
  #compared: Pause | undefined;
  /** When to read next; undefined before the first time. */
  #next: Date | undefined;
  #readAt: Date | undefined;
  #going: readonly TrustedCa[] = [];
  #waits: readonly string[] = [];
  #trouble: FailureSnapshot | undefined;

  constructor(context: RotationContext, options: FollowOptions, node: FollowParts) {
    this.#context = context;
    this.#options = options;
    this.#refusals = new Refusals(context.log);
    this.#node = node;
    this.#kubelet = new KubeletCaKeeper(context, () => node.reader.kubeletVersion);
  }

  /** What the cluster publishes has been read in this process, or cannot be. */
  get idle(): boolean {
    return this.#readAt !== undefined || this.#trouble !== undefined || !this.#isReady;
  }

  get snapshot(): ClusterCaSnapshot {
    const marks = this.#going.map(({ fingerprint, subject }) => ({ fingerprint, subject }));
    return {
      source: this.#options.source,
      readAt: this.#readAt,
      going: marks,
      waits: this.#waits,
      refused: this.#refusals.lines,
      kubelet: this.#kubelet.lag,
      trouble: this.#trouble,
    };
  }

  /** When to run next; undefined while the node has no kubeconfig of the cluster. */
  due(now: Date): Date | undefined {
    if (!this.#isReady) return undefined;
    const read = this.#nextRead(now);
    if (this.#kubelet.lag === undefined && this.#loaded) return read;
    const look = this.#loaded ? new Date(now.getTime() + LOOK_MS) : now;
    return look < read ? look : read;
  }

  /** Before anything else: what an earlier process knew says what the bootstrap kubeconfig offers. What cannot be read is told by the first round. */
  async load(): Promise<void> {
    await problemOf(() => this.#load());
  }

  /** One round. Errors are told and tried again; only defects are thrown. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    try {
      await this.noteKubelet();
      if (this.#nextRead(clock.now()) <= clock.now()) await this.#follow(signal);
      await this.#lookAtKubelet(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isCertletError(error)) throw error;
      await this.#failed(error, signal);
    }
  }

  get #isReady(): boolean {
    return this.#node.kubeconfigs.node.kind === 'usable';
  }

  /** A clock that was set back must not postpone the next reading. */
  #nextRead(now: Date): Date {
    const { refreshMs } = this.#options;
    const planned = this.#next ?? now;
    const read = planned.getTime() - now.getTime() > 2 * refreshMs ? now : planned;
    return this.#backoff.until(now) ?? read;
  }

  async #load(): Promise<void> {
    if (this.#loaded) return;
    const record = (await this.#context.clusterCa?.readRecord()) ?? {};
    this.#kubelet.recall(record.kubelet);
    this.#removal = record.removal;
    this.#passBy(record.passedBy);
    this.#loaded = true;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, chance, connector } = this.#context;
    const { identity, kubeconfigs } = this.#node;
    const cluster = kubeconfigs.activeCluster();
    const node = identity.canAsk ? identity.nodeAsker().api : undefined;
    const published = await readPublished(this.#options.source, { connector, cluster, node }, signal);
    this.#readAt = clock.now();
    const pauseMs = this.#options.refreshMs * (0.9 + 0.2 * chance.roll());
    this.#next = new Date(this.#readAt.getTime() + Math.round(pauseMs));
    await this.#add(cluster, published, signal);
    await this.#remove(kubeconfigs.activeCluster(), published, signal);
    this.#backoff.reset();
    this.#trouble = undefined;
    const ended = this.#context.troubles.over('cluster CA', clock.now());
    if (ended !== undefined) this.#context.log.log('info', 'Following the CA of the cluster again', { ...ended });
  }

  async #add(cluster: ClusterAccess, published: readonly TrustedCa[], signal: AbortSignal): Promise<void> {
    const trusted = readTrustedCas(cluster.caPem);
    const { added, refused } = additionsOf(trusted, published, judgedNow(this.#context).earliest);
    this.#askRoot(cluster, added.length === 0 ? undefined : [...trusted, ...added]);
    const isOurs = added.length > 0 && this.#context.options.manageKubeconfig;
    const why = isOurs ? await this.#notAdded(cluster, { trusted, added }, signal) : undefined;
    this.#refusals.note(why === undefined ? refused : [...refused, ...added.map((ca) => ({ ca, why }))]);
  }

  /** Adds them to what the kubeconfig trusts; resolves to why that is not done, undefined where it is. */
  async #notAdded(
    cluster: ClusterAccess,
    { trusted, added }: { readonly trusted: readonly TrustedCa[]; readonly added: readonly TrustedCa[] },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const file = this.#foreignFile(cluster);
    if (file !== undefined) return `${FOREIGN} ${file}`;
    const asked = this.#asked(cluster);
    // Of two CAs of one name OpenSSL may take the wrong one, where certificates do not say by which key they were signed.
    for (const bundle of [
      [...trusted, ...added],
      [...added, ...trusted],
    ]) {
      if ((await this.#verify(asked, bundle, signal)) !== 'verified') continue;
      await this.#trust(cluster, bundle, { added, removed: [] });
      return undefined;
    }
    return `the certificate of ${asked.server} would not hold with it`;
  }

  /** A file that the kubeconfig names and certlet did not make: the kubelet may take it for the CAs of its callers, too. */
  #foreignFile({ caPath }: ClusterAccess): string | undefined {
    const { ownFile } = this.#options;
    return this.#context.options.caFile !== undefined || caPath === ownFile ? undefined : caPath;
  }

  async #remove(cluster: ClusterAccess, published: readonly TrustedCa[], signal: AbortSignal): Promise<void> {
    const trusted = readTrustedCas(cluster.caPem);
    this.#going = goingOf(trusted, published);
    if (this.#going.length === 0) {
      this.#waits = [];
      if (this.#removal !== undefined) await this.#note({ removal: undefined });
      return;
    }
    const rest = withoutCas(trusted, this.#going);
    const results = await this.#verifyAll(cluster, rest, signal);
    const now = this.#context.clock.now();
    const proof = notedRound(this.#removal, this.#going, { results, now });
    await this.#note({ removal: proof });
    this.#waits = removalWaits(proof, { results, now, verifiedForMs: this.#options.verifiedForMs });
    const file = this.#foreignFile(cluster);
    if (file !== undefined) this.#waits = [...this.#waits, `${FOREIGN} ${file}`];
    if (this.#waits.length > 0) return;
    if (!this.#context.options.manageKubeconfig) return this.#askRoot(cluster, rest);
    await this.#trust(cluster, rest, { added: [], removed: this.#going });
    this.#going = [];
  }

  /** Each server that this node knows, under these CAs alone; by its URL. */
  async #verifyAll(
    cluster: ClusterAccess,
    cas: readonly TrustedCa[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Verification>> {
    const { kubeconfigs, roster } = this.#node;
    const { bootstrap } = kubeconfigs;
    const others = (roster?.named ?? []).map((server) => ({ ...cluster, server }));
    const first = bootstrap.kind === 'usable' ? [bootstrap.config.cluster] : [];
    return await verifyEach(this.#context.connections.direct, [cluster, ...others, ...first], cas, signal);
  }

  #verify(cluster: ClusterAccess, cas: readonly TrustedCa[], signal: AbortSignal): Promise<Verification> {
    return verifyUnder(this.#context.connections.direct, cluster, cas, signal);
  }

  /** The same cluster by the server that is asked first: that of the kubeconfig where there is no other. */
  #asked(cluster: ClusterAccess): ClusterAccess {
    const { roster } = this.#node;
    return roster === undefined ? cluster : { ...cluster, server: roster.inUse(cluster.server) };
  }

  /** Writes the kubeconfig with these CAs, after what the kubelet holds until then has been noted, and tells it. */
  async #trust(
    before: ClusterAccess,
    cas: readonly TrustedCa[],
    change: { readonly added: readonly TrustedCa[]; readonly removed: readonly TrustedCa[] },
  ): Promise<void> {
    const { kubeconfigs } = this.#node;
    await this.#kubelet.look(formOf(before), readTrustedCas(before.caPem));
    await this.#note({ passedBy: kubeconfigs.bootstrapDigest });
    if (!(await kubeconfigs.trust(before, bundleOf(cas), this.#node.spec))) return;
    for (const ca of change.added) this.#tell('Trusting another CA of the cluster', 'trusts', ca);
    for (const ca of change.removed) this.#tell('No longer trusting a CA of the cluster', 'no longer trusts', ca);
    if (change.removed.length > 0) await this.#note({ removal: undefined });
  }

  #tell(event: string, verb: string, ca: TrustedCa): void {
    const { clock, log, observer, options } = this.#context;
    const { fingerprint, subject, notAfter: ends } = ca;
    log.log('info', event, { fingerprint, subject, ends, source: this.#options.source, file: options.kubeconfigPath });
    const text = `${CLUSTER_CA}: this node ${verb} ${subject} (sha256 ${fingerprint}, until ${timestamp(ends)})`;
    observer.observe({ kind: 'trusted', purpose: CLUSTER_CA, at: clock.now(), text });
  }

  /** Where root writes the kubeconfig: what is to be trusted, and the command that makes it so. Undefined: nothing is to be done. */
  #askRoot(cluster: ClusterAccess, cas: readonly TrustedCa[] | undefined): void {
    if (this.#context.options.manageKubeconfig) return;
    const { kubeconfigs } = this.#node;
    if (cas === undefined) return kubeconfigs.askRoot(undefined);
    const trusted = readTrustedCas(cluster.caPem);
    const reason = changeWanted(trusted, cas);
    const pins = parseChain(bundleOf(cas)).certificates.map(caPinOf);
    kubeconfigs.askRoot({ reason, command: this.#options.rootCommand(pins) });
  }

  /**
   * What the kubelet holds, to be noted before its kubeconfig changes, whoever changes it: of a run that is seen first after the change nobody could
   * tell. Also where nothing can be read from the cluster. Throws as `ClusterCaFiles`.
   */
  async noteKubelet(): Promise<void> {
    await this.#load();
    const { cluster, trusted } = this.#node.kubeconfigs;
    if (cluster.active === undefined || !this.#isReady) return;
    if (await this.#kubelet.look(formOf(cluster.active), trusted)) await this.#note({});
  }

  async #lookAtKubelet(signal: AbortSignal): Promise<void> {
    const { cluster, trusted } = this.#node.kubeconfigs;
    const { active } = cluster;
    if (active === undefined) return;
    await this.noteKubelet();
    await this.#kubelet.wish(formOf(active), trusted, await this.#isCutOff(active, trusted, signal), signal);
  }

  /** Whether the server in use shows a certificate already that the kubelet cannot verify: its restart waits for no window then. */
  async #isCutOff(active: ClusterAccess, trusted: readonly TrustedCa[], signal: AbortSignal): Promise<boolean> {
    const { lag } = this.#kubelet;
    if (this.#options.restartsWait !== true || lag === undefined || lag.lacks.length === 0) return false;
    const now = this.#context.clock.now();
    if (endOf(this.#compared, now) !== undefined) return false;
    this.#compared = pauseOf(now, COMPARE_MS);
    const cluster = this.#asked(active);
    const held = withoutCas(trusted, lag.lacks);
    if (held.length > 0 && (await this.#verify(cluster, held, signal)) !== 'refused') return false;
    return (await this.#verify(cluster, trusted, signal)) === 'verified';
  }

  /** What outlives this process, with what has changed. */
  async #note(change: Partial<CaRecord>): Promise<void> {
    if ('removal' in change) this.#removal = change.removal;
    if ('passedBy' in change) this.#passBy(change.passedBy);
    const record = { kubelet: this.#kubelet.held, removal: this.#removal, passedBy: this.#passedBy };
    await this.#context.clusterCa?.writeRecord(record);
  }

  #passBy(digest: string | undefined): void {
    this.#passedBy = digest;
    this.#node.kubeconfigs.passBy(digest);
  }

  async #failed(error: CertletError, signal: AbortSignal): Promise<void> {
    const { clock, chance, log, options, troubles } = this.#context;
    const { refusedBackoffMs } = options;
    const longestMs = this.#options.refreshMs;
    const now = clock.now();
    const input = { error, roll: chance.roll(), msToExpiry: undefined, refusedBackoffMs, longestMs };
    const retry = this.#backoff.failed(now, input);
    const told = await this.#explained(error, signal);
    const { code, message, remedy } = told;
    this.#trouble = { code, message, remedy, at: now };
    const { failures } = this.#backoff;
    const level = troubles.levelOf('cluster CA', told, { at: now, loud: 'warn', failures, echo: true });
    log.log(level, 'Cannot follow the CA of the cluster', { ...errorFields(told), retry });
  }

  /** A server whose certificate no CA in hand has signed: which one is missing, and what mends it. */
  async #explained(error: CertletError, signal: AbortSignal): Promise<CertletError> {
    const { active } = this.#node.kubeconfigs.cluster;
    if (active === undefined) return error;
    const { connections, options } = this.#context;
    const byRoot = !options.manageKubeconfig;
    return await missingCa(connections.direct, this.#asked(active), { error, byRoot }, signal);
  }
}
