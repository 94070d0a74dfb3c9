import type { Gain, PendingRequest, RequestHistory } from '../../csr/pending.ts';
import type { CertificateTemplate } from '../../csr/template.ts';

/** An address that comes and goes leads to one request in this time. */
export const GAIN_SPACING_MS = 86_400_000;
/** So many are remembered at most, the newest: a Node whose addresses never stay the same must not fill the disk. */
const MOST_GAINS = 256;
/** So many refused templates are remembered besides the last one. */
const MOST_EARLIER = 16;

type NamesOf = Pick<CertificateTemplate, 'dnsNames' | 'ipAddresses'>;

const namesOf = ({ dnsNames, ipAddresses }: NamesOf): readonly string[] => [
  ...dnsNames.map((name) => name.toLowerCase()),
  ...ipAddresses,
];

/** What `wanted` has and a certificate or an earlier request has not, but for what the settings name. Without one nothing is gained: all of it is asked for. */
export function gainedNames(before: NamesOf | undefined, wanted: NamesOf, given: readonly string[]): readonly string[] {
  if (before === undefined) return [];
  const had = new Set([...namesOf(before), ...given]);
  return namesOf(wanted).filter((name) => !had.has(name));
}

/** The past once these names have been asked for at `at`. What is older than a day is forgotten, and what a clock that was ahead has noted. */
export function withGains(history: RequestHistory, names: readonly string[], at: Date): RequestHistory {
  const { gains: before = [], ...rest } = history;
  const kept = before.filter((gain) => isRecent(gain, at) && !names.includes(gain.name));
  const gains = [...kept, ...names.map((name) => ({ name, at }))].slice(-MOST_GAINS);
  return gains.length === 0 ? rest : { ...rest, gains };
}

/** The past with what the node has no more, by what it has now. The same object where nothing has gone. */
export function withGone(history: RequestHistory, has: NamesOf): RequestHistory {
  const present = namesOf(has);
  const { gains = [] } = history;
  const goes = ({ name, gone }: Gain): boolean => gone !== true && !present.includes(name);
  if (!gains.some(goes)) return history;
  return { ...history, gains: gains.map((gain) => (goes(gain) ? { ...gain, gone: true } : gain)) };
}

/** The past with a request that was made: when, and for which names that the certificate in use lacked. The wait for the cloud provider is over. */
export function withRequest(
  history: RequestHistory,
  request: Pick<PendingRequest, 'createdAt' | 'gained'> & { readonly template: NamesOf },
): RequestHistory {
  const { cloudAwaitedSince: _over, ...past } = history;
  const { createdAt, gained = [], template } = request;
  return withGone(withGains({ ...past, lastRequestAt: createdAt }, gained, createdAt), template);
}

/** Names that a request was made for within the last day, which have gone and come back since: they wait for that day to be over. */
export interface HeldBack {
  readonly names: readonly string[];
  /** When the first of them may be asked for again. */
  readonly until: Date;
}

/** Which of the names that a certificate or request lacks are not asked for now; undefined when none is. */
export function heldBack(
  gains: readonly Gain[] | undefined,
  lacking: readonly string[],
  now: Date,
): HeldBack | undefined {
  const held = (gains ?? []).filter((gain) => gain.gone === true && lacking.includes(gain.name) && isRecent(gain, now));
  if (held.length === 0) return undefined;
  const until = Math.min(...held.map(({ at }) => at.getTime())) + GAIN_SPACING_MS;
  return { names: held.map(({ name }) => name), until: new Date(until) };
}

/** The same template without these names. */
export function withoutNames(template: CertificateTemplate, names: readonly string[]): CertificateTemplate {
  if (names.length === 0) return template;
  const stays = (name: string): boolean => !names.includes(name);
  return {
    ...template,
    dnsNames: template.dnsNames.filter(stays),
    ipAddresses: template.ipAddresses.filter(stays),
  };
}

type Refusal = NonNullable<RequestHistory['refusal']>;

/** The templates that were refused within a day before `at`, besides the one that is refused now. */
export function earlierRefused(before: Refusal | undefined, refused: string, at: Date): Pick<Refusal, 'earlier'> {
  if (before === undefined) return {};
  const all = [...(before.earlier ?? []), { templateDigest: before.templateDigest, at: before.at }];
  const earlier = all.filter((each) => each.templateDigest !== refused && isRecent(each, at)).slice(-MOST_EARLIER);
  return earlier.length === 0 ? {} : { earlier };
}

/**
 * Whether another template than the last refused one may be asked for at once: not one that was refused within the last day, which an address that
 * comes and goes brings up again and again.
 */
export const isNewTemplate = (refusal: Refusal, digest: string, now: Date): boolean =>
  digest !== refusal.templateDigest &&
  !(refusal.earlier ?? []).some((each) => each.templateDigest === digest && isRecent(each, now));

const isRecent = ({ at }: { readonly at: Date }, now: Date): boolean =>
  at <= now && now.getTime() - at.getTime() < GAIN_SPACING_MS;
