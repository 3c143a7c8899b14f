// GELU in the tanh form: gelu(x) = ½x(1 + tanh u), u = √(2/π)(x + 0.044715 x³).
//
//     gelu_forward    activated = gelu(pre)
//     gelu_backward   d *= gelu'(pre), activated = gelu(pre)
//     gelu_backward_summed   the same, and sums over the rows of d as column_sum_part leaves them
//
// Departures from the textbook form, which the naive rung keeps:
// 1. ½(1 + tanh u) = σ(2u), which needs one exponential and does not cancel for very negative u.
// 2. The exponential is the hardware's power of two, with the factor log₂e inside the polynomial,
//    and the quotient its reciprocal with a Newton step: both within two units in the last place,
//    and few enough instructions that bf16 stays bound by memory.
#include "vector.cuh"

#define ROOT_2_OVER_PI 0.7978845608028654f
#define CUBIC 0.044715f
// 2√(2/π)·log₂e and its product with 0.044715.
#define LINEAR_2 2.302208198144325f
#define CUBIC_2 0.1029432395800235f

// Pieces of a thread.
constexpr int PIECES = 2;

#ifdef FORTIFAI_HOST
DEVICE float power_of_two(float x) { return exp2f(x); }
DEVICE float reciprocal(float x) { return 1.0f / x; }
#else
// Zero below 2⁻¹²⁶.
DEVICE float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// For x in [1, 2].
DEVICE float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return fmaf(y, fmaf(-x, y, 1.0f), y);
}
#endif

// σ(2u) and 1 − σ(2u), neither by subtraction from one.
struct Gate {
  float open, closed;
};
DEVICE Gate gate(float x) {
  float exponent = x * fmaf(CUBIC_2, x * x, LINEAR_2);
  float small = power_of_two(-fabsf(exponent));
  float large_side = reciprocal(1.0f + small);
  float small_side = small * large_side;
  return exponent > 0.0f ? Gate{large_side, small_side} : Gate{small_side, large_side};
}

// gelu' = σ + x σ (1 − σ) · 2u'.
DEVICE float slope(float x, Gate g) {
  float twice_du = 2.0f * ROOT_2_OVER_PI * fmaf(3.0f * CUBIC, x * x, 1.0f);
  return fmaf(x * g.open * g.closed, twice_du, g.open);
}

// A block's numbers are PIECES times a piece for each thread: piece k of this thread begins at
// piece(k). Where they are not all there, or not aligned, they are taken one at a time.
DEVICE u64 piece(int k) {
  return ((u64(blockIdx.x) * PIECES + k) * blockDim.x + threadIdx.x) * WIDTH;
}
DEVICE u64 block_start() { return u64(blockIdx.x) * PIECES * blockDim.x * WIDTH; }
DEVICE u64 block_end() { return (u64(blockIdx.x) + 1) * PIECES * blockDim.x * WIDTH; }

KERNEL(256, gelu_forward)(act* activated, const act* pre, u64 len) {
  if (block_end() <= len && aligned(activated) && aligned(pre)) {
    float x[PIECES][WIDTH];
#pragma unroll
    for (int k = 0; k < PIECES; k++) load(x[k], pre + piece(k));
#pragma unroll
    for (int k = 0; k < PIECES; k++) {
#pragma unroll
      for (int j = 0; j < WIDTH; j++) x[k][j] *= gate(x[k][j]).open;
      store(activated + piece(k), x[k]);
    }
    return;
  }
  u64 end = min(block_end(), len);
  for (u64 i = block_start() + threadIdx.x; i < end; i += blockDim.x) {
    float x = to_float(pre[i]);
    activated[i] = to_act(x * gate(x).open);
  }
}
EXPORT(gelu_forward)

