import t from 'tap';
import { isNameDropped, reachesSigner, unreachedSigner } from '../../src/csr/signer-names.ts';

const OWN = 'example.com/monitoring';
const STOCK = [
  'kubernetes.io/kube-apiserver-client',
  'kubernetes.io/kube-apiserver-client-kubelet',
  'kubernetes.io/kubelet-serving',
];

for (const { version, minor, own } of [
  { version: 'v1', minor: undefined, own: 'yes' },
  { version: 'v1', minor: 36, own: 'yes' },
  { version: 'v1beta1', minor: 9, own: 'no' },
  { version: 'v1beta1', minor: 17, own: 'no' },
  { version: 'v1beta1', minor: 18, own: 'yes' },
  { version: 'v1beta1', minor: 21, own: 'yes' },
  { version: 'v1beta1', minor: undefined, own: 'unknown' },
] as const) {
  t.test(`${version}, release ${minor === undefined ? 'not told' : `1.${String(minor)}`}: ${own}`, async (t) => {
    t.equal(reachesSigner(OWN, { version, minor }), own);
    t.equal(reachesSigner('kubernetes.io/another', { version, minor }), own, 'also one that sounds like Kubernetes');
    for (const signerName of STOCK) t.equal(reachesSigner(signerName, { version, minor }), 'yes', signerName);
  });
}

t.test('a name that the answer lacks counts for signers that nobody stands in for', async (t) => {
  t.equal(isNameDropped(OWN, undefined), true);
  t.equal(isNameDropped(OWN, OWN), false);
  for (const signerName of STOCK) t.equal(isNameDropped(signerName, undefined), false, signerName);
});

t.test('the reason names the signer that is meant and the one that would sign', async (t) => {
  t.match(unreachedSigner(OWN), /example\.com\/monitoring would never see.*kube-controller-manager would sign/);
});
