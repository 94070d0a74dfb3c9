import type { StatusDocument } from './document.ts';

/** The document with everything that a person is to run as `tell` has it. */
export function withRemedies(document: StatusDocument, tell: (remedy: string) => string): StatusDocument {
  const remedy = <T extends { readonly remedy?: string }>(about: T): T =>
    about.remedy === undefined ? about : { ...about, remedy: tell(about.remedy) };
  const command = <T extends { readonly command?: string }>(about: T): T =>
    about.command === undefined ? about : { ...about, command: tell(about.command) };
  const { trouble, certificates, hooks, kubeconfig, clusterCA } = document;
  return {
    ...document,
    ...(trouble && { trouble: remedy(trouble) }),
    certificates: certificates.map((status) => ({
      ...command(status),
      ...(status.lastError && { lastError: remedy(status.lastError) }),
      ...(status.reserve?.ask === undefined ? {} : { reserve: { ...status.reserve, ask: tell(status.reserve.ask) } }),
    })),
    hooks: hooks.map(remedy),
    ...(kubeconfig && { kubeconfig: command(kubeconfig) }),
    ...(clusterCA?.error && { clusterCA: { ...clusterCA, error: remedy(clusterCA.error) } }),
  };
}
