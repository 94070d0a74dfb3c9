import { Cron } from 'croner';
import type { NextStart, RestartWindow } from '../kubelet/restart-window.ts';

/**
 * The starts of a window. A start that the clock leaves out when it is set for summer is at the first moment after the gap, one that it repeats counts
 * once. Throws a `TypeError` for what is no expression; the settings have seen to it that it is one.
 */
export function windowStarts({ start, timeZone }: Pick<RestartWindow, 'start' | 'timeZone'>): NextStart {
  const [, , day = '', , weekday = ''] = start.split(' ');
  // crontab(5): either of them is enough only where neither contains a *; "1-7" with "*/7" is the first Sunday of a month.
  const domAndDow = day.includes('*') || weekday.includes('*');
  const cron = new Cron(start, { paused: true, domAndDow, ...(timeZone === undefined ? {} : { timezone: timeZone }) });
  return (after) => cron.nextRun(after) ?? undefined;
}
