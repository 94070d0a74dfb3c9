/**
 * What a host is called before it has a name: the kernel's `(none)`, and what boot puts in place of one (`localhost`, as systemd's is_localhost has
 * it, and the names that /etc/hosts of older distributions gives it).
 */
const NO_NAME = /^(\(none\)|(.*\.)?localhost[46]?(\.localdomain[46]?)?\.?|localdomain)$/;

/** Whether a host's own name, trimmed and in lower case, is none by which a node could be told from another. */
export const isNoName = (name: string): boolean => name === '' || NO_NAME.test(name);
