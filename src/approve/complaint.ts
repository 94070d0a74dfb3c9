import { type CertletError, errorFields } from '../errors.ts';

/** What an approver that lacks a right needs: all that its settings take, and no role for the one right, which would be wider. */
export const ROLES_REMEDY =
  'certlet approve --print-rbac | kubectl apply -f -   # by an administrator, with the settings of the approver';

/** What a log line of the approver says of an error. */
export function complaintFields(
  error: Pick<CertletError, 'code' | 'message' | 'remedy'>,
): ReturnType<typeof errorFields> {
  const fields = errorFields(error);
  return error.code === 'ERR_API_FORBIDDEN' ? { ...fields, remedy: ROLES_REMEDY } : fields;
}
