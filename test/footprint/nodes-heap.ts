/** Run with --expose-gc: prints how many bytes of heap the index of 5,000 Nodes holds, as pages of a list bring them. */
import { Cluster } from '../../src/approve/cluster.ts';
import { NodeIndex } from '../../src/approve/nodes.ts';
import type { ClusterApi } from '../../src/approve/ports.ts';
import { loadNodes } from '../../src/approve/survey.ts';

const NODES = 5_000;

/** As a kubelet with fifty images writes it, some ten kilobytes. */
function node(index: number): object {
  const name = `node-${String(index)}.cluster.example`;
  const [high, low] = [String(index >> 8), String(index & 255)];
  const images = Array.from({ length: 50 }, (_, image) => ({
    names: [
      `registry.example/image-${String(image)}@sha256:${'a'.repeat(64)}`,
      `registry.example/image-${String(image)}:1`,
    ],
    sizeBytes: image,
  }));
  const addresses = [
    { type: 'Hostname', address: name },
    { type: 'InternalIP', address: `10.0.${high}.${low}` },
    { type: 'ExternalIP', address: `203.${high}.113.${low}` },
    { type: 'InternalIP', address: `2001:db8:${high}::${low}` },
  ];
  return { metadata: { name, labels: { 'kubernetes.io/hostname': name } }, spec: {}, status: { addresses, images } };
}

const api: Pick<ClusterApi, 'request'> = {
  request: async (_method, path) => {
    const query = new URL(path, 'https://api').searchParams;
    const [from, limit] = [Number(query.get('continue') ?? 0), Number(query.get('limit'))];
    const items = Array.from({ length: Math.min(limit, NODES - from) }, (_, index) => node(from + index));
    const next = from + limit < NODES ? { continue: String(from + limit) } : {};
    // Through text, as it comes: what is cut from it must not hold it.
    return JSON.parse(JSON.stringify({ metadata: { resourceVersion: '1', ...next }, items })) as unknown;
  },
};

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const nodes = new NodeIndex();
const before = heap();
await loadNodes(new Cluster(api as ClusterApi, 'v1'), nodes, { withholdLabel: 'hold' }, new AbortController().signal);
console.log(JSON.stringify({ nodes: nodes.size, bytes: heap() - before, canCollect: globalThis.gc !== undefined }));
