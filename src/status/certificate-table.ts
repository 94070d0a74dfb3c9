import type { Phase } from '../rotation/snapshot.ts';
import type { CertificateStatus } from './document.ts';
import { type Paint, STATE_COLOURS } from './paint.ts';
import { type Cell, type Column, tableLines } from './table.ts';
import { spanText } from '../timestamp.ts';
import { certificateVerdict } from './verdict.ts';

/** A line for each certificate: what is held, when it ends, what comes next and what that waits for. */
export function certificateTable(
  certificates: readonly CertificateStatus[],
  { now, paint, columns }: { readonly now: Date; readonly paint: Paint; readonly columns: number | undefined },
): readonly string[] {
  const column = (title: string, cell: (status: CertificateStatus) => Cell, dispensable?: number): Column => ({
    title,
    cells: certificates.map(cell),
    ...(dispensable === undefined ? {} : { dispensable }),
  });
  const table = [
    column('CERTIFICATE', ({ purpose }) => ({ text: purpose })),
    column('STATE', (status) => stateCell(status, now)),
    column(
      'EXPIRES',
      ({ certificate, placeholder }) => ({ text: (!placeholder && certificate?.notAfter) || NOTHING }),
      2,
    ),
    column('LEFT', (status) => ({ text: leftText(status, now) })),
    column('NEXT', (status) => ({ text: nextText(status, now) }), 1),
    column('WAITS FOR', ({ phase }) => ({ text: WAITS_FOR[phase] })),
  ];
  return tableLines(table, { paint, columns });
}

const NOTHING = '-';

/** What is in the kubelet's hands, and nothing of what goes on: an expired certificate is never `valid` in another column. */
function stateCell(status: CertificateStatus, now: Date): Cell {
  const { certificate, placeholder } = status;
  const { state } = certificateVerdict(status, now);
  if (placeholder) return { text: 'self-signed', colour: STATE_COLOURS.waiting };
  if (certificate === undefined) return { text: 'not issued', colour: STATE_COLOURS.waiting };
  if (state === 'expired') return { text: 'EXPIRED', colour: STATE_COLOURS.expired };
  if (state === 'expiring') return { text: 'expiring', colour: STATE_COLOURS.expiring };
  return { text: 'valid', colour: STATE_COLOURS.healthy };
}

function leftText({ certificate, placeholder }: CertificateStatus, now: Date): string {
  if (certificate === undefined || placeholder) return NOTHING;
  const leftMs = Date.parse(certificate.notAfter) - now.getTime();
  return leftMs < 0 ? `${spanText(leftMs)} ago` : spanText(leftMs);
}

/** When the daemon acts by itself. */
function nextText({ phase, nextAttempt, rotationDeadline }: CertificateStatus, now: Date): string {
  const next = nextAttempt ?? (phase === 'valid' ? rotationDeadline : undefined);
  if (next === undefined) return NOTHING;
  const date = new Date(next);
  return date <= now ? 'now' : spanText(date.getTime() - now.getTime());
}

const WAITS_FOR: Readonly<Record<Phase, string>> = {
  starting: 'the first look',
  valid: NOTHING,
  requesting: 'the API server',
  'waiting for approval': 'approval',
  'waiting for issuance': 'the signer',
  proving: 'its proof',
  installing: 'the disk',
  'waiting to request': 'its turn',
  'waiting to retry': 'the next try',
  'waiting for the client certificate': 'the client certificate',
  'waiting for the clock': 'the clock',
  'waiting for the cloud provider': 'the cloud provider',
  held: 'a decision',
  'not managed': 'a daemon',
};
