import { resolve } from 'node:path';
import {
  type AccessChoice,
  type AllowArguments,
  type ApproveArguments,
  type CheckArguments,
  type Command,
  type JoinCommandArguments,
  type OnceArguments,
  type ParsedLine,
  type RbacArguments,
  type TokenArguments,
} from './command.ts';
import { OUTLOOKS } from '../outlooks.ts';
import type { CommandName, CommandSpec } from './command-spec.ts';
import { DEFAULT_ROLE_GROUPS, ROLE_TOPICS } from '../token/roles.ts';
import { settingFlags } from './flags.ts';
import { Given, type LineParts, textOf } from './given.ts';
import { checkedValues } from './line-values.ts';

/** A file as every message names it, wherever whoever reads that stands. */
const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path));

const absoluteOrUrl = (place: string | undefined): string | undefined =>
  place?.includes('://') === true ? place : absolute(place);

/** The command that a parsed line asks for, or everything that is wrong with it. What settings flags hold is left to the settings. */
export function buildCommand(spec: CommandSpec, parts: LineParts): ParsedLine {
  const problems = [...parts.problems];
  const values = checkedValues(parts.raw, spec, problems);
  const names = new Set(spec.settings ? settingFlags().map((flag) => flag.name) : []);
  const command = BUILDERS[spec.name](
    new Given(spec, { values, positional: parts.positional, words: parts.words, problems }),
  );
  const settings = {
    settingsPath: spec.settings ? absolute(textOf(values['config'])) : undefined,
    settingFlags: Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name))),
  };
  if (problems.length > 0)
    return { kind: 'wrong', command: spec.name, readsSettings: spec.settings, problems, settings };
  return { kind: 'command', command, settings };
}

/** Each command from what was given. */
const BUILDERS: { readonly [Name in CommandName]: (given: Given) => Extract<Command, { readonly name: Name }> } = {
  run: () => ({ name: 'run' }),
  once: onceCommand,
  status: (given) => ({
    name: 'status',
    output: given.output(),
    certificate: given.certificateName(),
    watch: given.boolean('watch'),
    verbose: given.boolean('verbose'),
  }),
  history: (given) => ({ name: 'history', output: given.output(), certificate: given.certificateName() }),
  renew: (given) => ({
    name: 'renew',
    output: given.output(),
    certificate: given.certificateName(),
    dryRun: given.boolean('dry-run'),
    wait: given.boolean('wait'),
    restartNow: given.boolean('restart-now'),
    timeoutMs: given.durationMs('timeout'),
  }),
  check: checkCommand,
  adopt: (given) => ({
    name: 'adopt',
    output: given.output(),
    write: given.boolean('write'),
    writeKubeconfig: given.boolean('write-kubeconfig'),
    kubeProxy: given.unlessOff('kube-proxy'),
  }),
  allow: allowCommand,
  join: joinCommand,
  reset: (given) => ({
    name: 'reset',
    output: given.output(),
    yes: given.boolean('yes'),
    withBootstrapKubeconfig: given.boolean('with-bootstrap-kubeconfig'),
  }),
  approve: approveCommand,
  token: tokenCommand,
  rbac: rbacCommand,
  version: (given) => ({ name: 'version', output: given.output() }),
  completion: (given) => ({
    name: 'completion',
    wanted: given.positionalChoice(['bash', 'zsh', 'fish', 'certificates']),
    settingsPath: absolute(given.text('config')),
  }),
};

