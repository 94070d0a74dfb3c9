import type { Outlook } from '../outlooks.ts';
import type { FlagValues } from '../config.ts';
import type { ReloadChoice } from '../kubelet/reload-file.ts';
import type { RoleGroups, RoleTopic } from '../token/roles.ts';
import type { JoinArguments } from './join-plan.ts';

/** How a command answers: words for a person, or one document for a program. */
export const OUTPUT_FORMS = ['text', 'json', 'yaml'] as const;
export type OutputForm = (typeof OUTPUT_FORMS)[number];

/** Where a command gets its settings from. */
export interface SettingsChoice {
  /** `--config`; undefined means the default path, where a missing file is fine. */
  readonly settingsPath: string | undefined;
  readonly settingFlags: FlagValues;
}

export interface RunArguments {
  readonly name: 'run';
}

export interface OnceArguments {
  readonly name: 'once';
  readonly output: OutputForm;
  readonly timeoutMs: number;
  /** When it runs again; undefined where that was not said. */
  readonly everyMs?: number;
  /** Only what ends within this time is renewed; undefined for what is due. */
  readonly ifExpiringMs?: number;
}

export interface StatusArguments {
  readonly name: 'status';
  readonly output: OutputForm;
  /** The name of one; undefined for all that are managed. */
  readonly certificate: string | undefined;
  readonly watch: boolean;
  readonly verbose: boolean;
}

export interface HistoryArguments {
  readonly name: 'history';
  readonly output: OutputForm;
  /** The name of one; undefined for all that are managed. */
  readonly certificate: string | undefined;
}

export interface RenewArguments {
  readonly name: 'renew';
  readonly output: OutputForm;
  /** The name of one; undefined for all that are managed. */
  readonly certificate: string | undefined;
  readonly dryRun: boolean;
  readonly wait: boolean;
  /** A restart of the kubelet that waits for its window waits no longer; nothing is renewed. */
  readonly restartNow: boolean;
  readonly timeoutMs: number;
}

export interface CheckArguments {
  readonly name: 'check';
  readonly output: OutputForm;
  /** A change that is about to come, which the node should survive. */
  readonly outlook?: Outlook;
  /** CAs that the API server will verify kubelets by. */
  readonly caFile?: string;
}

export interface AdoptArguments {
  readonly name: 'adopt';
  readonly output: OutputForm;
  readonly write: boolean;
  /** The node's kubeconfig becomes root's. */
  readonly writeKubeconfig: boolean;
  /** Also a kube-proxy of the host. */
  readonly kubeProxy: boolean;
}

export interface AllowArguments {
  readonly name: 'allow';
  readonly output: OutputForm;
  /** Absolute; undefined where no folder is meant. */
  readonly folder: string | undefined;
  readonly reloads: readonly ReloadChoice[];
  /** Names of `--reload` that are taken back. */
  readonly removedReloads: readonly string[];
  readonly remove: boolean;
}

export interface JoinCommandArguments {
  readonly name: 'join';
  readonly output: OutputForm;
  readonly join: JoinArguments;
}

export interface ResetArguments {
  readonly name: 'reset';
  readonly output: OutputForm;
  readonly yes: boolean;
  readonly withBootstrapKubeconfig: boolean;
}

export interface TokenCreateArguments {
  readonly name: 'token';
  readonly action: 'create';
  readonly output: OutputForm;
  /** A token each, bound to it; empty for one token for any node. */
  readonly nodes: readonly string[];
  /** 0 for a token that does not end. */
  readonly ttlMs: number;
  readonly once: boolean;
  readonly groups: readonly string[];
  readonly description: string | undefined;
  /** Where bootstrap kubeconfigs are written. */
  readonly writeFolder: string | undefined;
  readonly showToken: boolean;
  readonly printSecret: boolean;
  readonly printCsv: boolean;
  readonly access: AccessChoice;
}

export interface TokenListArguments {
  readonly name: 'token';
  readonly action: 'list';
  readonly output: OutputForm;
  readonly access: AccessChoice;
}

export interface TokenDeleteArguments {
  readonly name: 'token';
  readonly action: 'delete';
  readonly output: OutputForm;
  readonly ids: readonly string[];
  readonly access: AccessChoice;
}

export type TokenArguments = TokenCreateArguments | TokenListArguments | TokenDeleteArguments;

export interface RbacArguments {
  readonly name: 'rbac';
  readonly output: OutputForm;
  /** Undefined for all. */
  readonly topic: RoleTopic | undefined;
  readonly groups: RoleGroups;
}

export interface VersionArguments {
  readonly name: 'version';
  readonly output: OutputForm;
}

/** Which cluster a command of the cluster's side talks to, and as whom. */
export interface AccessChoice {
  /** `--kubeconfig`; undefined for `KUBECONFIG`, the home's, or that of the pod. */
  readonly kubeconfig: string | undefined;
  /** `--context`; undefined for the current one. */
  readonly context: string | undefined;
}

export interface ApproveArguments {
  readonly name: 'approve';
  readonly output: OutputForm;
  /** Only these requests; empty for all. */
  readonly names: readonly string[];
  /** Approved whatever the rules say. */
  readonly force: readonly string[];
  readonly yes: boolean;
  readonly dryRun: boolean;
  /** Goes on until it is told to stop. */
  readonly watch: boolean;
  readonly printRbac: boolean;
  /** Whom the printed roles are for; undefined for the user `certlet-approver`. */
  readonly serviceAccount: { readonly namespace: string; readonly name: string } | undefined;
  readonly access: AccessChoice;
  readonly settingsPath: string | undefined;
}

export interface CompletionArguments {
  readonly name: 'completion';
  /** A script for this shell, or the names that it asks for. */
  readonly wanted: 'bash' | 'zsh' | 'fish' | 'certificates';
  readonly settingsPath: string | undefined;
}

/** A command line, understood. */
export type Command =
  | RunArguments
  | OnceArguments
  | StatusArguments
  | HistoryArguments
  | RenewArguments
  | CheckArguments
  | AdoptArguments
  | AllowArguments
  | JoinCommandArguments
  | ResetArguments
  | ApproveArguments
  | TokenArguments
  | RbacArguments
  | VersionArguments
  | CompletionArguments;

/** What came of parsing a command line. */
export type ParsedLine =
  | { readonly kind: 'command'; readonly command: Command; readonly settings: SettingsChoice }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | WrongLine;

/** A line whose values cannot be used. The settings are told with it, so that theirs can be listed beside them. */
export interface WrongLine {
  readonly kind: 'wrong';
  readonly command: Command['name'];
  /** Whether the command goes by settings, of which the rest may be wrong, too. */
  readonly readsSettings: boolean;
  /** `--flag: problem`, each a line. */
  readonly problems: readonly string[];
  readonly settings: SettingsChoice;
}
