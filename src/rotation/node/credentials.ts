import { CertletError, isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { RequestHistory } from '../../csr/pending.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { ClientConfig, ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { ApiConnection, KubeconfigReading } from '../../ports.ts';
import { kubeconfigPairProblem } from '../disk/pair-in-use.ts';
import {
  chooseCluster,
  clusterDifferences,
  type ClusterChoice,
  type KubeconfigNeed,
  kubeconfigNeeds,
  readingChanges,
} from '../rules/clusters.ts';
import { type RotationContext, judgedNow } from '../rotation-context.ts';
import {
  credentialDigest,
  subjectDigest,
  chooseIdentity,
  isDead,
  type IdentityChoice,
  noted,
  recalled,
  type Refusals,
  refusedOnceMore,
} from '../rules/asker.ts';
import { SaidOnce } from '../../said-once.ts';
import { capWait, SHARE_OF_LEFT } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';

/** Who asks, and over which connection: the node itself, by a pair that `fingerprint` tells from others, or the bootstrap credential. */
export type Asker = NodeAsker | (Asking & { readonly identity: 'bootstrap' });

type NodeAsker = Asking & { readonly identity: 'node'; readonly fingerprint: string };

interface Asking {
  readonly cluster: ClusterAccess;
  readonly api: ApiConnection;
  /** Tells this credential from another: see `credentialDigest`. */
  readonly digest: string | undefined;
}

function isUnsafe(
  reading: KubeconfigReading,
): reading is KubeconfigReading & { readonly kind: 'unusable'; readonly error: CertletError } {
  return reading.kind === 'unusable' && isCertletError(reading.error, 'ERR_KUBECONFIG_UNSAFE');
}

/**
 * The credentials of the node as they are now: both kubeconfigs, the current client pair, and how often it was refused.
 * The files are read again for each attempt, so a fresh token or a changed CA needs no restart.
 */
export class Credentials {
  readonly #context: RotationContext;
  #node: KubeconfigReading;
  #bootstrap: KubeconfigReading;
  /** The node's kubeconfig as it was last usable in this process. */
  #lastUsable: KubeconfigReading | undefined;
  #pair: CertificatePair | undefined;
  #refusals: Refusals | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** For what is met at every look at the files. */
  readonly said = new SaidOnce();
  /** Where the kubeconfig is root's: the cluster that has accepted the pair while that file names another. */
  #proven: ClusterAccess | undefined;
  #need: KubeconfigNeed | undefined;

  constructor(context: RotationContext) {
    this.#context = context;
    this.#node = { kind: 'absent', path: context.options.kubeconfigPath };
    this.#bootstrap = { kind: 'absent', path: '' };
  }

  /** The node's own pair, whatever its dates. */
  get pair(): CertificatePair | undefined {
    return this.#pair;
  }

  get nodeKubeconfig(): KubeconfigReading {
    return this.#node;
  }

  get bootstrapKubeconfig(): KubeconfigReading {
    return this.#bootstrap;
  }

  get refusals(): Refusals | undefined {
    return this.#refusals;
  }

  /** Refused often enough, for as long as the settings and what was left of the pair say. */
  get dead(): boolean {
    const { clock, options } = this.#context;
    const since = this.#refusals?.since;
    if (since === undefined) return false;
    const left = leftMs(this.#pair?.chain.leaf, { earliest: since, latest: since });
    return isDead(this.#refusals, clock.now(), capWait(options.proofRetryMs, left, SHARE_OF_LEFT.failure));
  }

  /** A kubeconfig that others can write since counts as it was before, and is put back. */
  get cluster(): ClusterChoice {
    const node = isUnsafe(this.#node) ? (this.#lastUsable ?? this.#node) : this.#node;
    const choice = chooseCluster(node, this.#bootstrap);
    const { offered } = choice;
    const proven = offered !== undefined && this.#proven !== undefined && sameCluster(this.#proven, offered);
    return proven ? { active: offered, offered: undefined } : choice;
  }

  /** What root has to do about the node's kubeconfig, where it is not managed here. */
  get kubeconfigNeed(): KubeconfigNeed | undefined {
    return this.#need;
  }

  /** A pair that has just become current (adopted or issued): the past of the old one is forgotten. */
  setPair(pair: CertificatePair | undefined): void {
    const same = pair !== undefined && this.#pair?.chain.leaf.fingerprint === pair.chain.leaf.fingerprint;
    this.#pair = pair;
    if (!same) this.#refusals = undefined;
  }

  /** The pair with this fingerprint was accepted; nothing follows for one that has taken its place since. */
  accepted(fingerprint: string): void {
    if (this.#isInUse(fingerprint)) this.#refusals = undefined;
  }

  /** How often the pair in use has been refused, for the history. */
  get refusedPair(): RequestHistory['refused'] {
    const fingerprint = this.#pair?.chain.leaf.fingerprint;
    return fingerprint === undefined || this.#refusals === undefined
      ? undefined
      : { fingerprint, ...noted(this.#refusals) };
  }

  /** After a start: what the history tells of the pair in use. */
  recall(refused: RequestHistory['refused']): void {
    if (refused !== undefined && refused.fingerprint === this.#pair?.chain.leaf.fingerprint)
      this.#refusals ??= recalled(refused);
  }

  /** One 401 more for the pair with this fingerprint; one that was meant for a pair that has been replaced since does not count. */
  refused(fingerprint: string): void {
    if (!this.#isInUse(fingerprint)) return;
    this.#refusals = refusedOnceMore(this.#refusals, this.#context.clock.now());
    const { count, since } = this.#refusals;
    this.#context.log.log('warn', 'The API server refused the client certificate', {
      count,
      since,
      serial: this.#pair?.chain.leaf.serial,
    });
    // The next try goes over a fresh connection, perhaps to another API server behind the same name.
    void this.#context.connections.drop();
  }

  #isInUse(fingerprint: string): boolean {
    return fingerprint === this.#pair?.chain.leaf.fingerprint;
  }

  /** Reads both kubeconfigs again, says once what is to be said about them, and tells what the bootstrap kubeconfig says otherwise than before. */
  async reload(): Promise<readonly string[]> {
    const { kubeconfigs, log } = this.#context;
    const before = this.#bootstrap;
    this.#node = await kubeconfigs.readNode();
    if (this.#node.kind === 'usable') this.#lastUsable = this.#node;
    this.#bootstrap = await kubeconfigs.readBootstrap();
    for (const reading of [this.#node, this.#bootstrap]) {
      if (reading.kind !== 'usable') continue;
      for (const warning of reading.config.warnings) {
        if (!this.said.isNews(warning, '')) continue;
        log.log('warn', warning, { file: reading.path });
      }
    }
    return readingChanges(before, this.#bootstrap);
  }

  /** Which identity an attempt made now would use. */
  choice(): IdentityChoice {
    const { options } = this.#context;
    return chooseIdentity({
      current: this.#pair?.chain.leaf,
      wantedCommonName: `system:node:${options.nodeName}`,
      dead: this.dead,
      now: judgedNow(this.#context).earliest,
    });
  }

  /**
   * The asker for the client certificate. Throws `ERR_CREDENTIAL_MISSING` or what makes the bootstrap kubeconfig unusable.
   */
  forClient(): Asker {
    const choice = this.choice();
    if (choice.kind === 'node') return this.forNode();
    const config = this.#bootstrapConfig(this.#kubeconfigPairProblem() ?? choice.reason);
    const api = this.#context.connections.bootstrap(config);
    return { identity: 'bootstrap', cluster: config.cluster, api, digest: credentialDigest(config.credential) };
  }

  /** The asker with the node's own certificate; serving requests always go out under it. Throws `ERR_CREDENTIAL_MISSING`. */
  forNode(): NodeAsker {
    const cluster = this.cluster.active;
    if (this.#pair === undefined) {
      throw new CertletError('ERR_CREDENTIAL_MISSING', 'there is no client certificate yet');
    }
    if (cluster === undefined) throw this.#noCluster();
    const { leaf } = this.#pair.chain;
    const api = this.#context.connections.node(cluster, this.#pair);
    return { identity: 'node', cluster, api, fingerprint: leaf.fingerprint, digest: subjectDigest(leaf) };
  }

  /** Digest of the credential that the node itself asks with, or the one that would ask for the node's identity now; undefined without one. */
  digest(asker: 'node' | 'identity'): string | undefined {
    if (asker === 'node' || this.choice().kind === 'node') {
      return this.#pair === undefined ? undefined : subjectDigest(this.#pair.chain.leaf);
    }
    return this.#bootstrap.kind === 'usable' ? credentialDigest(this.#bootstrap.config.credential) : undefined;
  }

  /** The cluster for the proof of a pair that was issued before a restart: where the request went, as far as that can be told. */
  forStaged(): ClusterAccess {
    const bootstrap = this.#bootstrap;
    const asked = this.choice().kind === 'bootstrap' && bootstrap.kind === 'usable';
    const cluster = asked ? bootstrap.config.cluster : this.cluster.active;
    if (cluster === undefined) throw this.#noCluster();
    return cluster;
  }

  /** Writes the kubeconfig of a certificate for this cluster unless it names cluster and pair already. */
  writeKubeconfig(cluster: ClusterAccess, spec: CertificateSpec): Promise<void> {
    return this.#inTurn(async () => {
      if (spec.isIdentity && !this.#context.options.manageKubeconfig) this.#proven = cluster;
      await this.#write(cluster, spec);
    });
  }

  /** Makes the kubeconfig of a certificate name the pair in use. Throws `ERR_CREDENTIAL_MISSING` or what is wrong with the file when nothing names a server. */
  repairKubeconfig(spec: CertificateSpec): Promise<void> {
    return this.#inTurn(async () => {
      await this.reload();
      const { active } = this.cluster;
      if (active === undefined) throw this.#noCluster();
      await this.#write(active, spec);
      // Its folder, or the CA that it names, may be what others can write.
      if (spec.isIdentity && isUnsafe(this.#node)) throw this.#node.error;
    });
  }

  /** One write after the other, so that a repair cannot put back the cluster that was just replaced. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }

  async #write(cluster: ClusterAccess, { name, isIdentity, kubeconfig: file }: CertificateSpec): Promise<void> {
    const { store, kubeconfigs, log, options } = this.#context;
    const pairPath = store.currentPath(name);
    if (file === undefined) return;
    if (!isIdentity) {
      const changed = await kubeconfigs.write(file, cluster, pairPath);
      if (changed) log.log('info', 'Wrote the kubeconfig', { purpose: name, file, server: cluster.server });
      return;
    }
    const reading = await kubeconfigs.readNode();
    const needs = kubeconfigNeeds(reading, cluster, pairPath);
    if (!options.manageKubeconfig) {
      this.#leaveToRoot(needs);
      await this.reload();
      return;
    }
    if (needs.length === 0) return;
    if (isUnsafe(reading) && this.said.isNews(reading.error.message, '')) {
      log.log('warn', 'The kubeconfig is not believed and is written anew', { why: reading.error.message });
    }
    const changed = await kubeconfigs.writeNode(cluster, pairPath);
    if (changed) log.log('info', 'Wrote the kubeconfig', { file, server: cluster.server });
    await this.reload();
  }

  /** Why the pair that the node's kubeconfig names is not the one in hand: an admin's certificate there, say. */
  #kubeconfigPairProblem(): string | undefined {
    if (this.#pair !== undefined) return undefined;
    const commonName = `system:node:${this.#context.options.nodeName}`;
    const now = judgedNow(this.#context).earliest;
    return kubeconfigPairProblem(this.#node, { commonName, usages: ['client auth'], now });
  }

  /** Each need is told once, and again when it has become another. */
  #leaveToRoot(needs: readonly string[]): void {
    const { options, log } = this.#context;
    const before = this.#need?.reason;
    const reason = needs.join('; ');
    const { kubeconfigPath: path, kubeconfigCommand: command } = options;
    this.#need = reason === '' ? undefined : { path, reason, command };
    if (this.#need !== undefined && before !== reason)
      log.log('warn', 'The kubeconfig has to be written anew, which is left to root', {
        file: path,
        why: reason,
        remedy: this.#need.command,
      });
  }

  #bootstrapConfig(reason: string): ClientConfig {
    const reading = this.#bootstrap;
    if (reading.kind === 'usable') {
      if (reading.config.credential.kind !== 'none') return reading.config;
      throw new CertletError('ERR_CREDENTIAL_MISSING', `${reading.path} names no credential, and ${reason}`, {
        remedy: 'kubeadm token create (on a control plane node), then put the token into that file',
      });
    }
    if (reading.kind === 'unusable') throw reading.error;
    throw new CertletError('ERR_CREDENTIAL_MISSING', `no bootstrap kubeconfig at ${reading.path}, and ${reason}`, {
      remedy: `put a bootstrap kubeconfig with a fresh token at ${reading.path}; certlet notices it by itself (kubeadm token create, or certlet join)`,
    });
  }

  #noCluster(): CertletError {
    if (this.#node.kind === 'unusable' && this.#node.error instanceof CertletError) return this.#node.error;
    return new CertletError(
      'ERR_CREDENTIAL_MISSING',
      `no kubeconfig says where the API server is: neither ${this.#node.path} nor ${this.#bootstrap.path} is usable`,
      { remedy: `put a kubeconfig at ${this.#bootstrap.path || this.#node.path}` },
    );
  }
}

const sameCluster = (left: ClusterAccess, right: ClusterAccess): boolean =>
  clusterDifferences(left, right).length === 0;
