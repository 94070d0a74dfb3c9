import { asCertletError, CertletError, isCertletError } from '../../errors.ts';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { type CertificateTemplate, templateDigest } from '../../csr/template.ts';
import type { RotationContext } from '../context.ts';
import { isRefusal } from './failure.ts';
import type { ManagerState } from '../manager-state.ts';
import { endsRequest } from './request.ts';

/**
 * What a failed attempt means for its request: after a terminal outcome the record goes, and a refusal is kept, so that a restart does not ask
 * again at once. Returns what to throw; throws what the store throws, with the record still there.
 */
export async function endAttempt(context: RotationContext, state: ManagerState, thrown: unknown): Promise<unknown> {
  const { store, log, clock } = context;
  const { spec, pending: record } = state;
  const error = usagesTriedTwice(asCertletError(thrown), record, spec);
  if (record === undefined || !endsRequest(error, record)) return thrown;
  const { purpose } = record;
  let next: RequestHistory = state.history;
  if (error.code === 'ERR_CSR_USAGES') {
    const keyEncipherment = !spec.usages.includes('key encipherment');
    log.log('info', 'The signer wants the other set of usages; asking once more', { purpose, keyEncipherment });
    const { lastRequestAt: _spacing, ...history } = state.history;
    next = { ...history, keyEncipherment };
  } else if (error.code === 'ERR_CSR_FAILED' && isCertletError(error.cause, 'ERR_CSR_USAGES')) {
    // Neither set is taken today: after the hours of a refusal both are tried again, since signers are upgraded.
    const { keyEncipherment: _switched, renewWantedAt: _wish, ...history } = state.history;
    const refused = { ...record, templateDigest: templateDigest(byDefault(record, spec)) };
    next = { ...history, refusal: refusalOf(refused, error, { state, at: clock.now() }) };
  } else if (isRefusal(error)) {
    // What an administrator asked for stays asked for, unless the cluster has said no.
    const { renewWantedAt: _wish, ...history } = state.history;
    next = { ...history, refusal: refusalOf(record, error, { state, at: clock.now() }) };
  }
  await state.rewriteHistory(store, next);
  await store.removePending(purpose);
  state.pending = undefined;
  return error;
}

/** The template of a request as its spec alone would have it. */
const byDefault = ({ template }: PendingRequest, { usages }: CertificateSpec): CertificateTemplate => ({
  ...template,
  usages,
});

/** A signer that wants neither set is a failure like any other. Told by what was asked: the history may have been switched before a crash. */
function usagesTriedTwice(
  error: CertletError,
  record: PendingRequest | undefined,
  { usages, usagesNegotiable }: CertificateSpec,
): CertletError {
  const asked = record?.template.usages.includes('key encipherment');
  const asByDefault = asked === usages.includes('key encipherment');
  if (error.code !== 'ERR_CSR_USAGES' || (asByDefault && usagesNegotiable)) return error;
  return new CertletError('ERR_CSR_FAILED', error.message, { cause: error });
}

function refusalOf(
  record: PendingRequest,
  error: CertletError,
  past: { readonly state: ManagerState; readonly at: Date },
): NonNullable<RequestHistory['refusal']> {
  const count = (past.state.history.refusal?.count ?? 0) + 1;
  const { templateDigest: refused, askerDigest } = record;
  const asker = askerDigest === undefined ? {} : { askerDigest };
  return { code: error.code, message: error.message, at: past.at, count, templateDigest: refused, ...asker };
}
