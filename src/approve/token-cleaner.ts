import { asCertletError, isCertletError } from '../errors.ts';
import { complaintFields } from './complaint.ts';
import type { Logger } from '../ports.ts';
import { decodeToken, secretName, TOKENS_NAMESPACE } from '../token/bootstrap-token-object.ts';
import { nodeOf, policyOf } from './policy.ts';
import type { ClusterApi } from './ports.ts';
import type { SigningRequest } from './request.ts';
import type { ApproveSettings } from './settings.ts';

const BOOTSTRAP_USER = /^system:bootstrap:([a-z0-9]{6})$/;
const GIVE_UP_MS = 10_000;

/**
 * Deletes tokens that were made with `--once`: not before a request that their node has made as itself was seen after the token's own was
 * approved, since until then the node still fetches its certificate with the token.
 */
export class TokenCleaner {
  readonly #api: ClusterApi;
  readonly #settings: ApproveSettings;
  readonly #log: Logger;
  /** Nodes that were given a certificate by a token, and when. */
  readonly #used = new Map<string, { readonly id: string; readonly approvedAt: Date }>();

  constructor(api: ClusterApi, settings: ApproveSettings, log: Logger) {
    this.#api = api;
    this.#settings = settings;
    this.#log = log;
  }

  /** Takes every request that is seen. Never throws and never waits. */
  seen(request: SigningRequest): void {
    if (!this.#settings.deleteTokens) return;
    const id = BOOTSTRAP_USER.exec(request.username)?.[1];
    const nodeName = policyOf(request, this.#settings)?.nodeName;
    if (id !== undefined && nodeName !== undefined && request.approvedAt !== undefined)
      this.#used.set(nodeName, { id, approvedAt: request.approvedAt });
    const own = nodeOf(request.username) ?? '';
    const used = this.#used.get(own);
    if (used === undefined || request.createdAt < used.approvedAt) return;
    this.#used.delete(own);
    void this.#remove(used.id, own);
  }

  async #remove(id: string, node: string): Promise<void> {
    const path = `/api/v1/namespaces/${TOKENS_NAMESPACE}/secrets/${secretName(id)}`;
    const signal = AbortSignal.timeout(GIVE_UP_MS);
    try {
      const token = decodeToken(await this.#api.request('GET', path, undefined, signal));
      if (!token.once || token.nodeName !== node) return;
      await this.#api.request('DELETE', path, undefined, signal);
      this.#log.log('info', 'Deleted a bootstrap token that its node needs no more', { token: id, node });
    } catch (thrown) {
      if (isCertletError(thrown, 'ERR_API_NOT_FOUND')) return;
      const fields = { token: id, ...complaintFields(asCertletError(thrown)) };
      this.#log.log('warn', 'A used bootstrap token was not deleted; it ends by itself', fields);
    }
  }
}
