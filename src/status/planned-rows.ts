import type { PlannedRestartStatus } from './planned.ts';
import { adviceRows, type Row } from './rows.ts';
import { relativeText } from './times.ts';

/** Ends the wait. */
const NOW = 'certlet renew --restart-now   # at once, whatever the hour';

/** What ends the wait stands beside it. */
export function plannedRows(
  { kubeletRestart }: { readonly kubeletRestart?: PlannedRestartStatus },
  now: Date,
): readonly Row[] {
  if (kubeletRestart === undefined) return [];
  const { at, by } = kubeletRestart;
  const why = by === 'window' ? 'in its window' : 'before its window, since what it uses ends';
  return [['kubelet restart', `${relativeText(new Date(at), now)}, ${why}`], ...adviceRows(NOW)];
}
