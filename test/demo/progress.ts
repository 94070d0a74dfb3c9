/** What the daemon's log has shown so far. */
export interface DemoProgress {
  readonly placeholder: boolean;
  readonly client: number;
  readonly serving: number;
  readonly kubeconfig: boolean;
  readonly pruned: readonly string[];
}

export const noProgress: DemoProgress = { placeholder: false, client: 0, serving: 0, kubeconfig: false, pruned: [] };

/** The progress after one record of the JSON log. */
export function progressAfter(progress: DemoProgress, record: unknown): DemoProgress {
  const { event, purpose } = record as { readonly event?: unknown; readonly purpose?: unknown };
  switch (event) {
    case 'Made a self-signed serving pair until the first one is issued':
      return { ...progress, placeholder: true };
    case 'Certificate is current':
      return purpose === 'client'
        ? { ...progress, client: progress.client + 1 }
        : { ...progress, serving: progress.serving + 1 };
    case 'Wrote the kubeconfig':
      return { ...progress, kubeconfig: true };
    case 'Deleted old pairs':
      return { ...progress, pruned: [...progress.pruned, String(purpose)] };
    default:
      return progress;
  }
}

/** What has to happen, and whether it has. */
export function demoGoals(progress: DemoProgress): readonly { readonly name: string; readonly met: boolean }[] {
  return [
    { name: 'a self-signed serving pair before anything was issued', met: progress.placeholder },
    { name: 'the client certificate bootstrapped and rotated twice', met: progress.client >= 3 },
    { name: 'the serving certificate issued and rotated twice', met: progress.serving >= 3 },
    { name: 'the kubeconfig written', met: progress.kubeconfig },
    { name: 'old client pairs deleted', met: progress.pruned.includes('client') },
    { name: 'old serving pairs deleted', met: progress.pruned.includes('serving') },
  ];
}
