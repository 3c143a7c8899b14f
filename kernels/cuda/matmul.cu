// Matrix products without tensor cores: the naive rung, the tiled rung, and products with few rows.
// f32 sums in the order of k; bf16 is widened on the way in.
//
// The ladder, by what limits it. For each pair of operands read, a rung of this file does
//   naive     1 multiply-add per 2 numbers from the cache,
//   tiled     128·128 per 128 + 128 numbers from the cache (64 multiply-adds a number), then
//             8·8 per 8 + 8 from shared memory (4 a number),
//   few rows  m per number of the weight, each read from memory once: as fast as memory.
#include "product.cuh"

// One thread per entry, terms in order.
KERNEL(256, matmul_naive)(PRODUCT_PARAMETERS, int layout) {
  Product p = product_of(PRODUCT_ARGUMENTS);
  u64 entry = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  u64 row = entry / u64(n), column = entry % u64(n);
  if (row >= u64(p.row_end)) return;
  // Of a row of `a` and a column of `b`: where it begins, and from one term to the next.
  u64 left = layout == TN ? row : row * u64(a_stride), left_step = layout == TN ? u64(a_stride) : 1;
  u64 right = layout == NT ? column * u64(b_stride) : column, right_step = layout == NT ? 1 : u64(b_stride);
  float sum = 0.0f;
  for (int l = p.k_begin; l < p.k_end; l++)
    sum = fmaf(to_float(a[left + u64(l) * left_step]), to_float(b[right + u64(l) * right_step]), sum);
  float value = alpha * sum;
  if (bias) value += to_float(bias[column]);
  u64 at = row * u64(out_stride) + column;
  if (p.wide) {
    p.wide[at] = accumulate ? value + p.wide[at] : value;
  } else {
    p.out[at] = to_act(accumulate ? value + to_float(p.out[at]) : value);
  }
}
EXPORT(matmul_naive)

// --- Tiled: out tiles of BM × BN in registers, a and b through shared memory in slabs of DEPTH.

constexpr int DEPTH = 8;
// Terms whose loads are in flight together. Of bf16 all of them would not fit the registers of sm_80;
// there tensor cores have taken this rung's place.
constexpr int UNROLL = sizeof(act) == 4 ? DEPTH : 2;

// A slab [DEPTH, WIDTH] is stored with a padding that keeps quads aligned and lets turned rows fall
// into different banks, up to pairs.
constexpr int PADDING = 4;

// A thread's part of the slabs of one operand, on its way from global to shared memory. The operand
// is stored [w, k] if K_MAJOR, else [k, w]; `from` is its first row.
template <bool K_MAJOR, int WIDTH, int THREADS>
struct Slab {
  static constexpr int ROW = WIDTH + PADDING, ACROSS = K_MAJOR ? DEPTH : WIDTH;
  static_assert(DEPTH * WIDTH == 4 * THREADS, "one quad per thread");
  Quad<act> held;

  // Offsets of this thread's quad within the slab.
  DEVICE static int along() { return int(threadIdx.x) % (ACROSS / 4) * 4; }
  DEVICE static int across() { return int(threadIdx.x) / (ACROSS / 4); }
  DEVICE static int w() { return K_MAJOR ? across() : along(); }
  DEVICE static int l() { return K_MAJOR ? along() : across(); }

  // Terms l0 and on of columns w0 and on, zeros from the ends on.
  DEVICE void load(const act* from, int stride, int w0, int w_end, int l0, int l_end) {
    int ws = w_end - w0 - w(), ls = l_end - l0 - l();
    u64 row = K_MAJOR ? w0 + w() : l0 + l(), column = K_MAJOR ? l0 + l() : w0 + w();
    bool there = (K_MAJOR ? ws : ls) > 0;
    held = load_quad(from + row * u64(stride) + column, there ? (K_MAJOR ? ls : ws) : 0);
  }

  DEVICE void store(float* slab) const {
    float* to = slab + l() * ROW + w();
    if (K_MAJOR) {
      for (int j = 0; j < 4; j++) to[j * ROW] = to_float(held.v[j]);
    } else {
      Quad<float> wide;
      for (int j = 0; j < 4; j++) wide.v[j] = to_float(held.v[j]);
      *reinterpret_cast<Quad<float>*>(to) = wide;
    }
  }
};

