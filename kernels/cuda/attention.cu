// Causal attention, one head at a time: out = softmax(Q Kᵀ/√hs) V, and its gradient.
//
//     qkv [b, t, 3, nh, hs], out [b, t, nh, hs], lse [b, nh, t] = ln Σ_j e^(s_ij), s_ij = q_i·k_j/√hs
//     P_ij = e^(s_ij − lse_i) for j ≤ i, D_i = dout_i·out_i, dS_ij = P_ij (dout_i·v_j − D_i)
//     dQ += dS K/√hs, dK += dSᵀ Q/√hs, dV += Pᵀ dout
//
// Two rungs in f32 arithmetic: the formula for every row, and tiles in shared memory in the flash
// manner. A third, on tensor cores, is in attention_mma.cu.
//
// Grids are flat: block = head number · tiles + tile, or a row of a head.
#include "heads.cuh"
#include "vector.cuh"

// Whether rows of hs numbers from `p` on can be read four at a time.
DEVICE bool in_fours(const act* p, int hs) { return hs % 4 == 0 && aligned(p, 4 * sizeof(act)); }

// x[e] = p[e] for e < valid, else zero; with `fours`, valid is four or more, or nothing is.
DEVICE void load_four(float (&x)[4], const act* p, int valid, bool fours) {
  if (fours) {
    load(x, p, valid > 0);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) x[e] = e < valid ? to_float(p[e]) : 0.0f;
  }
}

DEVICE float half_warp_max(float x) {
  for (int lane = 8; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(FULL, x, lane));
  return x;
}
DEVICE float half_warp_sum(float x) {
  for (int lane = 8; lane > 0; lane /= 2) x += __shfl_xor_sync(FULL, x, lane);
  return x;
}

// ---- the formula ----

// Σ_d a_d factor · b_d. Scores scale the query, not the product: `product·scale − most` could be
// contracted to one operation, and for huge scores its rounding error is no longer small.
DEVICE float dot(const act* a, const act* b, int hs, float factor) {
  float sum = 0.0f;
  for (int d = 0; d < hs; d++) sum = fmaf(to_float(a[d]) * factor, to_float(b[d]), sum);
  return sum;
}

// One block per query.
KERNEL(64, attention_forward_naive)(act* out, float* lse, const act* qkv, int t, int nh, int hs) {
  SHARED(float, weights, [64]);
  SHARED(float, scratch, [32]);
  int head = blockIdx.x / t, i = blockIdx.x % t, lane = threadIdx.x;
  u64 stride = 3 * u64(nh) * hs;
  const act* q = part_of(qkv, 0, head, t, nh, hs) + i * stride;
  const act* k = part_of(qkv, 1, head, t, nh, hs);
  const act* v = part_of(qkv, 2, head, t, nh, hs);
  float scale = scale_of(hs);
  float most = -INFINITY_F;
  for (int j = lane; j <= i; j += 64) most = fmaxf(most, dot(q, k + j * stride, hs, scale));
  most = block_max(most, scratch);
  float total = 0.0f;
  for (int j = lane; j <= i; j += 64) total += expf(dot(q, k + j * stride, hs, scale) - most);
  total = block_sum(total, scratch);
  for (int d = lane; d - lane < hs; d += 64) {
    float sum = 0.0f;
    for (int start = 0; start <= i; start += 64) {
      int j = start + lane, count = min(64, i + 1 - start);
      __syncthreads();
      if (j <= i) weights[lane] = expf(dot(q, k + j * stride, hs, scale) - most) / total;
      __syncthreads();
      if (d < hs)
        for (int c = 0; c < count; c++)
          sum = fmaf(weights[c], to_float(v[(start + c) * stride + d]), sum);
    }
    if (d < hs) head_of(out, head, t, nh, hs)[u64(i) * nh * hs + d] = to_act(sum);
  }
  if (lane == 0) lse[u64(head) * t + i] = most + logf(total);
}
EXPORT(attention_forward_naive)

