// Gradient of the layer norm over the channels. With x̂ = (residual − mean)·rstd and
// e = dout ∘ weight:
//     dresidual += rstd·(e − mean(e) − x̂·mean(e ∘ x̂)),  dweight += Σ dout ∘ x̂,  dbias += Σ dout
//
//     layernorm_backward            dresidual; with a suffix, also a block's part of the sums
//     layernorm_backward_columns    parts of the sums over rows
//
// Rows are spread over threads as in layernorm.cu, so that one pass reads everything. The parts are
// [2, blocks, c]; column_sum_finish adds them up.
#include "vector.cuh"

// Channels of the longest row whose team is within a warp.
constexpr int WARP_MOST = 1024;
typedef Words<16> Piece;

// Over all columns j of a team's row: totals[j] is set, or added to.
template <int K>
DEVICE void add_row(float* totals, const float (&x)[K][WIDTH], int lane, int team, bool set) {
#pragma unroll
  for (int k = 0; k < K; k++) {
    float* at = totals + (k * team + lane) * WIDTH;
    float sum[WIDTH];
    load(sum, at, !set);
#pragma unroll
    for (int j = 0; j < WIDTH; j++) sum[j] += x[k][j];
    store(at, sum);
  }
}

// A team takes `steps` rows, a block's teams neighbouring ones. A block's part is row blockIdx.x.
template <int CHANNELS, bool BLOCK>
DEVICE void backward(act* dresidual, float* parts, const float* mean, const float* rstd,
                     const act* dout, const act* residual, const act* weight, int n, int c,
                     int team, int steps) {
  SHARED(float, scratch, [32]);
  constexpr int K = CHANNELS / WIDTH;
  if (!BLOCK && CHANNELS > 8) team = 32;
  int lane = threadIdx.x % team, teams = blockDim.x / team;
  float per_channel = 1.0f / float(c);
  float dweight[K][WIDTH] = {}, dbias[K][WIDTH] = {};
  u64 first = u64(blockIdx.x) * steps * teams;
  for (int step = 0; step < steps && first < u64(n); step++, first += teams) {
    u64 row = first + threadIdx.x / team;
    int columns = row < u64(n) ? c : 0;
    float x[K][WIDTH], d[K][WIDTH], dx[K][WIDTH];
    load_row(d, dout + row * c, lane, team, columns);
    load_row(x, residual + row * c, lane, team, columns);
    load_row(dx, dresidual + row * c, lane, team, columns);
    float mu = columns > 0 ? mean[row] : 0.0f, scale = columns > 0 ? rstd[row] : 0.0f;
    float sum = 0.0f, dot = 0.0f;
#pragma unroll
    for (int k = 0; k < K; k++) {
      int at = (k * team + lane) * WIDTH;
      float w[WIDTH];
      load(w, weight + at, at < c);
#pragma unroll
      for (int j = 0; j < WIDTH; j++) {
        x[k][j] = (x[k][j] - mu) * scale;
        dweight[k][j] = fmaf(d[k][j], x[k][j], dweight[k][j]);
        dbias[k][j] += d[k][j];
        d[k][j] *= w[j];
        sum += d[k][j];
        dot = fmaf(d[k][j], x[k][j], dot);
      }
    }
    sum = row_sum<BLOCK>(sum, team, scratch) * per_channel;
    dot = row_sum<BLOCK>(dot, team, scratch) * per_channel;
#pragma unroll
    for (int k = 0; k < K; k++) {
#pragma unroll
      for (int j = 0; j < WIDTH; j++)
        dx[k][j] = fmaf(scale, d[k][j] - sum - x[k][j] * dot, dx[k][j]);
    }
    store_row(dresidual + row * c, dx, lane, team, columns);
  }

  float* to_dweight = parts + u64(blockIdx.x) * c;
  float* to_dbias = to_dweight + u64(gridDim.x) * c;
  if constexpr (BLOCK) {
    store_row(to_dweight, dweight, lane, team, c);
    store_row(to_dbias, dbias, lane, team, c);
  } else {
    // The teams of a warp as a tree, then the warps one after the other.
    for (int other = team; other < 32; other *= 2) {
#pragma unroll
      for (int k = 0; k < K; k++) {
#pragma unroll
        for (int j = 0; j < WIDTH; j++) {
          dweight[k][j] += __shfl_xor_sync(FULL, dweight[k][j], other);
          dbias[k][j] += __shfl_xor_sync(FULL, dbias[k][j], other);
        }
      }
    }
    SHARED(Piece, totals, [2 * WARP_MOST / 4]);
    float* total_dweight = reinterpret_cast<float*>(totals);
    float* total_dbias = total_dweight + WARP_MOST;
    for (int warp = 0; warp < int(blockDim.x) / 32; warp++) {
      if (int(threadIdx.x) / 32 == warp && int(threadIdx.x) % 32 < team) {
        add_row(total_dweight, dweight, lane, team, warp == 0);
        add_row(total_dbias, dbias, lane, team, warp == 0);
      }
      __syncthreads();
    }
    for (int j = threadIdx.x; j < c; j += blockDim.x) {
      to_dweight[j] = total_dweight[j];
      to_dbias[j] = total_dbias[j];
    }
  }
}