// Each thread owns RM × RN entries: quads of rows BM / (RM / 4) apart, quads of columns likewise.
// A warp's lanes form 4 × 8, so that it reads 4 + 8 quads and writes whole lines.
template <Layout LAYOUT, int BM, int BN, int RM, int RN>
DEVICE void tiled(const Product& p) {
  constexpr int THREADS = BM / RM * (BN / RN), ACROSS = BN / RN / 8;
  constexpr int SLAB = DEPTH * (BM + BN + 2 * PADDING), PART = BM / (RM / 4);
  constexpr int ROOM = 2 * SLAB > PART * BN ? 2 * SLAB : PART * BN;
  SHARED(Quad<float>, slabs, [ROOM / 4]);
  Tile tile = tile_of<BM, BN>(p);
  if (tile.row >= p.row_end) return;

  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int row = (warp / ACROSS * 4 + lane / 8) * 4, column = (warp % ACROSS * 8 + lane % 8) * 4;
  Slab<LAYOUT != TN, BM, THREADS> next_a;
  Slab<LAYOUT == NT, BN, THREADS> next_b;
  float* numbers = reinterpret_cast<float*>(slabs);
  constexpr int B_AT = DEPTH * (BM + PADDING);
  auto load = [&](int l) {
    next_a.load(p.a, p.a_stride, tile.row, p.row_end, l, p.k_end);
    next_b.load(p.b, p.b_stride, tile.column, p.n, l, p.k_end);
  };
  auto store = [&](float* to) { next_a.store(to), next_b.store(to + B_AT); };

  float sum[RM][RN] = {};
  load(p.k_begin);
  store(numbers);
  __syncthreads();
  int buffer = 0;
  for (int l = p.k_begin; l < p.k_end; l += DEPTH) {
    bool more = l + DEPTH < p.k_end;
    if (more) load(l + DEPTH);
    const float *slab_a = numbers + buffer * SLAB + row, *slab_b = numbers + buffer * SLAB + B_AT + column;
#pragma unroll UNROLL
    for (int i = 0; i < DEPTH; i++) {
      Quad<float> left[RM / 4], right[RN / 4];
#pragma unroll
      for (int q = 0; q < RM / 4; q++)
        left[q] = *reinterpret_cast<const Quad<float>*>(slab_a + i * (BM + PADDING) + q * (BM / (RM / 4)));
#pragma unroll
      for (int q = 0; q < RN / 4; q++)
        right[q] = *reinterpret_cast<const Quad<float>*>(slab_b + i * (BN + PADDING) + q * (BN / (RN / 4)));
#pragma unroll
      for (int r = 0; r < RM; r++)
#pragma unroll
        for (int c = 0; c < RN; c++)
          sum[r][c] = fmaf(left[r / 4].v[r % 4], right[c / 4].v[c % 4], sum[r][c]);
    }
    buffer ^= 1;
    // Its readers have passed the barrier before.
    if (more) store(numbers + buffer * SLAB);
    __syncthreads();
  }

  // The slabs are free now, and hold the sums of PART rows.
#pragma unroll
  for (int part = 0; part < RM / 4; part++) {
    if (part > 0) __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
      for (int q = 0; q < RN / 4; q++) {
        const float* of = sum[part * 4 + r] + q * 4;
        slabs[waiting<BN>(row + r, column + q * (BN / (RN / 4)))] = {of[0], of[1], of[2], of[3]};
      }
    __syncthreads();
    finish_tile<PART, BN, THREADS>(p, Tile{tile.row + part * PART, tile.column}, slabs);
  }
}

DENSE_KERNEL(256, 2, matmul_tiled_nn)(PRODUCT_PARAMETERS) {
  tiled<NN, 128, 128, 8, 8>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_nn)
DENSE_KERNEL(256, 2, matmul_tiled_nt)(PRODUCT_PARAMETERS) {
  tiled<NT, 128, 128, 8, 8>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_nt)
DENSE_KERNEL(256, 2, matmul_tiled_tn)(PRODUCT_PARAMETERS) {
  tiled<TN, 128, 128, 8, 8>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_tn)
DENSE_KERNEL(128, 5, matmul_tiled_small_nn)(PRODUCT_PARAMETERS) {
  tiled<NN, 64, 64, 8, 4>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_small_nn)
DENSE_KERNEL(128, 5, matmul_tiled_small_nt)(PRODUCT_PARAMETERS) {
  tiled<NT, 64, 64, 8, 4>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_small_nt)
DENSE_KERNEL(128, 5, matmul_tiled_small_tn)(PRODUCT_PARAMETERS) {
  tiled<TN, 64, 64, 8, 4>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_tiled_small_tn)

// --- Few rows: every number of the weight `b` is read once and meets ROWS rows of `a` in registers.

