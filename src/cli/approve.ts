import type { Remedy } from '../remedy.ts';
import { adviceLines } from '../status/rows.ts';
import { act, foreignJudgement, type Outcome } from '../approve/act.ts';
import type { Judgement, JudgeParts } from '../approve/judge.ts';
import { judge } from '../approve/judge.ts';
import { type Finding, SERVICE_RANGE_REMEDY } from '../approve/reserved.ts';
import { decodeSigningRequest } from '../approve/request.ts';
import { survey } from '../approve/survey.ts';
import { asCertletError, CertletError, EXIT } from '../errors.ts';
import { type RequestRow, requestRow, requestTable } from './approve-report.ts';
import type { ApproveArguments } from './command.ts';
import type { Asker } from './question.ts';

export interface ApprovePorts {
  /** Words for a person. */
  readonly print: (text: string) => void;
  /** What is wrong and not worth ending for. */
  readonly complain: (text: string) => void;
  /** Called once, with every request that was looked at. */
  readonly answer: (rows: readonly RequestRow[]) => void;
  /** Undefined where nobody can be asked. */
  readonly ask: Asker | undefined;
}

type Arguments = Pick<ApproveArguments, 'names' | 'force' | 'yes' | 'dryRun'> & {
  /** What was typed, as it is typed where nobody can be asked. */
  readonly again: Remedy;
};

/**
 * Shows the pending requests, asks and approves those that pass, and those that were forced. Never denies. Resolves to the exit code. Throws
 * `ERR_USAGE` where nobody can be asked, and what the API server answers.
 */
export async function approveByHand(
  args: Arguments,
  parts: JudgeParts,
  ports: ApprovePorts,
  signal: AbortSignal,
): Promise<number> {
  const onBroken = (error: Error): void => ports.complain(error.message);
  const onFound = (finding: Finding): void => complainOf(finding, ports);
  const all = await survey(parts, { onBroken, onFound }, signal);
  const named = [...new Set([...args.names, ...args.force])];
  const chosen = named.length === 0 ? all : await pick(named, all, parts, signal);
  const rows = chosen.map((judgement) => rowFor(judgement, args));
  show(rows, parts, ports);
  const candidates = rows.filter((row) => row.verdict === 'approve' || row.overridden !== undefined);
  if (candidates.length === 0 || args.dryRun || !(await isWanted(candidates.length, args, ports))) {
    ports.answer(rows);
    return args.dryRun || (candidates.length === 0 && named.length === 0) ? EXIT.ok : EXIT.failed;
  }
  const uids = new Map(chosen.map(({ request }) => [request.name, request.uid]));
  const done: RequestRow[] = [];
  for (const row of rows) {
    const uid = candidates.includes(row) ? uids.get(row.name) : undefined;
    done.push(uid === undefined ? row : await carryOut(row, uid, { parts, ports, signal }));
  }
  ports.answer(done);
  return done.some((row) => isFailed(row, named)) ? EXIT.failed : EXIT.ok;
}

/** What was not found out lets requests pass that it would have stopped. */
function complainOf({ forbidden, broken, unknownRange }: Finding, { complain }: ApprovePorts): void {
  for (const { error } of forbidden) complain(error.message);
  for (const error of broken) complain(error.message);
  if (unknownRange !== undefined)
    complain(
      [
        `addresses of Services may pass: ${unknownRange}`,
        ...adviceLines(SERVICE_RANGE_REMEDY).map((line) => `  ${line}`),
      ].join('\n'),
    );
}

function show(rows: readonly RequestRow[], { now }: JudgeParts, { print }: ApprovePorts): void {
  if (rows.length === 0) print('Nothing to approve: no pending request that the settings are about.\n');
  else print(requestTable(rows, now()));
  for (const { name, overridden } of rows)
    if (overridden !== undefined) print(`${name}: --force overrides ${overridden.join(', ')}\n`);
}

/** What was to be approved and was not; what fails a rule counts where it was named. */
function isFailed({ name, done }: RequestRow, named: readonly string[]): boolean {
  return done === undefined ? named.includes(name) : !['approved', 'approved by others', 'gone'].includes(done);
}

function rowFor(judgement: Judgement, { force }: Arguments): RequestRow {
  const row = requestRow(judgement);
  if (!force.includes(row.name) || row.verdict === 'approve') return row;
  return { ...row, overridden: judgement.decision.failures.map(({ rule }) => rule) };
}

/** The named ones in the order given; what is not among the pending ones is looked up, so that it can be said why. */
async function pick(
  names: readonly string[],
  all: readonly Judgement[],
  parts: JudgeParts,
  signal: AbortSignal,
): Promise<readonly Judgement[]> {
  const chosen: Judgement[] = [];
  for (const name of names) {
    const found = all.find(({ request }) => request.name === name) ?? (await lookUp(name, parts, signal));
    chosen.push(found);
  }
  return chosen;
}

async function lookUp(name: string, parts: JudgeParts, signal: AbortSignal): Promise<Judgement> {
  const object = await parts.cluster.requestObject(name, signal);
  if (object === undefined) {
    throw new CertletError('ERR_API_NOT_FOUND', `there is no signing request ${name}`, {
      remedy: 'kubectl get csr   # requests that are decided go after an hour, pending ones after a day',
    });
  }
  const request = decodeSigningRequest(object);
  if (request.decided !== undefined)
    throw new CertletError('ERR_API_CONFLICT', `${name} is decided already: ${request.decided}`);
  return (await judge(request, parts, signal)) ?? foreignJudgement(request);
}

async function isWanted(count: number, { yes, again }: Arguments, { ask }: ApprovePorts): Promise<boolean> {
  if (yes) return true;
  if (ask === undefined)
    throw new CertletError('ERR_USAGE', 'not approved: nobody can be asked here', { remedy: again });
  const said = await ask(`Approve ${String(count)} ${count === 1 ? 'request' : 'requests'}? [y/N] `);
  return /^y(es)?$/i.test(said.trim());
}

interface Doing {
  readonly parts: JudgeParts;
  readonly ports: ApprovePorts;
  readonly signal: AbortSignal;
}

/** One failure does not keep the others from being approved. */
async function carryOut(row: RequestRow, uid: string, { parts, ports, signal }: Doing): Promise<RequestRow> {
  try {
    const force = row.overridden !== undefined;
    const outcome = await act({ name: row.name, uid }, parts, { force }, signal);
    const done = doneWord(outcome);
    ports.print(`${row.name}: ${done}\n`);
    if (outcome.kind !== 'pending') return { ...row, done };
    return { ...requestRow(outcome.judgement), done };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asCertletError(thrown);
    ports.complain([error.message, ...adviceLines(error.remedy).map((line) => `  ${line}`)].join('\n'));
    return { ...row, done: 'failed' };
  }
}

function doneWord(outcome: Outcome): NonNullable<RequestRow['done']> {
  switch (outcome.kind) {
    case 'decided':
      return outcome.condition.type === 'Approved' ? 'approved' : 'denied';
    case 'others':
      return outcome.decided === 'Approved' ? 'approved by others' : 'denied by others';
    case 'gone':
      return 'gone';
    case 'foreign':
    case 'stopped':
    case 'pending':
      return 'left pending';
  }
}
