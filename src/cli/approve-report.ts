import type { Judgement } from '../approve/judge.ts';
import { isCertletError } from '../errors.ts';
import { spanText } from '../timestamp.ts';

/** One request as the answer tells it. */
export interface RequestRow {
  readonly name: string;
  readonly createdAt: Date;
  readonly requester: string;
  readonly node?: string;
  readonly signerName: string;
  /** Names and addresses that it asks for. */
  readonly names: readonly string[];
  readonly verdict: 'approve' | 'refuse' | 'wait';
  readonly reasons: readonly { readonly rule: string; readonly reason: string }[];
  /** What was done about it; absent where nothing was. */
  readonly done?:
    | 'approved'
    | 'denied'
    | 'approved by others'
    | 'denied by others'
    | 'failed'
    | 'gone'
    | 'left pending';
  /** The rules that were overridden by `--force`. */
  readonly overridden?: readonly string[];
}

/** A judgement as a row. */
export function requestRow({ request, policy, decision }: Judgement): RequestRow {
  const { content } = request;
  const names = isCertletError(content) ? [] : [...content.dnsNames, ...content.ipAddresses, ...content.otherNames];
  return {
    name: request.name,
    createdAt: request.createdAt,
    requester: request.username,
    ...(policy.nodeName === undefined ? {} : { node: policy.nodeName }),
    signerName: request.signerName,
    names,
    verdict: decision.verdict,
    reasons: decision.failures.map(({ rule, reason }) => ({ rule, reason })),
  };
}

const HEADINGS = ['NAME', 'AGE', 'REQUESTER', 'NODE', 'ASKS FOR', 'VERDICT'] as const;
/** A stranger's texts must not push the others off the screen. */
const WIDEST = 48;

/** The table, with the reasons below each row that has some. Ends in a newline. */
export function requestTable(rows: readonly RequestRow[], now: Date): string {
  const cells = rows.map((row) => [
    row.name,
    spanText(now.getTime() - row.createdAt.getTime()),
    row.requester,
    row.node ?? '-',
    row.names.join(', ') || '-',
    row.verdict,
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => Math.min(WIDEST, (line[column] ?? '').length))),
  );
  const lineOf = (texts: readonly string[]): string =>
    texts
      .map((text, column) => cut(plain(text)).padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const lines = rows.flatMap((row, index) => [
    lineOf(cells[index] ?? []),
    ...row.reasons.map(({ rule, reason }) => `    ${rule}: ${plain(reason)}`),
  ]);
  return `${[lineOf(HEADINGS), ...lines].join('\n')}\n`;
}

const plain = (text: string): string => text.replaceAll(/\s/g, ' ');
const cut = (text: string): string => (text.length <= WIDEST ? text : `${text.slice(0, WIDEST - 1)}…`);
