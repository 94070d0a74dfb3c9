/** When restarts of the kubelet may happen, as the settings say. */
export interface RestartWindow {
  /** Five fields as in crontab(5). */
  readonly start: string;
  /** From its start on, by elapsed time: a clock that is set for summer makes it neither longer nor shorter. */
  readonly lengthMs: number;
  /** Of the IANA database; undefined for that of the host. */
  readonly timeZone?: string;
}

/** Tells windows apart: what was planned for another one is planned anew. */
export const windowText = ({ start, lengthMs, timeZone = '' }: RestartWindow): string =>
  `${start} ${String(lengthMs)} ${timeZone}`;

/** The first start of a window after a moment; undefined where there is none any more. */
export type NextStart = (after: Date) => Date | undefined;

/** The dates of the pair that the kubelet goes on using until it is restarted. */
export interface PairInUse {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Nobody trusts it anyway. */
  readonly selfSigned: boolean;
}

/** When a restart that is wanted happens. */
export type RestartMoment =
  | { readonly kind: 'now' }
  /** `window`: in its window; `end`: before one, since the pair in use ends too early. */
  | { readonly kind: 'later'; readonly at: Date; readonly by: 'window' | 'end' };

/** A short-lived pair needs the minutes in which a restart that fails is noticed and mended. */
const LEAST_MARGIN_MS = 10 * 60_000;
const MARGIN_SHARE = 0.1;

/** No restart may be later than this: a tenth of the pair's lifetime before its end, and ten minutes at least. */
export function latestRestart({ notBefore, notAfter }: PairInUse): Date {
  const marginMs = Math.max(LEAST_MARGIN_MS, (notAfter.getTime() - notBefore.getTime()) * MARGIN_SHARE);
  return new Date(notAfter.getTime() - marginMs);
}

/**
 * When to restart. `roll` in [0, 1) spreads the nodes of a site over the window; of a window that is open, over what is left of it. Without a pair that is
 * good (none, self-signed, about to end) there is nothing to wait for.
 */
export function restartMoment(
  question: { readonly now: Date; readonly inUse: PairInUse | undefined; readonly roll: number },
  window: Pick<RestartWindow, 'lengthMs'>,
  next: NextStart,
): RestartMoment {
  const { now, inUse, roll } = question;
  if (inUse === undefined || inUse.selfSigned) return { kind: 'now' };
  const latest = latestRestart(inUse);
  if (latest <= now) return { kind: 'now' };
  const at = momentInWindow(now, roll, window, next);
  if (at === undefined || at > latest) return { kind: 'later', at: latest, by: 'end' };
  return at <= now ? { kind: 'now' } : { kind: 'later', at, by: 'window' };
}

/** Whether a window is open at this moment. */
export function isOpen(now: Date, { lengthMs }: Pick<RestartWindow, 'lengthMs'>, next: NextStart): boolean {
  const start = next(new Date(now.getTime() - lengthMs));
  return start !== undefined && start <= now;
}

function momentInWindow(
  now: Date,
  roll: number,
  { lengthMs }: Pick<RestartWindow, 'lengthMs'>,
  next: NextStart,
): Date | undefined {
  // The first start that is later than this belongs to a window which is open now, or to the next one.
  const first = next(new Date(now.getTime() - lengthMs));
  if (first === undefined) return undefined;
  const start = first > now ? first : latestStart(first, now, next);
  const beginsMs = Math.max(start.getTime(), now.getTime());
  const leftMs = start.getTime() + lengthMs - beginsMs;
  return new Date(beginsMs + Math.floor(leftMs * roll));
}

/** No two starts are nearer to each other. */
const LEAST_GAP_MS = 60_000;

/**
 * Of windows that overlap the one which opened last: of the first hardly anything may be left, and all nodes of a site would share that. By halving, since
 * there may be one each minute of a year.
 */
function latestStart(first: Date, now: Date, next: NextStart): Date {
  let [start, noneAfterMs] = [first, now.getTime()];
  while (noneAfterMs - start.getTime() >= LEAST_GAP_MS) {
    const middleMs = Math.floor((start.getTime() + noneAfterMs) / 2);
    const later = next(new Date(middleMs));
    if (later !== undefined && later <= now) start = later;
    else noneAfterMs = middleMs;
  }
  return start;
}
