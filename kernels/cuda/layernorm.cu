// Residual sum and layer norm over the channels:
//     residual = x + branch
//     out = (residual − mean)·rstd·weight + bias,  rstd = 1/√(variance + 1e-5)
//
//     layernorm_forward    mean, rstd and out, of x or of x + branch
//     layernorm_apply      out again from the saved mean and rstd, bit for bit
//
// Departures from the naive rung: `team` threads share a row. Where rows are made of whole pieces,
// they read it once and keep it in registers: lanes of a warp up to 1024 channels (_8, _24, _32:
// the channels of a thread), the block beyond (_block_8, _block_16). Other rows are read several
// times, by a block each.
//
// In bf16 the residual that is normalised is the rounded one that is stored.
#include "vector.cuh"

#define EPSILON 1e-5f

DEVICE float normalised(float x, float mean, float rstd, float weight, float bias) {
  return fmaf((x - mean) * rstd, weight, bias);  // no choice of roundings is left to a compiler
}

template <int CHANNELS, bool BLOCK>
DEVICE void forward(act* out, act* residual, float* mean, float* rstd, const act* x,
                    const act* branch, const act* weight, const act* bias, int n, int c, int team) {
  SHARED(float, scratch, [32]);
  constexpr int K = CHANNELS / WIDTH;
  if (!BLOCK && CHANNELS > 8) team = 32;
  int lane = threadIdx.x % team;
  u64 row = u64(blockIdx.x) * (blockDim.x / team) + threadIdx.x / team;
  int columns = row < u64(n) ? c : 0;
  float per_channel = 1.0f / float(c);
  float r[K][WIDTH], added[K][WIDTH];
  load_row(r, x + row * c, lane, team, columns);
  load_row(added, (branch ? branch : x) + row * c, lane, team, branch ? columns : 0);
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < K; k++) {
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
      r[k][j] = to_float(to_act(r[k][j] + added[k][j]));
      sum += r[k][j];
    }
  }
  store_row((residual ? residual : out) + row * c, r, lane, team, residual ? columns : 0);

  float mu = row_sum<BLOCK>(sum, team, scratch) * per_channel;
  float squares = 0.0f;
#pragma unroll
  for (int k = 0; k < K; k++) {
    float about_what = (k * team + lane) * WIDTH < c ? mu : 0.0f;  // where r is zero
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
      float about = r[k][j] - about_what;
      squares = fmaf(about, about, squares);
    }
  }
  float scale = 1.0f / sqrtf(row_sum<BLOCK>(squares, team, scratch) * per_channel + EPSILON);
  if (columns > 0 && lane == 0) {
    mean[row] = mu;
    rstd[row] = scale;
  }
#pragma unroll
  for (int k = 0; k < K; k++) {
    int at = (k * team + lane) * WIDTH;
    float w[WIDTH], b[WIDTH];
    load(w, weight + at, at < c);
    load(b, bias + at, at < c);
#pragma unroll
    for (int j = 0; j < WIDTH; j++) r[k][j] = normalised(r[k][j], mu, scale, w[j], b[j]);
  }
  store_row(out + row * c, r, lane, team, columns);
}

// `residual` and `branch` are null where there is no branch.
#define FORWARD(NAME, THREADS, CHANNELS, BLOCK)                                               \
  KERNEL(THREADS, NAME)                                                                       \
  (act * out, act * residual, float* mean, float* rstd, const act* x, const act* branch,      \
   const act* weight, const act* bias, int n, int c, int team) {                              \
    forward<CHANNELS, BLOCK>(out, residual, mean, rstd, x, branch, weight, bias, n, c, team); \
  }                                                                                           \
  EXPORT(NAME)

FORWARD(layernorm_forward_8, 256, 8, false)
FORWARD(layernorm_forward_24, 256, 24, false)
FORWARD(layernorm_forward_32, 256, 32, false)
FORWARD(layernorm_forward_block_8, 256, 8, true)
FORWARD(layernorm_forward_block_16, 512, 16, true)