KERNEL(256, gelu_backward)(act* d, act* activated, const act* pre, u64 len) {
  if (block_end() <= len && aligned(d) && aligned(activated) && aligned(pre)) {
    float x[PIECES][WIDTH], g[PIECES][WIDTH];
#pragma unroll
    for (int k = 0; k < PIECES; k++) {
      load(x[k], pre + piece(k));
      load(g[k], d + piece(k));
    }
#pragma unroll
    for (int k = 0; k < PIECES; k++) {
#pragma unroll
      for (int j = 0; j < WIDTH; j++) {
        Gate both = gate(x[k][j]);
        g[k][j] *= slope(x[k][j], both);
        x[k][j] *= both.open;
      }
      store(d + piece(k), g[k]);
      store(activated + piece(k), x[k]);
    }
    return;
  }
  u64 end = min(block_end(), len);
  for (u64 i = block_start() + threadIdx.x; i < end; i += blockDim.x) {
    float x = to_float(pre[i]);
    Gate both = gate(x);
    d[i] = to_act(to_float(d[i]) * slope(x, both));
    activated[i] = to_act(x * both.open);
  }
}
EXPORT(gelu_backward)

// Rows of a thread at a time.
constexpr int AT_ONCE = 2;

// A block takes `rows` rows and lanes·W columns, as in column_sum.cu and in the same order.
template <int W>
DEVICE void backward_summed(act* d, act* activated, float* parts, const act* pre, int n, int c, int rows,
                            int lanes) {
  SHARED(Words<16>, shared, [256 * W / 4]);
  float* groups_of_columns = reinterpret_cast<float*>(shared);
  int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = blockDim.x / lanes;
  int tile = lanes * W, start = blockIdx.y * tile, column = start + lane * W;
  int first = blockIdx.x * rows, last = min(first + rows, n);
  float sum[W] = {};
  for (int row = first + group; row < last && column < c; row += AT_ONCE * groups) {
    float x[AT_ONCE][W], g[AT_ONCE][W];
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++) {
      u64 at = u64(row + i * groups) * c + column;
      load(x[i], pre + at, row + i * groups < last);
      load(g[i], d + at, row + i * groups < last);
    }
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++) {
      u64 at = u64(row + i * groups) * c + column;
#pragma unroll
      for (int j = 0; j < W; j++) {
        Gate both = gate(x[i][j]);
        g[i][j] = to_float(to_act(g[i][j] * slope(x[i][j], both)));
        x[i][j] *= both.open;
        sum[j] += g[i][j];
      }
      store(d + at, g[i], row + i * groups < last);
      store(activated + at, x[i], row + i * groups < last);
    }
  }
  store(groups_of_columns + threadIdx.x * W, sum);
  __syncthreads();
  for (int j = threadIdx.x; j < tile && start + j < c; j += blockDim.x) {
    float total = 0.0f;
    for (int g = 0; g < groups; g++) total += groups_of_columns[g * tile + j];
    parts[u64(blockIdx.x) * c + start + j] = total;
  }
}

// Whole pieces, aligned.
KERNEL(256, gelu_backward_summed)
(act* d, act* activated, float* parts, const act* pre, int n, int c, int rows, int lanes) {
  backward_summed<WIDTH>(d, activated, parts, pre, n, c, rows, lanes);
}
EXPORT(gelu_backward_summed)

// Any row.
KERNEL(256, gelu_backward_summed_ragged)
(act* d, act* activated, float* parts, const act* pre, int n, int c, int rows, int lanes) {
  backward_summed<1>(d, activated, parts, pre, n, c, rows, lanes);
}
EXPORT(gelu_backward_summed_ragged)

KERNEL(256, gelu_forward_naive)(act* activated, const act* pre, u64 len) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= len) return;
  float x = to_float(pre[i]);
  float u = ROOT_2_OVER_PI * (x + CUBIC * x * x * x);
  activated[i] = to_act(0.5f * x * (1.0f + tanhf(u)));
}
EXPORT(gelu_forward_naive)

KERNEL(256, gelu_backward_naive)(act* d, act* activated, const act* pre, u64 len) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= len) return;
  float x = to_float(pre[i]);
  float tanh_u = tanhf(ROOT_2_OVER_PI * (x + CUBIC * x * x * x));
  float du = ROOT_2_OVER_PI * (1.0f + 3.0f * CUBIC * x * x);
  float slope = 0.5f * (1.0f + tanh_u) + 0.5f * x * (1.0f - tanh_u * tanh_u) * du;
  d[i] = to_act(to_float(d[i]) * slope);
  activated[i] = to_act(0.5f * x * (1.0f + tanh_u));
}
EXPORT(gelu_backward_naive)
