/**
 * What the daemon does next after an error. The loop acts on this word alone.
 * - `retrySoon`: jittered exponential delay from a second to some minutes;
 * - `retrySlowly`: the same from some ten seconds to a quarter of an hour;
 * - `fallBackToBootstrap`: the credential in use is dead, ask with the bootstrap credential;
 * - `waitForPerson`: only somebody can mend it; look again at a slow pace and at once when a watched file changes;
 * - `waitForHours`: the cluster said no; a new request only after hours or when something changed;
 * - `waitForClock`: dates cannot be trusted; judge again when the clock has been set;
 * - `waitForHolder`: another process of this host has it and may be done at any moment; a daemon looks again within seconds, a command ends;
 * - `stop`: the process cannot go on (settings); a restart alone does not mend it.
 */
export type ErrorAction =
  | 'retrySoon'
  | 'retrySlowly'
  | 'fallBackToBootstrap'
  | 'waitForPerson'
  | 'waitForHours'
  | 'waitForClock'
  | 'waitForHolder'
  | 'stop';

/** One row of the table of failures; `docs/failures.md` is generated from it. */
export interface ErrorRule {
  /** What the code means, one sentence. */
  readonly meaning: string;
  readonly action: ErrorAction;
  /** What a person should do, one sentence; an error's own `remedy` is more exact where it has one. */
  readonly person: string;
}

const rule = (action: ErrorAction, meaning: string, person: string): ErrorRule => ({ action, meaning, person });

