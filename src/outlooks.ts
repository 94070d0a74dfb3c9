/** What may be about to change around a node. */
export const OUTLOOKS = ['kubelet-ca', 'short-lived', 'ca-rotation'] as const;
export type Outlook = (typeof OUTLOOKS)[number];
