import type { Step } from './facts.ts';
import { authenticationStep } from './steps/authentication.ts';
import { approvalStep, rightsStep, versionsStep } from './steps/authorization.ts';
import { clusterCaStep } from './steps/cluster-ca.ts';
import { credentialsStep, filesStep, settingsStep } from './steps/host.ts';
import { networkStep, tlsStep } from './steps/network.ts';
import { daemonStep, kubeletStep, nameStep } from './steps/node.ts';
import { reloadsStep } from './steps/reloads.ts';
import { requestsStep } from './steps/requests.ts';
import { servingStep } from './steps/serving.ts';
import { servedStep } from './steps/served.ts';
import { serversStep } from './steps/servers.ts';

/** The way of a certificate, in its order. */
export const STEPS: readonly Step[] = [
  settingsStep,
  credentialsStep,
  filesStep,
  networkStep,
  tlsStep,
  authenticationStep,
  serversStep,
  versionsStep,
  rightsStep,
  approvalStep,
  requestsStep,
  nameStep,
  kubeletStep,
  clusterCaStep,
  servingStep,
  servedStep,
  reloadsStep,
  daemonStep,
];
