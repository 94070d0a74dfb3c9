/**
 * Folders that are not the service's alone: whoever may write there can change what root runs, or what the kubelet or a distribution reads.
 * They are never opened to the sandbox; neither are folders above them.
 */
const SHARED: readonly string[] = [
  '/etc/kubernetes/manifests',
  '/etc/systemd/system',
  '/etc/rancher',
  '/var/lib/kubelet',
  '/var/lib/rancher/k3s/agent',
  '/var/lib/rancher/k3s/server',
  '/var/lib/rancher/rke2/agent',
  '/var/lib/rancher/rke2/server',
  '/var/lib/k0s',
  '/var/snap/microk8s/current',
  '/var/snap/microk8s/current/certs',
  '/var/snap/microk8s/current/credentials',
  '/var/spool/cron',
  '/run/systemd/system',
];
/** What lies anywhere in these is run or believed by root, by the kubelet or by the container runtime. */
const SYSTEM: readonly RegExp[] = [
  /^\/(?:usr|bin|sbin|lib\w*|boot|dev|proc|sys|run|root)(?:\/|$)/u,
  /^\/etc\/(?:systemd|cron[\w.]*|default|sysconfig|ssh|pam\.d|sudoers\.d|profile\.d|ld\.so\.conf\.d|udev|init\.d|rc\w*\.d)(?:\/|$)/u,
  /^\/etc\/(?:certlet|rancher|containerd|docker|crio|containers|cni|apt|dnf|yum[\w.]*|kernel|modprobe\.d|modules-load\.d)(?:\/|$)/u,
  /^\/etc\/(?:tmpfiles\.d|sysctl\.d|sysusers\.d|binfmt\.d|logrotate\.d|polkit-1|dbus-1|security|ssl|pki|ca-certificates[\w.]*)(?:\/|$)/u,
  /^\/etc\/(?:network|NetworkManager|networkd-dispatcher|dhcp\w*|update-motd\.d|alternatives|xdg|skel)(?:\/|$)/u,
  /^\/etc\/kubernetes\/(?:manifests|pki)(?:\/|$)/u,
  /^\/var\/lib\/kubelet\/(?:pods|plugins|plugins_registry|device-plugins|pod-resources|checkpoints)(?:\/|$)/u,
  /^\/var\/lib\/rancher\/(?:k3s|rke2)\/(?:data|bin|agent\/(?:etc|pod-manifests|containerd))(?:\/|$)/u,
  /^\/var\/lib\/k0s\/(?:bin|manifests|pki|kubelet)(?:\/|$)/u,
  /^\/var\/(?:spool|lib\/(?:containerd|containers|docker|cni|etcd|dpkg|rpm|apt|systemd|cloud))(?:\/|$)/u,
  /^\/opt\/(?:cni|containerd|bin)(?:\/|$)/u,
];

/** Whether a folder must stay closed to the service's sandbox whatever the settings need. The folders that the units open are not asked about. */
export function isSharedFolder(folder: string): boolean {
  // The root, and what stands directly below it: /etc, /var, /opt.
  const levels = folder.split('/').filter((part) => part !== '').length;
  if (levels < 2 || folder === '/var/lib') return true;
  return SYSTEM.some((pattern) => pattern.test(folder)) || SHARED.some((shared) => isBelow(shared, folder));
}

/** What no unit sees of the host, opened or not: ProtectHome=, PrivateTmp= and TemporaryFileSystem=/run of the units. */
export function isHiddenFolder(folder: string): boolean {
  return ['/home', '/root', '/run', '/tmp', '/var/tmp'].some((hidden) => isBelow(folder, hidden));
}

/** Whether `path` is `above` or lies in it. */
export function isBelow(path: string, above: string): boolean {
  return path === above || path.startsWith(above === '/' ? '/' : `${above}/`);
}

/**
 * What stays read-only so that nobody changes `files` from within `open`: a file that lies there itself; for one further down the folder in
 * between, since a folder can be renamed with all that is mounted below it.
 */
export function readOnlyPaths(open: readonly string[], files: readonly string[]): readonly string[] {
  const paths = files.flatMap((file) => {
    const above = open.filter((folder) => isBelow(file, folder) && file !== folder);
    const folder = above.sort((a, b) => b.length - a.length)[0];
    if (folder === undefined) return [];
    const [first = ''] = file.slice(folder.length + 1).split('/');
    return [`${folder}/${first}`];
  });
  return [...new Set(paths)].filter((path) => !open.includes(path));
}