/** The closed list of error codes, and the only place that says which action follows from each. */
export const ERROR_RULES = {
  ERR_CONFIG_INVALID: rule(
    'stop',
    'The settings file or a flag cannot be used.',
    'Mend every field the message lists; `certlet check` reads them again.',
  ),
  ERR_LOCK_HELD: rule(
    'waitForHolder',
    'Another certlet already manages this cert-dir.',
    'Use that one (`certlet status`, `certlet renew`), or stop it first.',
  ),
  ERR_NODE_NAME: rule(
    'waitForPerson',
    'No usable node name: the host has none (yet) and no override is given; or it is another than that of the valid certificate in hand. A changed name is noticed within a minute.',
    'Set `hostnameOverride` (or `--hostname-override`) to the name of the Node object.',
  ),
  ERR_KUBECONFIG_INVALID: rule(
    'waitForPerson',
    'A kubeconfig cannot be read or understood.',
    'Mend the file at the line and field named; certlet notices the change.',
  ),
  ERR_KUBECONFIG_UNSAFE: rule(
    'waitForPerson',
    'A kubeconfig, or a CA or exec plugin that it names, can be changed by other users.',
    'Look whether it still says what it should; then make root its owner and take write permission from group and others.',
  ),
  ERR_CREDENTIAL_MISSING: rule(
    'waitForPerson',
    'There is neither a valid client certificate nor a usable bootstrap credential.',
    'Put a bootstrap kubeconfig with a fresh token in place (`kubeadm token create` on a control plane node).',
  ),
  ERR_CREDENTIAL_INVALID: rule(
    'waitForPerson',
    'A credential named by the kubeconfig cannot be read (token file, certificate, key).',
    'Mend or replace the file named.',
  ),
  ERR_EXEC_PLUGIN: rule(
    'retrySlowly',
    'The exec credential plugin failed or printed something that is no ExecCredential.',
    'Run the command by hand as the service does; the message has its exit status.',
  ),
  ERR_API_UNREACHABLE: rule(
    'retrySoon',
    'No answer from the API server: name, route, port, proxy or a link that went dead.',
    'Check name, route, firewall and proxy; certlet goes on trying.',
  ),
  ERR_API_TLS: rule(
    'retrySlowly',
    "The API server's certificate is not trusted by the kubeconfig's CA, or is for another name.",
    "Compare `certificate-authority` with the cluster's CA and `server` with the certificate's names.",
  ),
  ERR_API_TLS_DATES: rule(
    'waitForClock',
    "The API server's certificate is outside its dates as seen by this node's clock.",
    "Set this node's clock, or renew the API server's certificate; the message says which of the two is off.",
  ),
  ERR_API_TLS_NO_NAMES: rule(
    'retrySlowly',
    "The API server's certificate has no subject alternative name; its common name does not count, as in Go.",
    'Issue that certificate anew with the names and addresses of the API server as subjectAltName.',
  ),
  ERR_API_UNAUTHORIZED: rule(
    'fallBackToBootstrap',
    'The API server rejected the credential (401).',
    'Replace the credential named; for a token: expired, deleted, mistyped, or bootstrap token authentication is off.',
  ),
  ERR_API_FORBIDDEN: rule(
    'retrySlowly',
    'The API server knows the identity but its roles do not allow the request (403).',
    'Create the ClusterRoleBinding that the message prints.',
  ),
  ERR_API_ANONYMOUS: rule(
    'waitForPerson',
    'The API server saw no client certificate: something between strips it.',
    'Make the load balancer pass TLS through instead of ending it.',
  ),
  ERR_API_NOT_FOUND: rule('retrySoon', 'The object or resource does not exist (404).', 'Nothing: certlet asks anew.'),
  ERR_API_CONFLICT: rule('retrySoon', 'An object of that name exists already (409).', 'Nothing: certlet compares it.'),
  ERR_API_REJECTED: rule(
    'retrySlowly',
    'The API server refused the request as invalid (400, 405, 413, 415, 422).',
    'Read the message: usually an admission webhook or a policy refuses this request.',
  ),
  ERR_API_THROTTLED: rule(
    'retrySoon',
    'The API server asked to slow down (429).',
    'Nothing: certlet waits as long as asked.',
  ),
  ERR_API_SERVER: rule(
    'retrySoon',
    'The API server failed (5xx).',
    'Look at the API server and etcd if it lasts; certlet goes on trying.',
  ),
  ERR_API_PROTOCOL: rule(
    'retrySoon',
    'The answer is not what an API server sends (HTML, broken JSON, too large).',
    'Check `server` and any proxy between: something else answers there.',
  ),
  ERR_API_DROPPED: rule(
    'retrySoon',
    'The connection belongs to a credential that another one has replaced meanwhile.',
    'Nothing: certlet goes on under the credential in use.',
  ),
  ERR_API_UNSUPPORTED: rule(
    'retrySlowly',
    'The server serves certificatesigningrequests neither in v1 nor in v1beta1.',
    'Check that `server` names a Kubernetes API server, 1.9 or later.',
  ),
  ERR_CSR_DENIED: rule(
    'waitForHours',
    'An approver denied the request.',
    'Mend what the reason names, then `certlet renew`; certlet asks again by itself after hours.',
  ),
  ERR_CSR_FAILED: rule(
    'waitForHours',
    'The signer refused the approved request.',
    'Mend what the reason names, then `certlet renew`; certlet asks again by itself after hours.',
  ),
  ERR_CSR_USAGES: rule(
    'retrySoon',
    'The signer wants the other set of key usages.',
    'Nothing: certlet asks once with the other set. Set `keyEncipherment` to make it the default.',
  ),
  ERR_CSR_SIGNER: rule(
    'waitForHours',
    'The API server is older than Kubernetes 1.18 and knows no signer names, and the certificate is for a signer that must be named.',
    'Take the certificate out of the settings until the cluster is upgraded, then `certlet renew`; deny a request that the message names.',
  ),
  ERR_CSR_DELETED: rule(
    'retrySoon',
    'The request was deleted before it was issued.',
    'Nothing: certlet makes a new request with a new key.',
  ),
  ERR_CSR_INCOMPATIBLE: rule(
    'retrySoon',
    'A different request has the name that ours would have.',
    'Nothing: certlet makes a new request with a new key.',
  ),
  ERR_CSR_SUPERSEDED: rule(
    'retrySoon',
    'The pending request lacks a name or address that the node has gained.',
    'Nothing: certlet asks anew; the old request is left to the cleaner.',
  ),
  ERR_NAMES: rule(
    'waitForPerson',
    'The node has more names and addresses than `maxNames` allows, or `ignoreAddresses` holds every address of it. None is left out: nothing is asked for.',
    'Raise `maxNames`, or say with `addressTypes` and `ignoreAddresses` which names are meant; a reload of the settings asks at once.',
  ),
  ERR_ISSUED_UNACCEPTABLE: rule(
    'waitForHours',
    'The issued certificate is not what was asked for, or no client could take it from a server.',
    'Look at the signer: the message lists what is wrong with the certificate.',
  ),
  ERR_ISSUED_EXPIRED: rule(
    'retrySoon',
    'The issued certificate expired before it could be taken into use: the node was off or cut off for longer.',
    'Nothing: certlet makes a new request with a new key.',
  ),
  ERR_ISSUED_NOT_YET_VALID: rule(
    'waitForClock',
    'The issued certificate begins in the future.',
    "Compare this node's clock with the signer's.",
  ),
  ERR_ISSUED_UNPROVEN: rule(
    'retrySoon',
    'The API server does not accept the certificate that was just issued yet.',
    'Nothing for some minutes (clock skew, several API servers); certlet tries again with the same certificate.',
  ),
  ERR_ISSUED_REFUSED: rule(
    'retrySlowly',
    'The API server refuses the certificate that was just issued. From the third one in a row on the next is asked for after hours.',
    "Compare the API server's --client-ca-file with the CA that signs client certificates.",
  ),
  ERR_KEY_INVALID: rule('retrySoon', 'A private key cannot be parsed.', 'Nothing: the file is moved aside.'),
  ERR_CERTIFICATE_INVALID: rule('retrySoon', 'A certificate cannot be parsed.', 'Nothing: the file is moved aside.'),
  ERR_STORE_IO: rule(
    'retrySoon',
    'A file operation failed.',
    'Look at the path and the system error in the message (permissions, disk).',
  ),
  ERR_STORE_FULL: rule(
    'retrySlowly',
    'The disk or the quota is full.',
    'Free space on the file system named; nothing was lost.',
  ),
  ERR_STORE_READ_ONLY: rule(
    'waitForPerson',
    'The folder is read-only for this service.',
    'Folders besides the default ones are opened by `certlet allow DIR` and a restart.',
  ),
  ERR_STORE_DETACHED: rule(
    'stop',
    'The cert-dir was moved, emptied or made anew while certlet ran: its lock, or its sandbox, is that of the old one.',
    'Nothing under systemd: the service is started again by itself. Else start certlet anew.',
  ),
  ERR_STORE_UNSAFE: rule(
    'waitForPerson',
    'A folder or file that holds keys can be changed by other users, or hands no group on (`groupReadable`), or a path of the settings leads to another file of theirs.',
    'Make root its owner and take write permission from group and others; set the group and mode, or the path, that the line names.',
  ),
  ERR_STORE_FOREIGN: rule(
    'waitForPerson',
    'Another program writes pairs under the same prefix: the kubelet rotates there too.',
    'Set `rotateCertificates: false` (client) or `serverTLSBootstrap: false` (serving) in the kubelet, then `certlet renew`.',
  ),
  ERR_HOOK: rule('retrySlowly', 'A command to run after a rotation failed.', 'Run the command by hand and mend it.'),
  ERR_CONTROL: rule(
    'retrySoon',
    'The running daemon does not answer on its control socket.',
    'Look at `systemctl status certlet`.',
  ),
  ERR_TIMEOUT: rule('retrySoon', 'Not done within the time given.', 'Run it again: it resumes where it stopped.'),
  ERR_OUTPUT: rule(
    'stop',
    'What a command printed was not taken: standard output leads to a full disk, or to one that fails.',
    'Give it another place, and run the command again; see first whether it has done its work (a token is in the cluster all the same).',
  ),
  ERR_USAGE: rule('stop', 'The command line cannot be used.', 'See `certlet --help`.'),
  ERR_DISCOVERY: rule(
    'stop',
    'The cluster-info document cannot be trusted or read.',
    'Check endpoint, token and CA hash against `kubeadm token create --print-join-command`.',
  ),
  ERR_INTERNAL: rule('retrySlowly', 'A defect in certlet.', 'Report it with the log line.'),
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_RULES;

/** Codes of what lies between this node and an answer of the cluster: over as soon as there is one. */
export const isOnTheWay = (code: ErrorCode): boolean => /^ERR_(?:API|CREDENTIAL|EXEC|KUBECONFIG)_/.test(code);
