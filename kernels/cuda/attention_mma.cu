// Causal attention on tensor cores, bf16 with f32 sums, for heads of 32, 64 or 128 channels. Formulas
// and grids are those of attention.cu.
//
// A block of four warps owns a tile of rows and streams tiles of 64 rows of the other kind past them,
// double-buffered by asynchronous copies; what the causal mask hides is neither copied nor computed.
// Warps own rows of the tile and never exchange scores: products of scores come out of mma in the
// layout in which the next mma takes its left operand. Backward this holds for dK and dV too, since
// their pass computes Sᵀ = K Qᵀ with keys as rows.
//
// Departures from f32 attention: P and dS are rounded to bf16 where they enter a product (the sums of
// P are of the unrounded), and e^x is 2^(x·log2 e) by the device's instruction, whose error is far
// below that rounding. Infinite or NaN values of later positions reach earlier rows, as 0 · ∞.
#include "heads.cuh"
#include "ptx.cuh"

#ifdef FORTIFAI_BF16

constexpr int THREADS = 128;
constexpr int STREAM = 64;
constexpr float LOG2_E = 1.4426950408889634f;

// x·scale, rounded on its own: contracted with a subtraction that follows, the rounding error of a
// huge score would stay.
DEVICE float scaled(float x, float scale) {
#ifdef FORTIFAI_HOST
  return x * scale;
#else
  return __fmul_rn(x, scale);
#endif
}

// Where chunk `chunk` (8 numbers, 16 bytes) of a tile's row lies. Rows permute their chunks, so that the
// same chunk of eight consecutive rows covers all banks once.
template <int HS>
DEVICE int place(int row, int chunk) {
  int turn = HS == 32 ? row / 2 % 4 : row % 8;
  return row * HS + (chunk ^ turn) * 8;
}

// Starts the copy of rows start … start + ROWS of a head, zeros from row `t` on.
template <int ROWS, int HS>
DEVICE void copy_tile(bf16* tile, const bf16* from, int stride, int start, int t) {
  constexpr int CHUNKS = HS / 8;
#pragma unroll 1
  for (int piece = threadIdx.x; piece < ROWS * CHUNKS; piece += THREADS) {
    int row = piece / CHUNKS, chunk = piece % CHUNKS;
    bool there = start + row < t;
    const bf16* p = from + u64(there ? start + row : 0) * stride + chunk * 8;
    cp_async_16(tile + place<HS>(row, chunk), p, there ? 16 : 0);
  }
}

// The operands below are read from rows row … row + 16 of a tile; `row` is a multiple of 8. Steps of 16
// channels flip bits of an address, since tiles are aligned to their rows' length.
DEVICE const bf16* step(const bf16* first, int k) {
  return reinterpret_cast<const bf16*>(reinterpret_cast<u64>(first) ^ u64(16 * sizeof(bf16) * k));
}

// The left operand: channels 16k … 16k + 16.
template <int HS>
DEVICE void load_left(u32 (&a)[4], const bf16* tile, int row, int k) {
  int lane = threadIdx.x % 32;
  ldmatrix_x4(a, step(tile + row * HS + place<HS>(lane % 16, lane / 16), k));
}
// Two right operands of a product with the transposed tile: the tile's rows are columns, the sum runs
// over channels 16k … 16k + 16.
template <int HS>
DEVICE void load_right_transposed(u32 (&b)[2][2], const bf16* tile, int row, int k) {
  int lane = threadIdx.x % 32;
  u32 r[4];
  ldmatrix_x4(r, step(tile + row * HS + place<HS>(lane / 16 * 8 + lane % 8, lane / 8 % 2), k));
  b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
}
// Two right operands of a product with the tile: columns are channels 16n … 16n + 16, the sum runs
// over the rows.
template <int HS>
DEVICE void load_right(u32 (&b)[2][2], const bf16* tile, int row, int n) {
  int lane = threadIdx.x % 32;
  u32 r[4];
  ldmatrix_x4_trans(r, step(tile + row * HS + place<HS>(lane % 16, lane / 16), n));
  b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
}