// row_sums [b, nh, t] = D. Half a warp per row.
KERNEL(256, attention_row_sums)
(float* row_sums, const act* dout, const act* out, u64 rows, int t, int nh, int hs) {
  bool fours = in_fours(dout, hs) && in_fours(out, hs);
  u64 row = u64(blockIdx.x) * 16 + threadIdx.x / 16;
  bool there = row < rows;
  int head = there ? int(row / t) : 0;
  u64 at = there ? row % t * nh * hs : 0;
  const act* x = head_of(dout, head, t, nh, hs) + at;
  const act* y = head_of(out, head, t, nh, hs) + at;
  float sum = 0.0f;
  for (int d = threadIdx.x % 16 * 4; d < hs; d += 64) {
    float a[4], b[4];
    load_four(a, x + d, hs - d, fours);
    load_four(b, y + d, hs - d, fours);
#pragma unroll
    for (int e = 0; e < 4; e++) sum = fmaf(a[e], b[e], sum);
  }
  sum = half_warp_sum(sum);
  if (there && threadIdx.x % 16 == 0) row_sums[row] = sum;
}
EXPORT(attention_row_sums)

// One block per query: dQ.
KERNEL(64, attention_backward_naive_queries)
(act* dqkv, const float* row_sums, const float* lse, const act* dout, const act* qkv, int t, int nh, int hs) {
  SHARED(float, ds, [64]);
  int head = blockIdx.x / t, i = blockIdx.x % t, lane = threadIdx.x;
  u64 stride = 3 * u64(nh) * hs, row = u64(head) * t + i;
  const act* q = part_of(qkv, 0, head, t, nh, hs) + i * stride;
  const act* k = part_of(qkv, 1, head, t, nh, hs);
  const act* v = part_of(qkv, 2, head, t, nh, hs);
  const act* dy = head_of(dout, head, t, nh, hs) + u64(i) * nh * hs;
  act* dq = part_of(dqkv, 0, head, t, nh, hs) + i * stride;
  float scale = scale_of(hs);
  for (int d = lane; d - lane < hs; d += 64) {
    float sum = 0.0f;
    for (int start = 0; start <= i; start += 64) {
      int j = start + lane, count = min(64, i + 1 - start);
      __syncthreads();
      if (j <= i) {
        float p = expf(dot(q, k + j * stride, hs, scale) - lse[row]);
        ds[lane] = p * (dot(dy, v + j * stride, hs, 1.0f) - row_sums[row]);
      }
      __syncthreads();
      if (d < hs)
        for (int c = 0; c < count; c++)
          sum = fmaf(ds[c], to_float(k[(start + c) * stride + d]), sum);
    }
    if (d < hs) dq[d] = to_act(to_float(dq[d]) + sum * scale);
  }
}
EXPORT(attention_backward_naive_queries)

// One block per key: dK and dV.
KERNEL(64, attention_backward_naive_keys)
(act* dqkv, const float* row_sums, const float* lse, const act* dout, const act* qkv, int t, int nh, int hs) {
  SHARED(float, p, [64]);
  SHARED(float, ds, [64]);
  int head = blockIdx.x / t, j = blockIdx.x % t, lane = threadIdx.x;
  u64 stride = 3 * u64(nh) * hs, row = u64(head) * t, step = u64(nh) * hs;
  const act* q = part_of(qkv, 0, head, t, nh, hs);
  const act* k = part_of(qkv, 1, head, t, nh, hs) + j * stride;
  const act* v = part_of(qkv, 2, head, t, nh, hs) + j * stride;
  const act* dy = head_of(dout, head, t, nh, hs);
  act* dk = part_of(dqkv, 1, head, t, nh, hs) + j * stride;
  act* dv = part_of(dqkv, 2, head, t, nh, hs) + j * stride;
  float scale = scale_of(hs);
  for (int d = lane; d - lane < hs; d += 64) {
    float key_sum = 0.0f, value_sum = 0.0f;
    for (int start = j; start < t; start += 64) {
      int i = start + lane, count = min(64, t - start);
      __syncthreads();
      if (i < t) {
        p[lane] = expf(dot(q + i * stride, k, hs, scale) - lse[row + i]);
        ds[lane] = p[lane] * (dot(dy + i * step, v, hs, 1.0f) - row_sums[row + i]);
      }
      __syncthreads();
      if (d < hs) {
        for (int c = 0; c < count; c++) {
          key_sum = fmaf(ds[c], to_float(q[(start + c) * stride + d]), key_sum);
          value_sum = fmaf(p[c], to_float(dy[(start + c) * step + d]), value_sum);
        }
      }
    }
    if (d < hs) {
      dk[d] = to_act(to_float(dk[d]) + key_sum * scale);
      dv[d] = to_act(to_float(dv[d]) + value_sum);
    }
  }
}
EXPORT(attention_backward_naive_keys)