// Sums over the lanes that differ in bit MASK: each keeps half of the sums, the upper lane the upper.
template <int MASK, int COUNT>
DEVICE void fold(float* sums) {
  bool upper = (threadIdx.x & MASK) != 0;
#pragma unroll
  for (int i = 0; i < COUNT / 2; i++) {
    float given = upper ? sums[i] : sums[i + COUNT / 2], kept = upper ? sums[i + COUNT / 2] : sums[i];
    sums[i] = kept + __shfl_xor_sync(FULL, given, MASK);
  }
}

// b[k, n]: a block owns 32 columns, a thread 4 of them and every 32nd term: 8 lanes read a row of
// 32, the 4 parts of a warp and its 8 warps take turns. Sums go over the parts, then over the warps.
template <int ROWS>
DEVICE void few_rows_nn(const Product& p) {
  constexpr int PARTS = 32, QUADS = 16 / sizeof(act), CHUNK = PARTS * QUADS;
  SHARED(Quad<float>, chunk, [ROWS / 4][CHUNK]);
  SHARED(Quad<float>, partial, [8][ROWS][8]);
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int part = int(threadIdx.x) / 8, column = int(blockIdx.x) * 32 + lane % 8 * 4;
  bool plain = int(blockIdx.x) * 32 + 32 <= p.n && p.b_stride % 4 == 0 && quad_aligned(p.b);
  auto load = [&](Quad<act>(&held)[QUADS], int l) {
    if (plain) {
#pragma unroll
      for (int i = 0; i < QUADS; i++) {
        int term = l + part + i * PARTS;
        held[i] = load_quad_if(p.b + u64(term) * u64(p.b_stride) + column, term < p.k_end);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
      int term = l + part + i * PARTS;
      held[i] = load_quad(p.b + u64(term) * u64(p.b_stride) + column, term < p.k_end ? p.n - column : 0);
    }
  };

  float sums[ROWS * 4] = {};
  Quad<act> next[QUADS];
  load(next, p.k_begin);
  for (int l = p.k_begin; l < p.k_end; l += CHUNK) {
    for (int i = int(threadIdx.x); i < ROWS / 4 * CHUNK; i += 256) {
      int row = i / CHUNK * 4, term = l + i % CHUNK;
      Quad<float> four;
      for (int r = 0; r < 4; r++) {
        bool there = row + r < p.row_end && term < p.k_end;
        four.v[r] = there ? to_float(p.a[u64(row + r) * u64(p.a_stride) + term]) : 0.0f;
      }
      chunk[i / CHUNK][i % CHUNK] = four;
    }
    __syncthreads();
    Quad<act> held[QUADS];
    for (int i = 0; i < QUADS; i++) held[i] = next[i];
    load(next, l + CHUNK);
#pragma unroll
    for (int i = 0; i < QUADS; i++)
#pragma unroll
      for (int r = 0; r < ROWS; r += 4) {
        Quad<float> four = chunk[r / 4][part + i * PARTS];
        for (int j = 0; j < 4; j++)
          for (int c = 0; c < 4; c++) {
            float& sum = sums[(r + j) * 4 + c];
            sum = fmaf(four.v[j], to_float(held[i].v[c]), sum);
          }
      }
    __syncthreads();
  }

  fold<16, ROWS * 4>(sums);
  fold<8, ROWS * 2>(sums);
  int first = lane / 8 * (ROWS / 4);
#pragma unroll
  for (int r = 0; r < ROWS / 4; r++)
    partial[warp][first + r][lane % 8] = {sums[4 * r], sums[4 * r + 1], sums[4 * r + 2], sums[4 * r + 3]};
  __syncthreads();
  for (int entry = int(threadIdx.x); entry < ROWS * 32; entry += 256) {
    int row = entry / 32, c = entry % 32;
    float sum = 0.0f;
    for (int w = 0; w < 8; w++) sum += partial[w][row][c / 4].v[c % 4];
    finish(p, row, int(blockIdx.x) * 32 + c, sum);
  }
}

// b[n, k]: a warp owns 4 columns, its lanes share the terms, 4 at a time.
template <int ROWS>
DEVICE void few_rows_nt(const Product& p) {
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int column = (int(blockIdx.x) * 8 + warp) * 4;
  float sums[ROWS * 4] = {};
  auto add = [&](int r, Quad<act> left, const Quad<act>(&right)[4]) {
    for (int c = 0; c < 4; c++)
      for (int i = 0; i < 4; i++) {
        float& sum = sums[r * 4 + c];
        sum = fmaf(to_float(left.v[i]), to_float(right[c].v[i]), sum);
      }
  };
  int begin = p.k_begin + lane * 4;
  bool even = ((p.a_stride | p.b_stride | p.k_end) & 3) == 0 && quad_aligned(p.a) && quad_aligned(p.b);
  if (even && column + 4 <= p.n) {
    // As many terms ahead as registers allow: the weight comes from memory.
    constexpr int AHEAD = ROWS <= 4 ? 4 : 1;
    for (int first = begin; first < p.k_end; first += 128 * AHEAD) {
      Quad<act> right[AHEAD][4];
#pragma unroll
      for (int i = 0; i < AHEAD; i++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
          int l = first + i * 128;
          right[i][c] = load_quad_if(p.b + u64(column + c) * u64(p.b_stride) + l, l < p.k_end);
        }
#pragma unroll
      for (int i = 0; i < AHEAD; i++)
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          int l = first + i * 128;
          if (l < p.k_end && r < p.row_end) add(r, *reinterpret_cast<const Quad<act>*>(p.a + u64(r) * u64(p.a_stride) + l), right[i]);
        }
    }
  } else {
    for (int l = begin; l < p.k_end; l += 128) {
      Quad<act> right[4];
#pragma unroll
      for (int c = 0; c < 4; c++)
        right[c] = load_quad(p.b + u64(column + c) * u64(p.b_stride) + l, column + c < p.n ? p.k_end - l : 0);
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        add(r, load_quad(p.a + u64(r) * u64(p.a_stride) + l, r < p.row_end ? p.k_end - l : 0), right);
    }
  }

  // Now every lane, or some lanes together, hold a few of the sums; the tree is the same for any ROWS.
  fold<16, ROWS * 4>(sums);
  fold<8, ROWS * 2>(sums);
  if constexpr (ROWS == 1) {
    for (int other = 4; other > 0; other /= 2) sums[0] += __shfl_xor_sync(FULL, sums[0], other);
    if (lane % 8 == 0) finish(p, 0, column + lane / 8, sums[0]);
    return;
  }
  fold<4, ROWS>(sums);
  fold<2, ROWS / 2>(sums);
  constexpr int LEFT = ROWS / 4;
  if (LEFT == 1) {
    sums[0] += __shfl_xor_sync(FULL, sums[0], 1);
  } else {
    fold<1, LEFT>(sums);
  }
  int first = lane / 2 * LEFT + (LEFT > 1 ? lane % 2 * (LEFT / 2) : 0);
  if (LEFT == 1 && lane % 2 != 0) return;
  for (int i = 0; i < (LEFT + 1) / 2; i++) finish(p, (first + i) / 4, column + (first + i) % 4, sums[i]);
}

