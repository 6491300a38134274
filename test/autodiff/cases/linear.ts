import { float, int, string } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { i, k, one, w, x } from '../case.ts';

const matmul = (a: number[], b: number[]): Case => one('MatMul', `[${a}] by [${b}]`, [x(a), x(b)]);
const einsum = (equation: string, ...dims: number[][]): Case =>
  one(
    'Einsum',
    equation,
    dims.map((each) => x(each)),
    { equation: string(equation) },
  );

export const linear: Case[] = [
  matmul([2, 3], [3, 4]),
  matmul([2, 2, 3], [3, 4]),
  matmul([2, 3], [5, 3, 4]),
  matmul([2, 1, 2, 3], [5, 3, 4]),
  matmul([1, 2, 3], [2, 3, 4]),
  matmul([3], [3, 4]),
  matmul([2, 3], [3]),
  matmul([3], [3]),
  matmul([3], [2, 3, 4]),
  matmul([2, 4, 3], [3]),
  one('MatMul', 'with a weight', [x([2, 5, 3]), w([3, 4])]),
  one('Gemm', 'plain', [x([2, 3]), x([3, 4])]),
  one('Gemm', 'with a bias vector', [x([2, 3]), w([3, 4]), w([4])]),
  one('Gemm', 'with all attributes', [x([3, 2]), x([4, 3]), x([2, 1])], {
    transA: int(1),
    transB: int(1),
    alpha: float(0.7),
    beta: float(1.3),
  }),
  one('Gemm', 'with A transposed and a scalar bias', [x([3, 2]), x([3, 4]), x([])], { transA: int(1) }),
  one('Gemm', 'with B transposed', [x([2, 3]), w([4, 3]), w([4])], { transB: int(1), alpha: float(0.5) }),
  einsum('ij,jk->ik', [2, 3], [3, 4]),
  einsum('bij,bjk->bik', [2, 2, 3], [2, 3, 4]),
  einsum('bhid,bhjd->bhij', [1, 2, 3, 2], [1, 2, 4, 2]),
  einsum('ij,jk', [2, 3], [3, 4]),
  einsum('ij->i', [2, 3]),
  einsum('ij->ji', [2, 3]),
  einsum('ij->', [2, 3]),
  einsum('ijk,jl->il', [2, 3, 2], [3, 4]),
  einsum('i,j->ij', [2], [3]),
  einsum('i,i', [3], [3]),
  einsum('ij, jk, kl -> il', [2, 3], [3, 4], [4, 2]),
  // An axis of length 1 stands for as many as the other operand has.
  ...[
    einsum('ij,ij->ij', [2, 3], [2, 1]),
    einsum('ij,ij->i', [2, 3], [2, 1]),
    einsum('bij,bjk->bik', [2, 2, 3], [1, 3, 4]),
    einsum('ij,jk->ik', [2, 3], [1, 4]),
    einsum('ij,ij', [2, 3], [1, 1]),
    einsum('...i,...i->...', [2, 3, 2], [2, 1, 2]),
  ].map((c): Case => ({ ...c, staticOnly: 'a name does not say that it is 1' })),
  one('Range', 'of floats', [x([], { values: [0.3] }), k(2), x([], { values: [0.45] })], {}, {}),
  one('CumSum', 'along an axis', [x([2, 4]), i(1)], {}, { linear: true }),
  one('CumSum', 'along a negative axis', [x([2, 3, 2]), i(-2)], {}, { linear: true }),
  one('CumSum', 'exclusive', [x([2, 4]), i(1)], { exclusive: int(1) }, { linear: true }),
  one('CumSum', 'in reverse', [x([2, 4]), i(0)], { reverse: int(1) }, { linear: true }),
  one('CumSum', 'exclusive in reverse', [x([2, 4]), i([1])], { exclusive: int(1), reverse: int(1) }, { linear: true }),
];
