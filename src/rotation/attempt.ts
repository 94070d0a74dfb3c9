import { timestamp } from '../timestamp.ts';
import { isCertletError } from '../errors.ts';
import type { CertificateFacts, CertificatePair } from '../pki/certificate.ts';
import type { PendingRequest } from '../csr/pending.ts';
import type { RequestOutcome } from '../csr/outcome.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import { ApprovalReminder } from './request/approval.ts';
import { type RotationContext, judgedNow } from './rotation-context.ts';
import type { Asker } from './node/node-identity.ts';
import { dueThing, endingOf, sayRequestWorks } from './request/failure.ts';
import { checkIssued, issuedFingerprint, checkStaged } from './request/received.ts';
import type { CertificateState } from './manager-state.ts';
import type { CertificateRules } from './certificate-rules.ts';
import type { NameGuard } from './name-guard.ts';
import { explainTls } from './proof/explain-tls.ts';
import { judgeProof, proveClientPair, proveServingPair } from './proof/proof.ts';
import { withGains } from './rules/gains.ts';
import { createPending, obtain, pendingMisfits, requireSigner } from './request/request.ts';
import type { Phase } from './snapshot.ts';

interface Staged {
  readonly pair: CertificatePair;
  readonly cluster: ClusterAccess;
  readonly signal: AbortSignal;
}

/** One attempt: resume or make the request, wait for it, check and prove what came, make it current. */
export class Attempt {
  readonly #context: RotationContext;
  readonly #rules: CertificateRules;
  readonly #state: CertificateState;
  readonly #names: NameGuard;

  constructor(
    context: RotationContext,
    rules: CertificateRules,
    { state, names }: { readonly state: CertificateState; readonly names: NameGuard },
  ) {
    this.#context = context;
    this.#rules = rules;
    this.#state = state;
    this.#names = names;
  }

  /**
   * Resolves when a new pair is current, or when a closer look found no reason for one. `reasons` tells why a new request is needed, as far as is
   * known at the moment. Throws `CertletError`; the pending record is kept unless the error ends the request.
   */
  async run(reasons: () => readonly string[], signal: AbortSignal): Promise<void> {
    let cluster: ClusterAccess | undefined;
    try {
      await this.#dropMisfit();
      await this.#dropFinished(reasons);
      const staged = this.#state.pending?.issuedPem === undefined ? undefined : this.#state.pending;
      await checkStaged(this.#context, this.#rules, staged, { signal, meeting: (at) => void (cluster = at) });
      await this.#rules.prepare(this.#state.pending === undefined ? 'new request' : 'pending request', signal);
      cluster = staged === undefined ? this.#rules.asker().cluster : this.#rules.stagedCluster();
      const issued = staged ?? (await this.#request(reasons, signal));
      if (issued === undefined) return;
      const pair = this.#check(issued);
      await this.#prove({ pair, cluster, signal });
      await this.#install(issued, { pair, cluster, signal });
    } catch (error) {
      if (signal.aborted) throw await this.#end(signal.reason);
      const told =
        cluster !== undefined && isCertletError(error) ? explainTls(this.#context, cluster, error, signal) : error;
      throw await this.#end(await told);
    }
  }

  async #dropMisfit(): Promise<void> {
    const { options, log } = this.#context;
    const record = this.#state.pending;
    const why = record === undefined ? [] : pendingMisfits(record, options);
    if (record === undefined || why.length === 0) return;
    const { purpose, name: csr } = record;
    log.log('warn', 'Dropping a pending request that is not for this node', { purpose, csr, why });
    await this.#state.dropPending();
  }

  /** What a failed attempt means for its request: after a terminal outcome the record goes. Returns what to throw; throws what the store throws. */
  async #end(thrown: unknown): Promise<unknown> {
    const { clock, log } = this.#context;
    const { spec, history, pending, failures } = this.#state;
    const ending = endingOf(thrown, pending, { spec, history, failures: failures.past, at: clock.now() });
    if (ending === undefined) return thrown;
    const { error, keyEncipherment } = ending;
    if (keyEncipherment !== undefined)
      log.log('info', 'The signer wants the other set of usages; asking once more', {
        purpose: spec.name,
        keyEncipherment,
      });
    // The request that takes its place is made for what this one lacks.
    const gained = error.code === 'ERR_CSR_SUPERSEDED' ? this.#rules.gained(pending?.template) : [];
    await this.#state.endRequest(gained.length === 0 ? ending.history : withGains(ending.history, gained, clock.now()));
    return error;
  }

  /**
   * A record whose pair is current already only waits for what comes after the swap. That must not outlive the certificate: once there is a
   * reason for the next one, the record goes.
   */
  async #dropFinished(reasons: () => readonly string[]): Promise<void> {
    const record = this.#state.pending;
    const current = this.#state.current?.chain.leaf.fingerprint;
    if (record?.issuedPem === undefined || current === undefined || reasons().length === 0) return;
    if (issuedFingerprint(record) === current) await this.#state.dropPending();
  }