#define BACKWARD(NAME, THREADS, CHANNELS, BLOCK)                                             \
  KERNEL(THREADS, NAME)                                                                      \
  (act * dresidual, float* parts, const float* mean, const float* rstd, const act* dout,     \
   const act* residual, const act* weight, int n, int c, int team, int steps) {              \
    backward<CHANNELS, BLOCK>(dresidual, parts, mean, rstd, dout, residual, weight, n, c,    \
                              team, steps);                                                  \
  }                                                                                          \
  EXPORT(NAME)

BACKWARD(layernorm_backward_8, 128, 8, false)
BACKWARD(layernorm_backward_24, 128, 24, false)
BACKWARD(layernorm_backward_32, 128, 32, false)
BACKWARD(layernorm_backward_block_8, 256, 8, true)
BACKWARD(layernorm_backward_block_16, 512, 16, true)

// Any row: dresidual, a block for each row.
KERNEL(256, layernorm_backward)
(act* dresidual, const float* mean, const float* rstd, const act* dout, const act* residual,
 const act* weight, int c) {
  SHARED(float, scratch, [32]);
  u64 row = blockIdx.x;
  const act *d = dout + row * c, *r = residual + row * c;
  act* dx = dresidual + row * c;
  float mu = mean[row], scale = rstd[row], sum = 0.0f, dot = 0.0f;
  for (int j = threadIdx.x; j < c; j += blockDim.x) {
    float e = to_float(d[j]) * to_float(weight[j]);
    sum += e;
    dot = fmaf(e, (to_float(r[j]) - mu) * scale, dot);
  }
  sum = block_sum(sum, scratch) / float(c);
  dot = block_sum(dot, scratch) / float(c);
  for (int j = threadIdx.x; j < c; j += blockDim.x) {
    float e = to_float(d[j]) * to_float(weight[j]), x = (to_float(r[j]) - mu) * scale;
    dx[j] = to_act(fmaf(scale, e - sum - x * dot, to_float(dx[j])));
  }
}
EXPORT(layernorm_backward)

// Any row: parts [2, gridDim.x, c] of dweight and dbias, a block for `rows` rows and 256 columns.
KERNEL(256, layernorm_backward_columns)
(float* parts, const float* mean, const float* rstd, const act* dout, const act* residual, int n,
 int c, int rows) {
  int j = blockIdx.y * blockDim.x + threadIdx.x;
  if (j >= c) return;
  float w = 0.0f, b = 0.0f;
  int first = blockIdx.x * rows, last = min(first + rows, n);
  for (int row = first; row < last; row++) {
    float d = to_float(dout[u64(row) * c + j]), x = to_float(residual[u64(row) * c + j]);
    w = fmaf(d, (x - mean[row]) * rstd[row], w);
    b += d;
  }
  parts[u64(blockIdx.x) * c + j] = w;
  parts[(u64(gridDim.x) + blockIdx.x) * c + j] = b;
}
EXPORT(layernorm_backward_columns)

// One thread per row.
KERNEL(256, layernorm_backward_naive)
(act* dresidual, const float* mean, const float* rstd, const act* dout, const act* residual,
 const act* weight, int n, int c) {
  u64 row = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= u64(n)) return;
  const act *d = dout + row * c, *r = residual + row * c;
  act* dx = dresidual + row * c;
  float mu = mean[row], scale = rstd[row], sum = 0.0f, dot = 0.0f;
  for (int j = 0; j < c; j++) {
    float e = to_float(d[j]) * to_float(weight[j]), x = (to_float(r[j]) - mu) * scale;
    sum += e;
    dot += e * x;
  }
  for (int j = 0; j < c; j++) {
    float e = to_float(d[j]) * to_float(weight[j]), x = (to_float(r[j]) - mu) * scale;
    dx[j] = to_act(to_float(dx[j]) + scale * (e - sum / float(c) - x * (dot / float(c))));
  }
}
EXPORT(layernorm_backward_naive)

// One thread per column.
KERNEL(256, layernorm_backward_columns_naive)
(float* dweight, float* dbias, const float* mean, const float* rstd, const act* dout,
 const act* residual, int n, int c) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= c) return;
  float w = 0.0f, b = 0.0f;
  for (int row = 0; row < n; row++) {
    float d = to_float(dout[u64(row) * c + j]), x = to_float(residual[u64(row) * c + j]);
    w += d * (x - mean[row]) * rstd[row];
    b += d;
  }
  dweight[j] += w;
  dbias[j] += b;
}
EXPORT(layernorm_backward_columns_naive)
