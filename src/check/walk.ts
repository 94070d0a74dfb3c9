import { redact } from '../adapters/log/redact.ts';
import { type HowItRuns, remedyFor, reworded } from '../remedy.ts';
import { asCertletError, type CertletError } from '../errors.ts';
import { userOfService } from './service-user.ts';
import type { CheckContext, CheckPorts, Facts, Step, StepOutcome } from './facts.ts';
import { referring } from './rules/told-above.ts';
import { type Cause, type Evidence, type Finding, finding, type StepReport } from './finding.ts';

/**
 * Takes the steps in their order, each with what the earlier ones established. A step whose ground is missing is told as skipped with the
 * reason; one that fails becomes a finding. Rejects only with the signal's reason.
 */
export async function walk(
  steps: readonly Step[],
  ports: CheckPorts,
  signal: AbortSignal,
): Promise<{ readonly reports: readonly StepReport[]; readonly facts: Facts }> {
  let facts: Facts = {};
  const reports: StepReport[] = [];
  for (const step of steps) {
    signal.throwIfAborted();
    const outcome = await take(step, { ports, facts, signal });
    facts = { ...facts, ...outcome.facts };
    if (outcome.findings.length === 0) continue;
    const told = outcome.findings.map((each) => referring(each, reports));
    const found = await forHost(told, ports, facts);
    reports.push({ step: step.id, title: step.title, findings: found.map(withoutSecrets) });
  }
  return { reports, facts };
}

async function take(step: Step, context: CheckContext): Promise<StepOutcome> {
  try {
    const outcome = await step.run(context);
    return typeof outcome === 'string' ? { findings: [finding('skipped', `${step.id}.skipped`, outcome)] } : outcome;
  } catch (thrown) {
    context.signal.throwIfAborted();
    return { findings: [fromError(`${step.id}.failed`, asCertletError(thrown))] };
  }
}

/** A finding that says what an error says. */
export function fromError(id: string, error: CertletError, verdict: Finding['verdict'] = 'problem'): Finding {
  const { code, message, remedy, path, errno } = error;
  return finding(verdict, id, message, { remedy, evidence: { code, path, errno } });
}

/** Remedies are told as they work on this host. */
async function forHost(found: readonly Finding[], ports: CheckPorts, facts: Facts): Promise<readonly Finding[]> {
  if (found.every(({ remedy, causes }) => remedy === undefined && causes === undefined)) return found;
  const { timer, service } = await ports.ownUnits();
  const uid = facts.settings === undefined ? ports.uid : await userOfService(ports, facts.settings);
  return found.map((each) => toldFor(each, { byTimer: timer && !service, uid, carried: ports.carried }));
}

function toldFor(found: Finding, host: HowItRuns): Finding {
  const told = <T extends { readonly remedy?: string }>(about: T): T =>
    about.remedy === undefined ? about : { ...about, remedy: remedyFor(about.remedy, host) };
  return { ...told(found), ...(found.causes && { causes: found.causes.map(told) }) };
}

/** Texts of foreign origin (an approver's message, a server's answer) pass the filter for secrets once more. */
function withoutSecrets(found: Finding): Finding {
  const { causes, evidence, remedy } = found;
  return {
    ...found,
    what: redact(found.what),
    ...(remedy === undefined ? {} : { remedy: reworded(remedy, redact) }),
    ...(causes === undefined ? {} : { causes: causes.map(cleanCause) }),
    ...(evidence === undefined ? {} : { evidence: cleanEvidence(evidence) }),
  };
}

function cleanCause(cause: Cause): Cause {
  const { remedy } = cause;
  return { ...cause, what: redact(cause.what), ...(remedy === undefined ? {} : { remedy: reworded(remedy, redact) }) };
}

function cleanEvidence(evidence: Evidence): Evidence {
  const clean = (value: Evidence[string]): Evidence[string] => {
    if (typeof value === 'string') return redact(value);
    return typeof value === 'object' ? value.map(redact) : value;
  };
  return Object.fromEntries(
    Object.entries(evidence).flatMap(([key, value]) => (value === undefined ? [] : [[key, clean(value)]])),
  );
}
