import { joinRemedy, onControlPlane } from '../../remedy.ts';
import { CertletError, errorFields, problemOf } from '../../errors.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { ClientConfig, ClusterAccess } from '../../kubeconfig/client-config.ts';
import { bundleId, readTrustedCas, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import type { KubeconfigReading, ServerMove } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import { SerialQueue } from '../../serial-queue.ts';
import type { RotationContext } from '../rotation-context.ts';
import { credentialDigest } from '../rules/asker.ts';
import { offersNothing } from '../rules/cluster-ca.ts';
import {
  chooseCluster,
  clusterDifferences,
  type ClusterChoice,
  isUnsafe,
  type KubeconfigNeed,
  kubeconfigNeeds,
  readingChanges,
} from '../rules/clusters.ts';
import { entryChange, writingEntry } from './entry-change.ts';

/** A cluster's CA and the server of a kubeconfig change a few times in a process' life, and what was asked for with an older one has ended long since. */
const MAX_REPLACED = 8;

/**
 * The node's kubeconfig and the bootstrap kubeconfig as they are now, and the cluster that they name.
 * The files are read again for each attempt, so a fresh token or a changed CA needs no restart.
 */
export class NodeKubeconfigs {
  readonly #context: RotationContext;
  #node: KubeconfigReading;
  #bootstrap: KubeconfigReading;
  /** The bootstrap kubeconfig as it was when its changes were asked for last. */
  #bootstrapBefore: KubeconfigReading;
  /** The node's kubeconfig as it was last usable in this process. */
  #lastUsable: KubeconfigReading | undefined;
  /** One write after the other, so that a repair cannot put back the cluster that was just replaced. */
  readonly #writes = new SerialQueue();
  /** For what is met at every look at the files. */
  readonly said = new SaidOnce();
  /** Where the kubeconfig is root's: the cluster that has accepted the pair while that file names another. */
  #proven: ClusterAccess | undefined;
  #need: KubeconfigNeed | undefined;
  /** What root has to do for the cluster's CA. */
  #caNeed: KubeconfigNeed | undefined;
  /** Cluster entries whose CA or server was replaced in this process: who asked with one of them writes the present one. */
  #replaced: readonly ClusterAccess[] = [];
  /** Digest of a bootstrap kubeconfig that offers nothing since: see `CaRecord`. */
  #passedBy: string | undefined;
  #parsed: { readonly pem: string | undefined; readonly cas: readonly TrustedCa[] } = { pem: undefined, cas: [] };
  /** The last judgement, for these very readings: they are asked for many times a minute. */
  #judgedOffer:
    | { readonly active: ClusterAccess; readonly bootstrap: KubeconfigReading; readonly nothing: boolean }
    | undefined;
  #moved: ServerMove | undefined;
  /** PEM of the CAs that the kubeconfig of each other certificate gave when it was looked at last. */
  readonly #writtenCas = new Map<string, string>();

  constructor(context: RotationContext) {
    this.#context = context;
    this.#node = { kind: 'absent', path: context.options.kubeconfigPath };
    this.#bootstrap = { kind: 'absent', path: '' };
    this.#bootstrapBefore = this.#bootstrap;
  }

  get node(): KubeconfigReading {
    return this.#node;
  }

  get bootstrap(): KubeconfigReading {
    return this.#bootstrap;
  }

  /** A kubeconfig that others can write since counts as it was before, and is put back. */
  get cluster(): ClusterChoice {
    const node = isUnsafe(this.#node) ? (this.#lastUsable ?? this.#node) : this.#node;
    const choice = chooseCluster(node, this.#bootstrap, this.#moved);
    const { active, offered } = choice;
    if (active !== undefined && offered !== undefined && this.#isPassedBy(active, offered))
      return { active, offered: undefined };
    const proven = offered !== undefined && this.#proven !== undefined && sameCluster(this.#proven, offered);
    return proven ? { active: offered, offered: undefined } : choice;
  }

  /** Certlet itself makes the node's kubeconfig name another server, or has done so. */
  noteMove(move: ServerMove | undefined): void {
    this.#moved = move;
    this.#judgedOffer = undefined;
  }

  /** The cluster to talk to. Throws `ERR_CREDENTIAL_MISSING` or what is wrong with the node's kubeconfig where nothing names one. */
  activeCluster(): ClusterAccess {
    const { active } = this.cluster;
    if (active !== undefined) return active;
    if (this.#node.kind === 'unusable' && this.#node.error instanceof CertletError) throw this.#node.error;
    throw new CertletError(
      'ERR_CREDENTIAL_MISSING',
      `no kubeconfig says where the API server is: neither ${this.#node.path} nor ${this.#bootstrap.path} is usable`,
      { remedy: `# Put a kubeconfig at ${this.#bootstrap.path || this.#node.path}.` },
    );
  }

  /** What root has to do about the node's kubeconfig, where it is not managed here. */
  get need(): KubeconfigNeed | undefined {
    return this.#need ?? this.#caNeed;
  }

  /** The CAs that the kubeconfig in use gives; empty where it gives none. */
  get trusted(): readonly TrustedCa[] {
    const pem = this.cluster.active?.caPem;
    if (pem !== this.#parsed.pem) this.#parsed = { pem, cas: readTrustedCas(pem) };
    return this.#parsed.cas;
  }

  /** Tells the bootstrap kubeconfig as it is now from another; undefined where it cannot be used. */
  get bootstrapDigest(): string | undefined {
    if (this.#bootstrap.kind !== 'usable') return undefined;
    const { cluster, credential } = this.#bootstrap.config;
    const { server, caPem } = cluster;
    return `${server} ${bundleId(readTrustedCas(caPem))} ${credentialDigest(credential) ?? ''}`;
  }

  /** A bootstrap kubeconfig with this digest offers nothing: the CAs have been followed since it was written. */
  passBy(digest: string | undefined): void {
    this.#passedBy = digest;
    this.#judgedOffer = undefined;
  }

  #isPassedBy(active: ClusterAccess, offered: ClusterAccess): boolean {
    if (this.#context.options.followCa === undefined) return false;
    const before = this.#judgedOffer;
    if (before?.active === active && before.bootstrap === this.#bootstrap) return before.nothing;
    const digest = this.bootstrapDigest;
    const nothing = (digest !== undefined && digest === this.#passedBy) || offersNothing(active, offered);
    this.#judgedOffer = { active, bootstrap: this.#bootstrap, nothing };
    return nothing;
  }

  /** Reads both again, and says once what is to be said about them. */
  async reload(): Promise<void> {
    const { kubeconfigs, log } = this.#context;
    this.#node = await kubeconfigs.readNode();
    if (this.#node.kind === 'usable') this.#lastUsable = this.#node;
    this.#bootstrap = await kubeconfigs.readBootstrap();
    for (const reading of [this.#node, this.#bootstrap]) {
      if (reading.kind !== 'usable') continue;
      const { warnings, modeWarning, modeRemedy } = reading.config;
      for (const warning of warnings) {
        if (!this.said.isNews(warning, '')) continue;
        log.log('warn', warning, { file: reading.path, remedy: warning === modeWarning ? modeRemedy : undefined });
      }
    }
  }

  /** What the bootstrap kubeconfig says otherwise than at the last call, whoever has read it since. For the one place that acts on it. */
  takeBootstrapChanges(): readonly string[] {
    const changes = readingChanges(this.#bootstrapBefore, this.#bootstrap);
    this.#bootstrapBefore = this.#bootstrap;
    return changes;
  }

  /**
   * The bootstrap credential and the cluster to show it to: that of the node's kubeconfig where the bootstrap kubeconfig offers no other, so that
   * neither a server that was left nor a CA that has gone comes back with it. Throws `ERR_CREDENTIAL_MISSING`, with `reason` for needing one, or what
   * makes the file unusable.
   */
  bootstrapConfig(reason: string): ClientConfig {
    const reading = this.#bootstrap;
    if (reading.kind === 'usable') {
      const { active = reading.config.cluster, offered = active } = this.cluster;
      if (reading.config.credential.kind !== 'none') return { ...reading.config, cluster: offered };
      throw new CertletError('ERR_CREDENTIAL_MISSING', `${reading.path} names no credential, and ${reason}`, {
        remedy: onControlPlane('kubeadm token create', 'then put the token into that file'),
      });
    }
    if (reading.kind === 'unusable') throw reading.error;
    if (reading.linksTo !== undefined) throw unopened({ path: reading.path, linksTo: reading.linksTo }, reason);
    throw new CertletError('ERR_CREDENTIAL_MISSING', `no bootstrap kubeconfig at ${reading.path}, and ${reason}`, {
      remedy: joinRemedy(
        `with what kubeadm token create --print-join-command shows on a control plane node; or put a bootstrap kubeconfig with a fresh token at ${reading.path}: certlet notices it by itself`,
      ),
    });
  }

  /**
   * By option, deletes the bootstrap kubeconfig once the certificate it led to is proven. A file that cannot be deleted is told and left: the
   * certificate is current all the same, and the next proof tries again.
   */
  async removeProvenBootstrap(): Promise<void> {
    const { options, kubeconfigs, log } = this.#context;
    const { path: file, kind } = this.#bootstrap;
    if (!options.deleteBootstrapKubeconfig || kind === 'absent') return;
    const problem = await problemOf(() => kubeconfigs.removeBootstrap());
    if (problem !== undefined) {
      log.log('warn', 'Could not delete the bootstrap kubeconfig', { file, ...errorFields(problem) });
      return;
    }
    log.log('info', 'Deleted the bootstrap kubeconfig: its certificate is proven', { file });
    await this.reload();
    // That it is gone is our own doing.
    this.takeBootstrapChanges();
  }

  /**
   * Writes the kubeconfig of a certificate for this cluster unless it names cluster and pair already. A cluster entry whose CA or server has been
   * replaced since (a request may wait for days) is the present one. Another entry than before has the kubelet restarted; `signal` ends what follows.
   */
  write(asked: ClusterAccess, spec: CertificateSpec, signal: AbortSignal): Promise<void> {
    return this.#writes.run(async () => {
      // One that names the link could not be used, by a kubelet either, as long as nothing was behind that.
      const before = this.#node;
      if (spec.isIdentity) await this.reload();
      const cluster = this.#replaced.some((entry) => sameCluster(entry, asked)) ? this.activeCluster() : asked;
      const { after, options } = this.#context;
      if (spec.isIdentity && !options.manageKubeconfig) this.#proven = cluster;
      const change = spec.isIdentity ? entryChange(before, cluster, options) : undefined;
      await writingEntry(after, change, () => this.#write(cluster, spec), signal);
    });
  }

  /** The same for a cluster that has accepted the pair, whatever was replaced before. */
  takeOver(cluster: ClusterAccess, spec: CertificateSpec, signal: AbortSignal): Promise<void> {
    this.#replaced = [];
    return this.write(cluster, spec, signal);
  }

  /** Makes the node's kubeconfig trust these CAs where it still names `before`; resolves to whether it did. Errors as `KubeconfigFiles.writeNode`. */
  trust(before: ClusterAccess, caPem: string, spec: CertificateSpec): Promise<boolean> {
    return this.#writes.run(async () => {
      await this.reload();
      const node = this.#node;
      if (node.kind !== 'usable' || !sameCluster(node.config.cluster, before)) return false;
      await this.#write({ ...node.config.cluster, caPem }, spec);
      this.#replaced = [...this.#replaced, before].slice(-MAX_REPLACED);
      return true;
    });
  }

  /**
   * Makes the node's kubeconfig name another server of the same cluster where it still names that of `before`, and trust what it trusts by then; resolves
   * to whether it did. Errors as `KubeconfigFiles.writeNode`.
   */
  move(before: ClusterAccess, server: string, spec: CertificateSpec): Promise<boolean> {
    return this.#writes.run(async () => {
      await this.reload();
      const node = this.#node;
      if (node.kind !== 'usable' || node.config.cluster.server !== before.server) return false;
      const { cluster } = node.config;
      await this.#write({ ...cluster, server }, spec);
      this.#replaced = [...this.#replaced, before, cluster].slice(-MAX_REPLACED);
      return true;
    });
  }

  /** What root has to do for the cluster's CA, said once; undefined: nothing any more. */
  askRoot(need: Pick<KubeconfigNeed, 'reason' | 'command'> | undefined): void {
    this.#caNeed = need && { path: this.#context.options.kubeconfigPath, ...need };
    if (this.#caNeed === undefined) this.said.over('CA of root');
    else if (this.said.isNews('CA of root', this.#caNeed.reason)) this.#tellRoot(this.#caNeed);
  }

  /**
   * Makes the kubeconfig of a certificate name the pair in use, and the cluster as the node's own does; resolves to whether one that is not the node's was
   * written. Throws `ERR_CREDENTIAL_MISSING` or what is wrong with the file when nothing names a server.
   */
  repair(spec: CertificateSpec): Promise<boolean> {
    return this.#writes.run(async () => {
      await this.reload();
      const written = await this.#write(this.activeCluster(), spec);
      // Its folder, or the CA that it names, may be what others can write.
      if (spec.isIdentity && isUnsafe(this.#node)) throw this.#node.error;
      return written;
    });
  }

  async #write(entry: ClusterAccess, { name, isIdentity, kubeconfig: file }: CertificateSpec): Promise<boolean> {
    const { store, kubeconfigs, log } = this.#context;
    const cluster = this.#placed(entry);
    const pairPath = store.currentPath(name);
    if (file === undefined) return false;
    if (!isIdentity) {
      const changed = await kubeconfigs.write(file, cluster, pairPath);
      if (changed) log.log('info', 'Wrote the kubeconfig', { purpose: name, file, server: cluster.server });
      // A CA file has changed without a word of the kubeconfig that names it.
      const { caPath, caPem = '' } = cluster;
      const before = this.#writtenCas.get(name);
      this.#writtenCas.set(name, caPem);
      return changed || (caPath !== undefined && before !== undefined && before !== caPem);
    }
    await this.#writeNode(cluster, pairPath, file);
    return false;
  }

  async #writeNode(cluster: ClusterAccess, pairPath: string, file: string): Promise<void> {
    const { kubeconfigs, log, options } = this.#context;
    const reading = this.#node;
    const needs = [...kubeconfigNeeds(reading, cluster, pairPath), ...this.#formNeeds(reading)];
    if (!options.manageKubeconfig) this.#leaveToRoot(needs);
    else if (needs.length > 0) {
      if (isUnsafe(reading) && this.said.isNews(reading.error.message, ''))
        log.log('warn', 'The kubeconfig is not believed and is written anew', { why: reading.error.message });
      const changed = await kubeconfigs.writeNode(cluster, pairPath);
      if (changed) log.log('info', 'Wrote the kubeconfig', { file, server: cluster.server });
      await this.reload();
    }
  }

  /** Where the settings keep the CA in a file of its own, the kubeconfig names that. */
  #placed(cluster: ClusterAccess): ClusterAccess {
    const { caFile } = this.#context.options;
    return caFile === undefined || cluster.caPem === undefined ? cluster : { ...cluster, caPath: caFile };
  }

  #formNeeds(reading: KubeconfigReading): readonly string[] {
    const { caFile } = this.#context.options;
    if (caFile === undefined || reading.kind !== 'usable' || reading.config.cluster.caPem === undefined) return [];
    return reading.config.cluster.caPath === caFile ? [] : [`its CA is not in ${caFile}`];
  }

  /** Each need is told once, and again when it has become another. */
  #leaveToRoot(needs: readonly string[]): void {
    const before = this.#need?.reason;
    const reason = needs.join('; ');
    const { kubeconfigPath: path, kubeconfigCommand: command } = this.#context.options;
    this.#need = reason === '' ? undefined : { path, reason, command };
    if (this.#need !== undefined && before !== reason) this.#tellRoot(this.#need);
  }

  #tellRoot({ path: file, reason: why, command: remedy }: KubeconfigNeed): void {
    const { log } = this.#context;
    log.log('warn', 'The kubeconfig has to be written anew, which is left to root', { file, why, remedy });
  }
}

/** `certlet join --seal` leaves a link to where certlet-unseal.service opens what is sealed. */
const unopened = (link: { readonly path: string; readonly linksTo: string }, reason: string): CertletError =>
  new CertletError(
    'ERR_CREDENTIAL_MISSING',
    `the bootstrap kubeconfig ${link.path} is a link to ${link.linksTo}, where nothing is, and ${reason}`,
    {
      remedy: `systemctl restart certlet-unseal.service   # opens what certlet join --seal has sealed; where that fails, or the token is too old: certlet join --seal with a fresh one`,
    },
  );

const sameCluster = (left: ClusterAccess, right: ClusterAccess): boolean =>
  clusterDifferences(left, right).length === 0;