// sums [16·M, HS] += w [16·M, 16·K] · rows row … row + 16·K of the tile, w given as mma's results.
template <int HS, int M, int N>
DEVICE void add_products(float (&sums)[M][HS / 8][4], const float (&w)[M][N][4], const bf16* tile, int row) {
#pragma unroll
  for (int k = 0; k < N / 2; k++) {
    u32 a[M][4];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        a[m][e] = pair_bf16(w[m][2 * k + e / 2][e % 2 * 2], w[m][2 * k + e / 2][e % 2 * 2 + 1]);
#pragma unroll
    for (int n = 0; n < HS / 16; n++) {
      u32 b[2][2];
      load_right<HS>(b, tile, row + 16 * k, n);
#pragma unroll
      for (int m = 0; m < M; m++) {
        mma_bf16_16816(sums[m][2 * n], a[m], b[0]);
        mma_bf16_16816(sums[m][2 * n + 1], a[m], b[1]);
      }
    }
  }
}

DEVICE float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}
DEVICE float quad_sum(float x) {
  x += __shfl_xor_sync(FULL, x, 1);
  return x + __shfl_xor_sync(FULL, x, 2);
}

struct alignas(16) Chunk {
  u32 x[4];
};

// For each PIECE keys: most' = max(most, s), and what was summed so far shrinks by e^(most − most').
// `most` is of unscaled products: s − most is exactly zero for the largest, however large.
template <int HS, int PIECE>
DEVICE void forward_mma(bf16* out, float* lse, const bf16* qkv, int t, int nh) {
  constexpr int M = 2, ROWS = 4 * 16 * M, N = PIECE / 8;
  DYNAMIC_SHARED(bf16, queries);
  bf16* stages = queries + ROWS * HS;  // two of keys and values
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
  int tiles = (t + ROWS - 1) / ROWS, head = blockIdx.x / tiles;
  int first = (tiles - 1 - int(blockIdx.x) % tiles) * ROWS;  // the longest rows first
  int own = first + warp * 16 * M, end = min(t, first + ROWS);
  int stride = 3 * nh * HS;
  const bf16* k = part_of(qkv, 1, head, t, nh, HS);
  const bf16* v = part_of(qkv, 2, head, t, nh, HS);
  float scale = scale_of(HS), exponent = scale * LOG2_E;
  copy_tile<ROWS, HS>(queries, part_of(qkv, 0, head, t, nh, HS), stride, first, t);
  copy_tile<STREAM, HS>(stages, k, stride, 0, t);
  copy_tile<STREAM, HS>(stages + STREAM * HS, v, stride, 0, t);
  cp_async_commit();
  float sums[M][HS / 8][4] = {}, total[M][2] = {}, most[M][2];
#pragma unroll
  for (int m = 0; m < M; m++) most[m][0] = most[m][1] = -INFINITY_F;
  for (int start = 0; start < end; start += STREAM) {
    const bf16* keys = stages + start / STREAM % 2 * (2 * STREAM * HS);
    const bf16* values = keys + STREAM * HS;
    cp_async_wait<0>();
    __syncthreads();
    if (start + STREAM < end) {
      bf16* next = stages + (start / STREAM + 1) % 2 * (2 * STREAM * HS);
      copy_tile<STREAM, HS>(next, k, stride, start + STREAM, t);
      copy_tile<STREAM, HS>(next + STREAM * HS, v, stride, start + STREAM, t);
      cp_async_commit();
    }
#pragma unroll 1
    for (int piece = 0; piece < STREAM; piece += PIECE) {
      int key = start + piece;
      if (key >= own + 16 * M) continue;  // hidden from all rows of this warp
      float s[M][N][4] = {};
#pragma unroll
      for (int c = 0; c < HS / 16; c++) {
        u32 a[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) load_left<HS>(a[m], queries, warp * 16 * M + 16 * m, c);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
          u32 b[2][2];
          load_right_transposed<HS>(b, keys, piece + 8 * n, c);
#pragma unroll
          for (int m = 0; m < M; m++) {
            mma_bf16_16816(s[m][n], a[m], b[0]);
            mma_bf16_16816(s[m][n + 1], a[m], b[1]);
          }
        }
      }
      if (key + PIECE > own + 1) {  // some are hidden from some rows
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
          for (int n = 0; n < N; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
              if (key + 8 * n + column + e % 2 > own + 16 * m + row + e / 2 * 8) s[m][n][e] = -INFINITY_F;
      }
      float shrink[M][2];
      bool shrinks = false;
#pragma unroll
      for (int m = 0; m < M; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float top = most[m][half];
#pragma unroll
          for (int n = 0; n < N; n++) top = fmaxf(top, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
          top = quad_max(top);
          shrinks = shrinks || top > most[m][half];
          shrink[m][half] = exp2_approximate((most[m][half] - top) * exponent);
          most[m][half] = top;
          total[m][half] *= shrink[m][half];
#pragma unroll
          for (int n = 0; n < N; n++) {
#pragma unroll
            for (int e = 2 * half; e < 2 * half + 2; e++) {
              s[m][n][e] = exp2_approximate((s[m][n][e] - top) * exponent);
              total[m][half] += s[m][n][e];
            }
          }
        }
      }
      if (__any_sync(FULL, shrinks)) {  // rarely after the first tiles
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
          for (int n = 0; n < HS / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) sums[m][n][e] *= shrink[m][e / 2];
      }
      add_products<HS, M, N>(sums, s, values, piece);
    }
  }
  // Through this warp's own queries' place in shared memory, so that whole chunks are written.
  bf16* mine = queries + (own - first) * HS;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float sum = quad_sum(total[m][half]), share = 1.0f / sum;
      int local = 16 * m + 8 * half + row;
#pragma unroll
      for (int n = 0; n < HS / 8; n++)
        *reinterpret_cast<u32*>(mine + place<HS>(local, n) + column) =
            pair_bf16(sums[m][n][2 * half] * share, sums[m][n][2 * half + 1] * share);
      if (lane % 4 == 0 && own + local < t)
        lse[u64(head) * t + own + local] = most[m][half] * scale + logf(sum);
    }
  }
  __syncwarp();
  bf16* y = head_of(out, head, t, nh, HS);
