// Sums over the rows of a matrix [n, oc], added to a vector:
//     dbias += Σ_rows dout
//
//     column_sum_part      parts [chunks, oc], one row for every `rows` rows of dout
//     column_sum_finish    adds up the parts
//
// The order of every sum follows from n, oc and the precision.
#include "vector.cuh"

typedef Words<16> Piece;

// A block takes `rows` rows and lanes·W columns. Its threads are groups of `lanes`: a lane adds up W
// columns of its group's rows, every so manieth; then the groups are added, the first one first.
template <int W>
DEVICE void part(float* parts, const act* dout, int n, int oc, int rows, int lanes) {
  SHARED(Piece, shared, [256 * W / 4]);
  float* groups_of_columns = reinterpret_cast<float*>(shared);
  int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = blockDim.x / lanes;
  int tile = lanes * W, start = blockIdx.y * tile, column = start + lane * W;
  int first = blockIdx.x * rows, last = min(first + rows, n);
  float sum[W] = {};
  auto row = [=](u32 i) { return dout + u64(i) * oc + column; };
  if (column < oc) add_rows(sum, first + group, last, groups, row);
  store(groups_of_columns + threadIdx.x * W, sum);
  __syncthreads();
  for (int j = threadIdx.x; j < tile && start + j < oc; j += blockDim.x) {
    float total = 0.0f;
    for (int g = 0; g < groups; g++) total += groups_of_columns[g * tile + j];
    parts[u64(blockIdx.x) * oc + start + j] = total;
  }
}

// Whole pieces, aligned.
KERNEL(256, column_sum_part)(float* parts, const act* dout, int n, int oc, int rows, int lanes) {
  part<WIDTH>(parts, dout, n, oc, rows, lanes);
}
EXPORT(column_sum_part)

// Any row.
KERNEL(256, column_sum_part_ragged)
(float* parts, const act* dout, int n, int oc, int rows, int lanes) {
  part<1>(parts, dout, n, oc, rows, lanes);
}
EXPORT(column_sum_part_ragged)

// out_y [c] += Σ over the `count` rows of parts [gridDim.y, count, c], y being 0 or 1. A block has
// 32 columns; of its warps, warp w adds up every so manieth row from w on, then the warps are added
// from the first to the last.
KERNEL(1024, column_sum_finish)(float* out_0, float* out_1, const float* parts, int count, int c) {
  SHARED(float, sums, [32][32]);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  int column = blockIdx.x * 32 + lane;
  parts += u64(blockIdx.y) * count * c;
  float sum[1] = {};
  auto row = [=](u32 i) { return parts + u64(i) * c + column; };
  if (column < c) add_rows(sum, warp, count, warps, row);
  sums[warp][lane] = sum[0];
  __syncthreads();
  if (warp > 0 || column >= c) return;
  float total = 0.0f;
#pragma unroll 8
  for (int w = 0; w < warps; w++) total += sums[w][lane];
  float* out = blockIdx.y == 0 ? out_0 : out_1;
  out[column] += total;
}
EXPORT(column_sum_finish)

// One thread per column.
KERNEL(256, column_sum_naive)(float* dbias, const act* dout, int n, int oc) {
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= oc) return;
  float sum = 0.0f;
  for (int row = 0; row < n; row++) sum += to_float(dout[u64(row) * oc + column]);
  dbias[column] += sum;
}
EXPORT(column_sum_naive)
