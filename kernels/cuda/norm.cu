// Σ g² in f64.
//
//     norm_part      parts [gridDim.x], one for every gridDim.x-th tile
//     norm_finish    their sum
//
// The launcher's grid depends on the length alone, and so does the order of the sum.
#include "vector.cuh"

// Pieces of four numbers of a thread, and numbers of a block, at a time.
constexpr int PIECES = 4;
constexpr int TILE = 256 * 4 * PIECES;

// The sum over a block of 256 threads as a tree.
DEVICE double block_sum_wide(double x, double* tree) {
  tree[threadIdx.x] = x;
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (int(threadIdx.x) < half) tree[threadIdx.x] += tree[threadIdx.x + half];
    __syncthreads();
  }
  return tree[0];
}

KERNEL(256, norm_part)(double* parts, const float* g, u64 len) {
  SHARED(double, tree, [256]);
  bool pieces = aligned(g);
  double sum = 0.0;
  for (u64 start = u64(blockIdx.x) * TILE; start < len; start += u64(gridDim.x) * TILE) {
    if (pieces && start + TILE <= len) {
      float x[PIECES][4];
#pragma unroll
      for (int k = 0; k < PIECES; k++) load(x[k], g + start + (k * 256 + threadIdx.x) * 4);
#pragma unroll
      for (int k = 0; k < PIECES; k++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sum = fma(double(x[k][j]), double(x[k][j]), sum);
      }
    } else {
      u64 end = min(start + TILE, len);
      for (u64 i = start + threadIdx.x; i < end; i += 256)
        sum = fma(double(g[i]), double(g[i]), sum);
    }
  }
  sum = block_sum_wide(sum, tree);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
EXPORT(norm_part)

KERNEL(256, norm_finish)(double* out, const double* parts, int count) {
  SHARED(double, tree, [256]);
  double sum = 0.0;
  for (int i = threadIdx.x; i < count; i += 256) sum += parts[i];
  sum = block_sum_wide(sum, tree);
  if (threadIdx.x == 0) *out = sum;
}
EXPORT(norm_finish)

// One thread.
KERNEL(32, norm_naive)(double* out, const float* g, u64 len) {
  if (threadIdx.x > 0) return;
  double sum = 0.0;
  for (u64 i = 0; i < len; i++) sum += double(g[i]) * double(g[i]);
  *out = sum;
}
EXPORT(norm_naive)