#pragma unroll
  for (int piece = lane; piece < 16 * M * HS / 8; piece += 32) {
    int local = piece / (HS / 8), chunk = piece % (HS / 8);
    if (own + local < t)
      *reinterpret_cast<Chunk*>(y + u64(own + local) * nh * HS + chunk * 8) =
          *reinterpret_cast<const Chunk*>(mine + place<HS>(local, chunk));
  }
}

// Adds sums · factor to rows own … own + 16·M of one part of dqkv, rounding once.
template <int HS, int M>
DEVICE void add_rows(bf16* to, int stride, const float (&sums)[M][HS / 8][4], int own, int t, float factor) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = own + 16 * m + 8 * half + lane / 4;
      if (row >= t) continue;
      u32* pairs = reinterpret_cast<u32*>(to + u64(row) * stride) + lane % 4;
#pragma unroll
      for (int n = 0; n < HS / 8; n++) {
        u32 old = pairs[4 * n];
        float low = __uint_as_float(old << 16), high = __uint_as_float(old & 0xffff0000u);
        pairs[4 * n] = pair_bf16(low + sums[m][n][2 * half] * factor, high + sums[m][n][2 * half + 1] * factor);
      }
    }
  }
}

// One pass backward. Owned rows are queries and the sums dQ, or (OF_KEYS) owned rows are keys and the
// sums dK and dV. Both see scores as owned × streamed rows: s = a1 · b1, dP = a2 · b2, and
// dQ = dS · b1, dK = dSᵀ · b1, dV = Pᵀ · b2. The owned operands stay in registers; of each streamed
// tile, PIECE rows are worked off at a time to leave room for them.
template <int HS, int M, int PIECE, bool OF_KEYS>
DEVICE void backward_mma(bf16* dqkv, const float* row_sums, const float* lse, const bf16* dout,
                         const bf16* qkv, int t, int nh) {
  constexpr int ROWS = 4 * 16 * M, N = PIECE / 8;
  DYNAMIC_SHARED(bf16, owned1);
  bf16* owned2 = owned1 + ROWS * HS;
  bf16* stages = owned2 + ROWS * HS;  // two of b1 and b2
  // OF_KEYS: two stages of the queries' lse and of their row sums.
  float* rows_of_stages = reinterpret_cast<float*>(stages + 4 * STREAM * HS);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
  int tiles = (t + ROWS - 1) / ROWS, head = blockIdx.x / tiles, tile = int(blockIdx.x) % tiles;
  int first = (OF_KEYS ? tile : tiles - 1 - tile) * ROWS;
  int own = first + warp * 16 * M, begin = OF_KEYS ? first : 0, end = OF_KEYS ? t : min(t, first + ROWS);
  int stride = 3 * nh * HS, out_stride = nh * HS;
  const bf16* q = part_of(qkv, 0, head, t, nh, HS);
  const bf16* k = part_of(qkv, 1, head, t, nh, HS);
  const bf16* v = part_of(qkv, 2, head, t, nh, HS);
  const bf16* dy = head_of(dout, head, t, nh, HS);
  const bf16 *b1 = OF_KEYS ? q : k, *b2 = OF_KEYS ? dy : v;
  int stride2 = OF_KEYS ? out_stride : stride;
  lse += u64(head) * t;
  row_sums += u64(head) * t;
  float scale = scale_of(HS);
  // Thread i of the first half fetches lse of streamed row i, of the second half the row's sum. Beyond
  // the last row lse is infinite, so that P is zero.
  const float* fetched = threadIdx.x < STREAM ? lse : row_sums;
  auto fetch = [&](int start) {
    int i = start + int(threadIdx.x) % STREAM;
    return i < t ? fetched[i] : threadIdx.x < STREAM ? INFINITY_F : 0.0f;
  };
  copy_tile<ROWS, HS>(owned1, OF_KEYS ? k : q, stride, first, t);
  copy_tile<ROWS, HS>(owned2, OF_KEYS ? v : dy, OF_KEYS ? stride : out_stride, first, t);
  copy_tile<STREAM, HS>(stages, b1, stride, begin, t);
  copy_tile<STREAM, HS>(stages + STREAM * HS, b2, stride2, begin, t);
  cp_async_commit();
  float of_row[2][M][2];
  if (OF_KEYS) {
    rows_of_stages[threadIdx.x] = fetch(begin);
  } else {
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int i = own + 16 * m + 8 * half + row;
        of_row[0][m][half] = i < t ? lse[i] : INFINITY_F;
        of_row[1][m][half] = i < t ? row_sums[i] : 0.0f;
      }
  }
  // Steps of a2 in registers: no room for all.
  constexpr int HELD = OF_KEYS && HS > 32 ? HS / 16 - M - (HS == 64) : HS / 16;
  u32 a1[M][HS / 16][4], a2[M][HELD][4];
  cp_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int c = 0; c < HS / 16; c++) {
      load_left<HS>(a1[m][c], owned1, warp * 16 * M + 16 * m, c);
      if (c < HELD) load_left<HS>(a2[m][c], owned2, warp * 16 * M + 16 * m, c);
    }
  }
  float sums[M][HS / 8][4] = {}, value_sums[OF_KEYS ? M : 1][HS / 8][4] = {};
  for (int start = begin, stage = 0; start < end; start += STREAM, stage ^= 1) {
    const bf16* tile1 = stages + stage * (2 * STREAM * HS);
    const bf16* tile2 = tile1 + STREAM * HS;
    const float* of_column = rows_of_stages + stage * 2 * STREAM;
    float next_of_row = 0.0f;
    if (start + STREAM < end) {
      bf16* next = stages + (stage ^ 1) * (2 * STREAM * HS);
      copy_tile<STREAM, HS>(next, b1, stride, start + STREAM, t);
      copy_tile<STREAM, HS>(next + STREAM * HS, b2, stride2, start + STREAM, t);
      cp_async_commit();
      if (OF_KEYS) next_of_row = fetch(start + STREAM);
    }
#pragma unroll 1
    for (int piece = 0; piece < STREAM; piece += PIECE) {
      int streamed = start + piece;
      // Queries before all of this warp's keys, or keys after all of its queries.
      if (OF_KEYS ? streamed + PIECE <= own : streamed >= own + 16 * M) continue;
      float p[M][N][4] = {}, ds[M][N][4] = {};
#pragma unroll
      for (int c = 0; c < HS / 16; c++) {
#pragma unroll
        for (int n = 0; n < N; n += 2) {
          u32 b[2][2];
          load_right_transposed<HS>(b, tile1, piece + 8 * n, c);
#pragma unroll
          for (int m = 0; m < M; m++) {
            mma_bf16_16816(p[m][n], a1[m][c], b[0]);
            mma_bf16_16816(p[m][n + 1], a1[m][c], b[1]);
          }
        }
      }
#pragma unroll
      for (int c = 0; c < HS / 16; c++) {
        u32 left[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) {
          if (c < HELD) {
#pragma unroll
            for (int e = 0; e < 4; e++) left[m][e] = a2[m][c][e];
          } else {
            load_left<HS>(left[m], owned2, warp * 16 * M + 16 * m, c);
          }
        }
#pragma unroll
        for (int n = 0; n < N; n += 2) {
          u32 b[2][2];
          load_right_transposed<HS>(b, tile2, piece + 8 * n, c);
#pragma unroll
          for (int m = 0; m < M; m++) {
            mma_bf16_16816(ds[m][n], left[m], b[0]);
            mma_bf16_16816(ds[m][n + 1], left[m], b[1]);
          }
        }
      }
      bool whole = OF_KEYS ? streamed + 1 >= own + 16 * M : streamed + PIECE <= own + 1;
#pragma unroll
      for (int m = 0; m < M; m++) {
#pragma unroll
        for (int n = 0; n < N; n++) {
#pragma unroll
          for (int e = 0; e < 4; e++) {
            int left = own + 16 * m + row + e / 2 * 8, right = 8 * n + column + e % 2;
            bool seen = whole || (OF_KEYS ? left <= streamed + right : streamed + right <= left);
            float log_sum = OF_KEYS ? of_column[piece + right] : of_row[0][m][e / 2];
            float row_sum = OF_KEYS ? of_column[STREAM + piece + right] : of_row[1][m][e / 2];
            float x = (scaled(p[m][n][e], scale) - log_sum) * LOG2_E;
            p[m][n][e] = exp2_approximate(seen ? x : -INFINITY_F);
            // What the mask hides may have overflowed: no product of it, not even with zero.
            ds[m][n][e] = p[m][n][e] * (p[m][n][e] != 0.0f ? ds[m][n][e] - row_sum : 0.0f);
          }
        }
      }
      if constexpr (OF_KEYS) add_products<HS, M, N>(value_sums, p, tile2, piece);
      add_products<HS, M, N>(sums, ds, tile1, piece);
    }
    if (OF_KEYS && start + STREAM < end) rows_of_stages[(stage ^ 1) * 2 * STREAM + threadIdx.x] = next_of_row;
    cp_async_wait<0>();
    __syncthreads();
  }
  add_rows<HS, M>(part_of(dqkv, OF_KEYS ? 1 : 0, head, t, nh, HS), stride, sums, own, t, scale);
  if constexpr (OF_KEYS) add_rows<HS, M>(part_of(dqkv, 2, head, t, nh, HS), stride, value_sums, own, t, 1.0f);
}