KERNEL(256, matmul_few_rows_4_nn)(PRODUCT_PARAMETERS) { few_rows_nn<4>(product_of(PRODUCT_ARGUMENTS)); }
EXPORT(matmul_few_rows_4_nn)
KERNEL(256, matmul_few_rows_16_nn)(PRODUCT_PARAMETERS) { few_rows_nn<16>(product_of(PRODUCT_ARGUMENTS)); }
EXPORT(matmul_few_rows_16_nn)
KERNEL(256, matmul_few_rows_1_nt)(PRODUCT_PARAMETERS) { few_rows_nt<1>(product_of(PRODUCT_ARGUMENTS)); }
EXPORT(matmul_few_rows_1_nt)
KERNEL(256, matmul_few_rows_4_nt)(PRODUCT_PARAMETERS) { few_rows_nt<4>(product_of(PRODUCT_ARGUMENTS)); }
EXPORT(matmul_few_rows_4_nt)
KERNEL(256, matmul_few_rows_16_nt)(PRODUCT_PARAMETERS) { few_rows_nt<16>(product_of(PRODUCT_ARGUMENTS)); }
EXPORT(matmul_few_rows_16_nt)

// --- The second pass of a split product: the slices [splits, m, n] of `sums`, in order.
KERNEL(256, matmul_join)(act* out, float* wide, const float* sums, const act* bias, const u32* limit,
                         int inner, int m, int n, int splits, int out_stride, float alpha, int accumulate) {
  Product p = product_of(out, wide, nullptr, nullptr, bias, limit, inner, m, n, 0, out_stride, 0, 0,
                         alpha, accumulate);
  u64 entry = u64(blockIdx.x) * blockDim.x + threadIdx.x, count = u64(m) * u64(n);
  if (entry >= count) return;
  float sum = 0.0f;
  int row = int(entry / u64(n)), column = int(entry % u64(n));
  if (row >= p.row_end) return;
#pragma unroll 4
  for (int s = 0; s < splits; s++) sum += sums[u64(s) * count + entry];
  finish(p, row, column, sum);
}
EXPORT(matmul_join)