function checkCommand(given: Given): CheckArguments {
  const outlook = given.has('for') ? given.choice('for', OUTLOOKS) : undefined;
  const caFile = given.text('kubelet-certificate-authority');
  if (caFile !== undefined && outlook !== 'kubelet-ca')
    given.problem('--kubelet-certificate-authority', 'goes with --for kubelet-ca');
  return {
    name: 'check',
    output: given.output(),
    ...(outlook === undefined ? {} : { outlook }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

function onceCommand(given: Given): OnceArguments {
  const [every, expiring] = [given.text('every'), given.text('if-expiring')];
  if (every !== undefined && expiring !== undefined)
    given.problem(
      '--if-expiring',
      'goes by the end of a certificate, --every by its rotation deadline: give one of them',
    );
  return {
    name: 'once',
    output: given.output(),
    timeoutMs: given.durationMs('timeout'),
    ...(every === undefined ? {} : { everyMs: given.durationMs('every') }),
    ...(expiring === undefined ? {} : { ifExpiringMs: given.durationMs('if-expiring') }),
  };
}

function allowCommand(given: Given): AllowArguments {
  const remove = given.boolean('remove');
  const words = given.list('reload');
  const folder = given.folder();
  if (remove && folder === undefined && words.length === 0)
    given.problem('--remove', 'say what: a folder, or --reload NAME');
  return {
    name: 'allow',
    output: given.output(),
    folder,
    reloads: remove ? [] : words.flatMap((word) => given.reload(word)),
    removedReloads: remove ? words.flatMap((word) => given.reloadName(word)) : [],
    remove,
  };
}

function joinCommand(given: Given): JoinCommandArguments {
  return {
    name: 'join',
    output: given.output(),
    join: {
      endpoint: given.positional,
      token: given.text('token'),
      tokenFile: given.text('token-file'),
      caCertHashes: given.list('discovery-token-ca-cert-hash'),
      unsafeSkipCaVerification: given.boolean('discovery-token-unsafe-skip-ca-verification'),
      discoveryFile: absoluteOrUrl(given.text('discovery-file')),
      timeoutMs: given.durationMs('timeout'),
      force: given.boolean('force'),
      writeKubeconfig: given.boolean('write-kubeconfig'),
      seal: given.boolean('seal'),
    },
  };
}

/** Where the token goes: one of them must be chosen, since nobody can read it later. */
const TOKEN_GOES_TO = ['write', 'show-token', 'print-secret', 'print-csv'];

function tokenCommand(given: Given): TokenArguments {
  const action = given.positionalChoice(['create', 'list', 'delete']);
  const common = { name: 'token' as const, output: given.output(), access: accessOf(given) };
  if (action !== 'create' && TOKEN_FLAGS.some((name) => given.has(name)))
    given.problem('ACTION', `${action} takes no flags of create`);
  if (action !== 'delete' && given.words.length > 0) given.problem('ID', `${action} takes none`);
  if (action === 'list') return { ...common, action };
  if (action === 'delete') {
    if (given.words.length === 0) given.problem('ID', 'say which: ids as certlet token list shows them');
    return { ...common, action, ids: given.words };
  }
  if (!TOKEN_GOES_TO.some((name) => given.has(name)))
    given.problem('--write', 'say where the token goes: --write DIR, --show-token, --print-secret or --print-csv');
  return {
    ...common,
    action,
    nodes: given.nodeNames('node'),
    ttlMs: given.text('ttl') === '0' ? 0 : given.durationMs('ttl'),
    once: given.boolean('once'),
    groups: given.tokenGroups('groups'),
    description: given.text('description'),
    writeFolder: given.text('write'),
    showToken: given.boolean('show-token'),
    printSecret: given.boolean('print-secret'),
    printCsv: given.boolean('print-csv'),
  };
}

function rbacCommand(given: Given): RbacArguments {
  const topic = given.positional === undefined ? undefined : given.positionalChoice(ROLE_TOPICS);
  if (topic === 'serving' && given.has('group')) given.problem('--group', 'goes with bootstrap and approve');
  if (topic !== undefined && topic !== 'serving' && given.has('approvers'))
    given.problem('--approvers', 'goes with serving');
  const { bootstrap, approvers } = DEFAULT_ROLE_GROUPS;
  const groups = {
    bootstrap: given.has('group') ? given.groups('group') : bootstrap,
    approvers: given.has('approvers') ? given.groups('approvers') : approvers,
  };
  return { name: 'rbac', output: given.output(), topic, groups };
}

const TOKEN_FLAGS = ['node', 'ttl', 'once', 'groups', 'description', ...TOKEN_GOES_TO];

function accessOf(given: Given): AccessChoice {
  return { kubeconfig: given.text('kubeconfig'), context: given.text('context') };
}

/** What goes with one request makes no sense for a service. */
const BY_HAND = ['yes', 'dry-run', 'force', 'output'];

function approveCommand(given: Given): ApproveArguments {
  const watch = given.boolean('watch');
  const printRbac = given.boolean('print-rbac');
  if (watch && (given.words.length > 0 || BY_HAND.some((name) => given.has(name))))
    given.problem('--watch', 'takes neither names of requests nor --yes, --dry-run, --force or --output');
  if (watch && printRbac) given.problem('--print-rbac', 'prints and ends; leave --watch out');
  if (given.has('service-account') && !printRbac) given.problem('--service-account', 'goes with --print-rbac');
  return {
    watch,
    printRbac,
    serviceAccount: given.serviceAccount(),
    name: 'approve',
    output: given.output(),
    names: given.words,
    force: given.list('force'),
    yes: given.boolean('yes'),
    dryRun: given.boolean('dry-run'),
    access: accessOf(given),
    // The default file need not be there: approving runs anywhere.
    settingsPath: absolute(given.saidText('config')),
  };
}