// ---- tiles in shared memory ----
//
// A block owns 64 rows (queries, or keys in the second pass backward) and streams tiles of the other
// kind past them; what the causal mask hides is not loaded. Threads form 16 × 16: thread (y, x) has
// rows 4y…4y+3, and of a tile of scores the columns x, x + 16, …. Half a warp shares rows, so what
// it exchanges through shared memory needs no barrier of the block.
//
// Head sizes are rounded up to HS, with zeros. Rows of tiles are PAD apart, which keeps the 16-byte
// reads of different rows in different banks.
constexpr int OWN = 64;
constexpr int PAD = 4;

template <class T, int N>
struct alignas(N * sizeof(T)) Pack {
  T x[N];
};

struct Thread {
  int x = threadIdx.x % 16, y = threadIdx.x / 16;
};

// Rows start … start + ROWS of a head times `factor`, with zeros from row `t` on.
template <int ROWS, int HS>
DEVICE void load_tile(float* tile, const act* from, u64 stride, int start, int t, int hs, float factor) {
  bool fours = in_fours(from, hs);
#pragma unroll 4
  for (int piece = threadIdx.x; piece < ROWS * HS / 4; piece += 256) {
    int row = piece / (HS / 4), d = piece % (HS / 4) * 4;
    Pack<float, 4> numbers;
    load_four(numbers.x, from + (start + row) * stride + d, start + row < t ? hs - d : 0, fours);
#pragma unroll
    for (int e = 0; e < 4; e++) numbers.x[e] *= factor;
    *reinterpret_cast<Pack<float, 4>*>(tile + row * (HS + PAD) + d) = numbers;
  }
}

// s[r][c] = a_(4y + r) · b_(x + 16c), summed from the first channel to the last.
template <int HS, int C>
DEVICE void products(float (&s)[4][C / 16], const float* a, const float* b) {
  Thread me;
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int c = 0; c < C / 16; c++) s[r][c] = 0.0f;
#pragma unroll 1
  for (int d = 0; d < HS; d += 4) {
    Pack<float, 4> rows[4], columns[C / 16];
#pragma unroll
    for (int r = 0; r < 4; r++)
      rows[r] = *reinterpret_cast<const Pack<float, 4>*>(a + (4 * me.y + r) * (HS + PAD) + d);
#pragma unroll
    for (int c = 0; c < C / 16; c++)
      columns[c] = *reinterpret_cast<const Pack<float, 4>*>(b + (me.x + 16 * c) * (HS + PAD) + d);
#pragma unroll
    for (int e = 0; e < 4; e++)
#pragma unroll
      for (int r = 0; r < 4; r++)
#pragma unroll
        for (int c = 0; c < C / 16; c++) s[r][c] = fmaf(rows[r].x[e], columns[c].x[e], s[r][c]);
  }
}

// The channel of a thread's sum n: packs of 4 neighbours (2 where HS is 32), 16 packs side by side.
template <int HS>
DEVICE int channel(int n) {
  constexpr int PACK = HS == 32 ? 2 : 4;
  return n / PACK * 16 * PACK + int(threadIdx.x % 16) * PACK + n % PACK;
}

// sums[r][n] += Σ_c weights[4y + r][c] · tile[c][channel(n)], from the first row to the last.
template <int HS, int C>
DEVICE void add_products(float (&sums)[4][HS / 16], const float* weights, const float* tile) {
  constexpr int PACK = HS == 32 ? 2 : 4;
  Thread me;
#pragma unroll 1
  for (int c = 0; c < C; c += 4) {
    Pack<float, 4> w[4];
#pragma unroll
    for (int r = 0; r < 4; r++)
      w[r] = *reinterpret_cast<const Pack<float, 4>*>(weights + (4 * me.y + r) * (C + PAD) + c);
#pragma unroll
    for (int e = 0; e < 4; e++) {
#pragma unroll
      for (int n = 0; n < HS / 16; n += PACK) {
        auto numbers = *reinterpret_cast<const Pack<float, PACK>*>(tile + (c + e) * (HS + PAD) +
                                                                   channel<HS>(n));
#pragma unroll
        for (int r = 0; r < 4; r++)
#pragma unroll
          for (int f = 0; f < PACK; f++)
            sums[r][n + f] = fmaf(w[r].x[e], numbers.x[f], sums[r][n + f]);
      }
    }
  }
}

template <int HS, int C>
DEVICE void put_weights(float* weights, const float (&w)[4][C / 16]) {
  Thread me;
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int c = 0; c < C / 16; c++) weights[(4 * me.y + r) * (C + PAD) + me.x + 16 * c] = w[r][c];
}