#define ATTENTION_MMA(HS, PIECE, M, QUERY_PIECE, KEY_PIECE)                                      \
  KERNEL(128, attention_forward_mma_##HS)                                                        \
  (bf16 * out, float* lse, const bf16* qkv, int t, int nh) {                                     \
    forward_mma<HS, PIECE>(out, lse, qkv, t, nh);                                                \
  }                                                                                              \
  EXPORT(attention_forward_mma_##HS)                                                             \
  KERNEL(128, attention_backward_mma_queries_##HS)                                               \
  (bf16 * dqkv, const float* row_sums, const float* lse, const bf16* dout, const bf16* qkv, int t, int nh) { \
    backward_mma<HS, M, QUERY_PIECE, false>(dqkv, row_sums, lse, dout, qkv, t, nh);              \
  }                                                                                              \
  EXPORT(attention_backward_mma_queries_##HS)                                                    \
  KERNEL(128, attention_backward_mma_keys_##HS)                                                  \
  (bf16 * dqkv, const float* row_sums, const float* lse, const bf16* dout, const bf16* qkv, int t, int nh) { \
    backward_mma<HS, M, KEY_PIECE, true>(dqkv, row_sums, lse, dout, qkv, t, nh);                 \
  }                                                                                              \
  EXPORT(attention_backward_mma_keys_##HS)

ATTENTION_MMA(32, 64, 2, 16, 16)
ATTENTION_MMA(64, 64, 2, 32, 16)
ATTENTION_MMA(128, 32, 1, 32, 16)

#endif
