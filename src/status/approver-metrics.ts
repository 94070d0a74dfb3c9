import type { ApproverFigures } from '../approve/figures.ts';
import { expositionText, type Family, type Sample } from './exposition.ts';

/** The approver's metrics, Prometheus' text format 0.0.4. */
export function approverMetrics(figures: ApproverFigures, version: string): string {
  return expositionText([...gauges(figures, version), ...counters(figures)]);
}

function gauges(figures: ApproverFigures, version: string): readonly Family[] {
  const { oldest } = figures.pending;
  const one = (value: number): readonly Sample[] => [{ value }];
  return [
    {
      name: 'certlet_approver_info',
      type: 'gauge',
      help: 'The program.',
      samples: [{ labels: { version }, value: 1 }],
    },
    {
      name: 'certlet_approver_is_leader',
      type: 'gauge',
      help: 'Whether this approver holds the Lease and acts.',
      samples: one(figures.isLeader ? 1 : 0),
    },
    {
      name: 'certlet_approver_pending_requests',
      type: 'gauge',
      help: 'Requests that nobody has decided.',
      samples: one(figures.pending.size),
    },
    {
      name: 'certlet_approver_oldest_pending_request_timestamp_seconds',
      type: 'gauge',
      help: 'When the pending request was made that has waited longest; absent where there is none.',
      samples: oldest === undefined ? [] : one(oldest.getTime() / 1000),
    },
    {
      name: 'certlet_approver_nodes',
      type: 'gauge',
      help: 'Nodes whose names and addresses are known.',
      samples: one(figures.nodes.size),
    },
  ];
}

function counters(figures: ApproverFigures): readonly Family[] {
  return [
    {
      name: 'certlet_approver_decisions_total',
      type: 'counter',
      help: 'Decisions that were written.',
      samples: [...figures.decisions].map(([key, value]) => {
        const [signer = '', outcome = ''] = key.split(' ');
        return { labels: { signer, outcome }, value };
      }),
    },
    {
      name: 'certlet_approver_objections_total',
      type: 'counter',
      help: 'Rules that did not let a request pass, each once for the same request and reasons.',
      samples: [...figures.objections].map(([rule, value]) => ({ labels: { rule }, value })),
    },
    {
      name: 'certlet_approver_errors_total',
      type: 'counter',
      help: 'Failures by code.',
      samples: [...figures.errors].map(([code, value]) => ({ labels: { code }, value })),
    },
  ];
}