// For each tile of keys: most' = max(most, s), and what was summed so far shrinks by e^(most − most').
template <int HS>
DEVICE void forward_flash(act* out, float* lse, const act* qkv, int t, int nh, int hs) {
  constexpr int C = 64;
  DYNAMIC_SHARED(float, queries);
  float* tile = queries + OWN * (HS + PAD);  // keys, then values
  float* weights = tile + C * (HS + PAD);
  Thread me;
  int tiles = (t + OWN - 1) / OWN, head = blockIdx.x / tiles;
  int first = (tiles - 1 - int(blockIdx.x) % tiles) * OWN;  // the longest rows first
  u64 stride = 3 * u64(nh) * hs;
  const act* k = part_of(qkv, 1, head, t, nh, hs);
  const act* v = part_of(qkv, 2, head, t, nh, hs);
  load_tile<OWN, HS>(queries, part_of(qkv, 0, head, t, nh, hs), stride, first, t, hs, scale_of(hs));
  float sums[4][HS / 16] = {}, total[4] = {}, most[4];
#pragma unroll
  for (int r = 0; r < 4; r++) most[r] = -INFINITY_F;
  for (int start = 0; start <= first; start += C) {
    __syncthreads();
    load_tile<C, HS>(tile, k, stride, start, t, hs, 1.0f);
    __syncthreads();
    float s[4][C / 16];
    products<HS, C>(s, queries, tile);
    __syncthreads();
    load_tile<C, HS>(tile, v, stride, start, t, hs, 1.0f);
#pragma unroll
    for (int r = 0; r < 4; r++) {
      float top = most[r];
#pragma unroll
      for (int c = 0; c < C / 16; c++) {
        if (start + me.x + 16 * c > first + 4 * me.y + r) s[r][c] = -INFINITY_F;
        top = fmaxf(top, s[r][c]);
      }
      top = half_warp_max(top);
      float shrink = expf(most[r] - top);
      most[r] = top;
      total[r] *= shrink;
#pragma unroll
      for (int n = 0; n < HS / 16; n++) sums[r][n] *= shrink;
#pragma unroll
      for (int c = 0; c < C / 16; c++) {
        s[r][c] = expf(s[r][c] - top);
        total[r] += s[r][c];
      }
    }
    put_weights<HS, C>(weights, s);
    __syncthreads();
    add_products<HS, C>(sums, weights, tile);
  }
  act* y = head_of(out, head, t, nh, hs);
#pragma unroll
  for (int r = 0; r < 4; r++) {
    int i = first + 4 * me.y + r;
    float sum = half_warp_sum(total[r]);
    if (i >= t) continue;
#pragma unroll
    for (int n = 0; n < HS / 16; n++) {
      int d = channel<HS>(n);
      if (d < hs) y[u64(i) * nh * hs + d] = to_act(sums[r][n] / sum);
    }
    if (me.x == 0) lse[u64(head) * t + i] = most[r] + logf(sum);
  }
}

// Adds sums · factor to rows `first`… of one part of dqkv.
template <int HS>
DEVICE void add_sums(act* to, u64 stride, const float (&sums)[4][HS / 16], int first, int t, int hs, float factor) {
  Thread me;
#pragma unroll
  for (int r = 0; r < 4; r++) {
    int row = first + 4 * me.y + r;
    if (row >= t) continue;
#pragma unroll
    for (int n = 0; n < HS / 16; n++) {
      int d = channel<HS>(n);
      if (d < hs) to[row * stride + d] = to_act(to_float(to[row * stride + d]) + sums[r][n] * factor);
    }
  }
}

