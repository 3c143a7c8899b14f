// Sums over the rows of a matrix [n, oc], added to a vector:
//     dbias += Σ_rows dout
//
//     column_sum_part      parts [chunks, oc], one row for every `rows` rows of dout
//     column_sum_finish    adds up the parts
//
// The order of every sum follows from n, oc and the precision.
#include "vector.cuh"

typedef Words<16> Piece;

// A block takes `rows` rows and lanes·W columns. Its thread is lane `lane` of row group `group`, and
// adds up W columns of every so manieth row; then the groups are added from the first to the last.
template <int W>
DEVICE void part(float* parts, const act* dout, int n, int oc, int rows, int lanes) {
  SHARED(Piece, shared, [256 * W / 4]);
  float* groups_of_columns = reinterpret_cast<float*>(shared);
  int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = blockDim.x / lanes;
  int tile = lanes * W, start = blockIdx.y * tile, column = start + lane * W;
  int first = blockIdx.x * rows, last = min(first + rows, n);
  float sum[W] = {};
  if (column < oc)
    add_rows(sum, first + group, last, groups, [=](u32 row) { return dout + u64(row) * oc + column; });
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
KERNEL(256, column_sum_part_ragged)(float* parts, const act* dout, int n, int oc, int rows, int lanes) {
  part<1>(parts, dout, n, oc, rows, lanes);
}
EXPORT(column_sum_part_ragged)

// out_y [c] += Σ over the `count` rows of parts [gridDim.y, count, c], y being 0 or 1. A block takes
// 32 columns; warp w adds up every 32nd row from w on, then a tree adds the warps.
KERNEL(1024, column_sum_finish)(float* out_0, float* out_1, const float* parts, int count, int c) {
  SHARED(float, sums, [32][33]);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int start = blockIdx.x * 32;
  parts += u64(blockIdx.y) * count * c;
  float sum = 0.0f;
  if (start + lane < c) {
#pragma unroll 8
    for (int row = warp; row < count; row += 32) sum += parts[u64(row) * c + start + lane];
  }
  sums[warp][lane] = sum;
  __syncthreads();
  float total = warp_sum(sums[lane][warp]);
  float* out = blockIdx.y == 0 ? out_0 : out_1;
  if (lane == 0 && start + warp < c) out[start + warp] += total;
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