// Any row: a block each.
KERNEL(256, layernorm_forward)
(act* out, act* residual, float* mean, float* rstd, const act* x, const act* branch,
 const act* weight, const act* bias, int n, int c) {
  SHARED(float, scratch, [32]);
  u64 row = blockIdx.x;
  const act* r = x + row * c;
  if (branch) {
    for (int j = threadIdx.x; j < c; j += blockDim.x)
      residual[row * c + j] = to_act(to_float(r[j]) + to_float(branch[row * c + j]));
    r = residual + row * c;  // of which a thread reads what it has written
  }
  float sum = 0.0f, squares = 0.0f;
  for (int j = threadIdx.x; j < c; j += blockDim.x) sum += to_float(r[j]);
  float mu = block_sum(sum, scratch) / float(c);
  for (int j = threadIdx.x; j < c; j += blockDim.x) {
    float about = to_float(r[j]) - mu;
    squares = fmaf(about, about, squares);
  }
  float scale = 1.0f / sqrtf(block_sum(squares, scratch) / float(c) + EPSILON);
  if (threadIdx.x == 0) {
    mean[row] = mu;
    rstd[row] = scale;
  }
  for (int j = threadIdx.x; j < c; j += blockDim.x) {
    float w = to_float(weight[j]), b = to_float(bias[j]);
    out[row * c + j] = to_act(normalised(to_float(r[j]), mu, scale, w, b));
  }
}
EXPORT(layernorm_forward)

template <int W>
DEVICE void apply(act* out, const float* mean, const float* rstd, const act* residual,
                  const act* weight, const act* bias, int n, int c, int rows) {
  each_piece<W>(n, c, rows, [=](u64 row, int at) {
    float x[W], w[W], b[W];
    load(x, residual + row * c + at);
    load(w, weight + at);
    load(b, bias + at);
    float mu = mean[row], scale = rstd[row];
#pragma unroll
    for (int j = 0; j < W; j++) x[j] = normalised(x[j], mu, scale, w[j], b[j]);
    store(out + row * c + at, x);
  });
}

// Blocks of `rows` rows.
KERNEL(256, layernorm_apply)
(act* out, const float* mean, const float* rstd, const act* residual, const act* weight,
 const act* bias, int n, int c, int rows) {
  if (c % WIDTH == 0 && aligned(out) && aligned(residual) && aligned(weight) && aligned(bias))
    apply<WIDTH>(out, mean, rstd, residual, weight, bias, n, c, rows);
  else
    apply<1>(out, mean, rstd, residual, weight, bias, n, c, rows);
}
EXPORT(layernorm_apply)

// One thread per row.
KERNEL(256, layernorm_forward_naive)
(act* out, act* residual, float* mean, float* rstd, const act* x, const act* branch,
 const act* weight, const act* bias, int n, int c) {
  u64 row = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= u64(n)) return;
  const act* r = x + row * c;
  if (branch) {
    for (int j = 0; j < c; j++)
      residual[row * c + j] = to_act(to_float(r[j]) + to_float(branch[row * c + j]));
    r = residual + row * c;
  }
  float sum = 0.0f, squares = 0.0f;
  for (int j = 0; j < c; j++) sum += to_float(r[j]);
  float mu = sum / float(c);
  for (int j = 0; j < c; j++) squares += (to_float(r[j]) - mu) * (to_float(r[j]) - mu);
  float scale = 1.0f / sqrtf(squares / float(c) + EPSILON);
  mean[row] = mu;
  rstd[row] = scale;
  for (int j = 0; j < c; j++) {
    float w = to_float(weight[j]), b = to_float(bias[j]);
    out[row * c + j] = to_act(normalised(to_float(r[j]), mu, scale, w, b));
  }
}
EXPORT(layernorm_forward_naive)

// One thread per number.
KERNEL(256, layernorm_apply_naive)
(act* out, const float* mean, const float* rstd, const act* residual, const act* weight,
 const act* bias, int n, int c) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= u64(n) * c) return;
  u64 row = i / c, j = i % c;
  float w = to_float(weight[j]), b = to_float(bias[j]);
  out[i] = to_act(normalised(to_float(residual[i]), mean[row], rstd[row], w, b));
}
EXPORT(layernorm_apply_naive)