  /** From who asks to the issued chain; undefined when the first contact has shown that nothing needs to be asked. */
  async #request(reasons: () => readonly string[], signal: AbortSignal): Promise<PendingRequest | undefined> {
    this.#enter('requesting', `asking as ${this.#rules.asker().api.identity.label}`);
    const record = this.#state.pending ?? (await this.#asking((asker) => this.#createIfNeeded(asker, reasons, signal)));
    // Who asks may be another one, now that the clock has been compared with the server's.
    return record === undefined ? undefined : this.#obtain(record, signal);
  }

  /**
   * Asks as whoever is to ask now, and where another pair has taken the asker's place meanwhile (a wait for an approval may outlast many), again
   * as the one in use.
   */
  async #asking<T>(work: (asker: Asker) => Promise<T>): Promise<T> {
    for (;;) {
      const asker = this.#rules.asker();
      try {
        return await work(asker);
      } catch (error) {
        if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) this.#rules.refused(asker);
        if (!isCertletError(error, 'ERR_API_DROPPED')) throw error;
      }
    }
  }

  /** The server is met before anything is asked: its date may show that only this host's clock wants a new certificate. */
  async #createIfNeeded(
    asker: Asker,
    reasons: () => readonly string[],
    signal: AbortSignal,
  ): Promise<PendingRequest | undefined> {
    const { connections, dateSample, log } = this.#context;
    const leaf = this.#state.current?.chain.leaf;
    if (dateSample === undefined && leaf?.selfSigned === false) connections.forgetVersion(asker.cluster);
    const version = await connections.csrVersion(asker.cluster, asker.api, signal);
    const why = reasons();
    if (why.length > 0) {
      if (await this.#names.postpones()) return undefined;
      await requireSigner(this.#context, asker, this.#state.spec, { version, signal });
      return this.#create(why);
    }
    log.log('info', 'No new certificate is needed after all', { purpose: this.#state.spec.name });
    return undefined;
  }

  async #create(reasons: readonly string[]): Promise<PendingRequest> {
    const { clock, log, troubles } = this.#context;
    const { spec } = this.#state;
    const due = { code: 'due', message: reasons.join() };
    const level = troubles.levelOf(dueThing(spec.name), due, { at: clock.now(), loud: 'info', echo: true });
    log.log(level, 'Rotating certificates', { purpose: spec.name, reasons });
    const template = this.#rules.template(this.#state.history.keyEncipherment);
    const { current } = this.#state;
    const gained = this.#rules.gained(current?.chain.leaf.selfSigned === false ? current.chain.leaf : undefined);
    const record = await createPending(this.#context, spec, { template, gained });
    this.#state.requested(record);
    return record;
  }

  async #obtain(record: PendingRequest, signal: AbortSignal): Promise<PendingRequest> {
    const about = { spec: this.#state.spec, record };
    const reminder = new ApprovalReminder(this.#context, () => this.#rules.asker(), about);
    try {
      const issued = await this.#asking(async (asker) => {
        const done = await obtain(this.#context, asker, this.#state.pending ?? record, {
          signal,
          recorded: (next) => this.#state.recorded(next),
          seen: (_csr, outcome) => this.#seen(outcome, reminder),
        });
        this.#rules.accepted(asker);
        return done;
      });
      this.#context.log.log('info', 'Certificate signing request is issued', {
        purpose: record.purpose,
        csr: record.name,
      });
      return issued;
    } finally {
      await reminder.stop();
    }
  }

  #seen(outcome: RequestOutcome, reminder: ApprovalReminder): void {
    if (outcome.kind !== 'pending') return;
    if (this.#state.seen(outcome.approved)) sayRequestWorks(this.#context, this.#state.spec.name);
    if (outcome.approved) {
      this.#enter(
        'waiting for issuance',
        `the request is approved, waiting for ${this.#state.spec.signerName} to issue it`,
      );
      reminder.approved();
    } else {
      this.#enter('waiting for approval', 'the request waits for approval');
      reminder.start();
    }
  }

  #check(issued: PendingRequest): CertificatePair {
    const pair = checkIssued(issued, judgedNow(this.#context));
    const wanted = issued.template.expirationSeconds;
    const { notBefore, notAfter, endsWith, serial } = pair.chain.leaf;
    const { purpose } = issued;
    if (endsWith !== undefined) {
      this.#context.log.log('warn', 'The chain of the certificate ends before the certificate itself', {
        purpose,
        serial,
        intermediate: endsWith,
        expires: notAfter,
        remedy: "# Renew that CA certificate at the signer: kube-controller-manager's --cluster-signing-cert-file.",
      });
    }
    const got = (notAfter.getTime() - notBefore.getTime()) / 1000;
    if (wanted !== undefined && got > wanted + 600) {
      this.#context.log.log('warn', 'The signer did not honour expirationSeconds', {
        purpose,
        asked: wanted,
        got: Math.round(got),
      });
    }
    return pair;
  }

  /** The last check of a staged pair. Throws what speaks against it, and what is no answer. */
  async #prove({ pair, cluster, signal }: Staged): Promise<void> {
    const { proof } = this.#state.spec;
    if (proof === 'none') return;
    const before = proof === 'handshake' ? 'a client of its own' : 'the API server';
    this.#enter('proving', `showing the new certificate to ${before}`);
    if (proof === 'handshake') await proveServingPair(this.#context, pair, signal);
    else await this.#proveToServer({ pair, cluster, signal });
  }

  async #proveToServer({ pair, cluster, signal }: Staged): Promise<void> {
    const { clock, options } = this.#context;
    const refusal = await proveClientPair(this.#context, cluster, pair, signal);
    const { refusedAt, error } = judgeProof(pair, refusal, {
      now: clock.now(),
      before: this.#state.pending?.refusedAt,
      giveUpAfterMs: options.proofRetryMs,
    });
    await this.#state.noteProofRefused(refusedAt);
    if (error !== undefined) throw error;
  }

  /** From the swap on. The record goes last: a crash in between resumes here, and every step may be done twice. */
  async #install(issued: PendingRequest, staged: Staged): Promise<void> {
    const { store, clock, log } = this.#context;
    const { name: purpose } = this.#state.spec;
    this.#enter('installing', 'writing the pair');
    const now = clock.now();
    const { leaf } = staged.pair.chain;
    const old = this.#state.current?.chain.leaf;
    const replaced = old?.selfSigned !== false || old.fingerprint === leaf.fingerprint ? undefined : old;
    const { path, problem } = await this.#state.inTurn(async () => {
      if (this.#state.hold !== undefined) throw this.#state.hold;
      const installed = await store.install(purpose, staged.pair, now);
      this.#state.swapped(staged.pair);
      log.log('info', 'Certificate is current', {
        purpose,
        file: installed,
        serial: leaf.serial,
        expires: leaf.notAfter,
      });
      // What a kubelet starts by goes before what only certlet keeps in mind: a full disk may have room for the first alone.
      await this.#rules.installed(staged.pair, staged.cluster, staged.signal);
      return {
        path: installed,
        problem: await this.#state.received(staged.pair, { ...issued, receivedAt: issued.receivedAt ?? now }, now),
      };
    });
    if (this.#state.toldFor !== leaf.fingerprint) {
      await this.#tellHost(path, replaced, staged.signal);
      this.#state.hostTold(leaf.fingerprint);
    }
    // The record stays, so that the note is made up for.
    if (problem !== undefined) throw problem;
    await this.#state.dropPending();
    this.#state.succeeded(now);
    this.#tellObserver(leaf, replaced);
  }

  async #tellHost(pairPath: string, replaced: CertificateFacts | undefined, signal: AbortSignal): Promise<void> {
    const { after, store, options } = this.#context;
    const { kubeletVersion } = this.#rules;
    const { name: purpose, after: wanted, kubeconfig: kubeconfigPath = options.kubeconfigPath } = this.#state.spec;
    const currentPath = store.currentPath(purpose);
    const event = { purpose, after: wanted, currentPath, pairPath, kubeconfigPath, kubeletVersion };
    await after.rotated({ ...event, ...(replaced === undefined ? {} : { replaced }) }, signal);
  }

  #tellObserver(leaf: CertificateFacts, replaced: CertificateFacts | undefined): void {
    const at = this.#context.clock.now();
    const { name: purpose } = this.#state.spec;
    const age = replaced && Math.round((at.getTime() - replaced.notBefore.getTime()) / 1000);
    this.#context.observer.observe({
      kind: 'rotated',
      purpose,
      at,
      text: `${purpose} certificate ${leaf.serial} is current until ${timestamp(leaf.notAfter)}`,
      ...(age === undefined ? {} : { replacedAgeSeconds: age }),
    });
  }

  #enter(phase: Phase, reason: string): void {
    this.#state.enter(phase, reason);
    this.#context.changed?.();
  }
}