// One pass backward. Owned rows are queries and the sums dQ, or (OF_KEYS) owned rows are keys and the
// sums dK and dV. Both see scores as owned × streamed rows: s = a1 · b1, dP = a2 · b2, and
// dQ = dS · b1, dK = dSᵀ · b1, dV = Pᵀ · b2.
template <int HS, int C, bool OF_KEYS>
DEVICE void backward_flash(act* dqkv, const float* row_sums, const float* lse, const act* dout,
                           const act* qkv, int t, int nh, int hs) {
  DYNAMIC_SHARED(float, a1);
  float *a2 = a1 + OWN * (HS + PAD), *b1 = a2 + OWN * (HS + PAD), *b2 = b1 + C * (HS + PAD);
  float* weights = b2 + C * (HS + PAD);
  Thread me;
  int tiles = (t + OWN - 1) / OWN, head = blockIdx.x / tiles, tile = int(blockIdx.x) % tiles;
  int first = (OF_KEYS ? tile : tiles - 1 - tile) * OWN;
  u64 stride = 3 * u64(nh) * hs, step = u64(nh) * hs;
  const act* q = part_of(qkv, 0, head, t, nh, hs);
  const act* k = part_of(qkv, 1, head, t, nh, hs);
  const act* v = part_of(qkv, 2, head, t, nh, hs);
  const act* dy = head_of(dout, head, t, nh, hs);
  lse += u64(head) * t;
  row_sums += u64(head) * t;
  float scale = scale_of(hs);
  if (OF_KEYS) {
    load_tile<OWN, HS>(a1, k, stride, first, t, hs, 1.0f);
    load_tile<OWN, HS>(a2, v, stride, first, t, hs, 1.0f);
  } else {
    load_tile<OWN, HS>(a1, q, stride, first, t, hs, scale);
    load_tile<OWN, HS>(a2, dy, step, first, t, hs, 1.0f);
  }
  float sums[4][HS / 16] = {}, value_sums[4][HS / 16] = {};
  int end = OF_KEYS ? t : min(t, first + OWN);
  for (int start = OF_KEYS ? first : 0; start < end; start += C) {
    __syncthreads();
    if (OF_KEYS) {
      load_tile<C, HS>(b1, q, stride, start, t, hs, scale);
      load_tile<C, HS>(b2, dy, step, start, t, hs, 1.0f);
    } else {
      load_tile<C, HS>(b1, k, stride, start, t, hs, 1.0f);
      load_tile<C, HS>(b2, v, stride, start, t, hs, 1.0f);
    }
    __syncthreads();
    float p[4][C / 16], ds[4][C / 16];
    products<HS, C>(p, a1, b1);
    products<HS, C>(ds, a2, b2);
#pragma unroll
    for (int r = 0; r < 4; r++) {
#pragma unroll
      for (int c = 0; c < C / 16; c++) {
        int owned = first + 4 * me.y + r, streamed = start + me.x + 16 * c;
        int query = OF_KEYS ? streamed : owned, key = OF_KEYS ? owned : streamed;
        bool seen = key <= query && query < t;
        p[r][c] = seen ? expf(p[r][c] - lse[query]) : 0.0f;
        ds[r][c] = seen ? p[r][c] * (ds[r][c] - row_sums[query]) : 0.0f;
      }
    }
    if (OF_KEYS) {
      put_weights<HS, C>(weights, p);
      __syncwarp();
      add_products<HS, C>(value_sums, weights, b2);
      __syncwarp();
    }
    put_weights<HS, C>(weights, ds);
    __syncwarp();
    add_products<HS, C>(sums, weights, b1);
  }
  if (OF_KEYS) {
    // The queries were scaled when they were loaded.
    add_sums<HS>(part_of(dqkv, 1, head, t, nh, hs), stride, sums, first, t, hs, 1.0f);
    add_sums<HS>(part_of(dqkv, 2, head, t, nh, hs), stride, value_sums, first, t, hs, 1.0f);
  } else {
    add_sums<HS>(part_of(dqkv, 0, head, t, nh, hs), stride, sums, first, t, hs, scale);
  }
}

// With 64 streamed rows the largest head would take more than 110 KiB of shared memory backward.
#define ATTENTION_FLASH(HS, C)                                                                        \
  KERNEL(256, attention_forward_flash_##HS)                                                           \
  (act * out, float* lse, const act* qkv, int t, int nh, int hs) {                                    \
    forward_flash<HS>(out, lse, qkv, t, nh, hs);                                                      \
  }                                                                                                   \
  EXPORT(attention_forward_flash_##HS)                                                                \
  KERNEL(256, attention_backward_flash_queries_##HS)                                                  \
  (act * dqkv, const float* row_sums, const float* lse, const act* dout, const act* qkv, int t, int nh, int hs) { \
    backward_flash<HS, C, false>(dqkv, row_sums, lse, dout, qkv, t, nh, hs);                          \
  }                                                                                                   \
  EXPORT(attention_backward_flash_queries_##HS)                                                       \
  KERNEL(256, attention_backward_flash_keys_##HS)                                                     \
  (act * dqkv, const float* row_sums, const float* lse, const act* dout, const act* qkv, int t, int nh, int hs) { \
    backward_flash<HS, C, true>(dqkv, row_sums, lse, dout, qkv, t, nh, hs);                           \
  }                                                                                                   \
  EXPORT(attention_backward_flash_keys_##HS)

ATTENTION_FLASH(32, 64)
ATTENTION_FLASH(64, 64)
ATTENTION_FLASH(128, 32)
