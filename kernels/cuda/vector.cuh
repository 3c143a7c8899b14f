// Rows in pieces of 16 bytes, as f32 numbers in registers.
//
// Rows whose length and address do not allow whole pieces go another way: launchers or kernels ask
// first (`aligned`), once, so that nothing stands between a row's loads.
#pragma once
#include "common.cuh"

// Numbers of storage in a piece.
constexpr int WIDTH = 16 / sizeof(act);

template <int BYTES>
struct alignas(BYTES) Words {
  u32 x[BYTES / 4];
};

// The numbers of a word and back, rounded to nearest even.
DEVICE void unpack(float* x, u32 word, float) { x[0] = __uint_as_float(word); }
DEVICE void unpack(float* x, u32 word, bf16) {
  x[0] = __uint_as_float(word << 16);
  x[1] = __uint_as_float(word & 0xffff0000u);
}
DEVICE u32 pack(const float* x, float) { return __float_as_uint(x[0]); }
DEVICE u32 pack(const float* x, bf16) { return pair_bf16(x[0], x[1]); }

DEVICE bool aligned(const void* p, int bytes = 16) {
  return (reinterpret_cast<u64>(p) & u64(bytes - 1)) == 0;
}

// x = p[0..N), or zeros. More than one number lie on a piece's boundary, or their own size's.
template <int N, class T>
DEVICE void load(float (&x)[N], const T* p, bool there = true) {
  if constexpr (N == 1) {
    x[0] = there ? to_float(p[0]) : 0.0f;
  } else {
    constexpr int BYTES = N * sizeof(T), PIECE = BYTES < 16 ? BYTES : 16, PER = 4 / sizeof(T);
    const Words<PIECE>* from = reinterpret_cast<const Words<PIECE>*>(p);
    Words<PIECE> words[BYTES / PIECE] = {};
    if (there) {
#pragma unroll
      for (int k = 0; k < BYTES / PIECE; k++) words[k] = from[k];
    }
#pragma unroll
    for (int j = 0; j < BYTES / 4; j++)
      unpack(x + j * PER, words[j * 4 / PIECE].x[j % (PIECE / 4)], T{});
  }
}

// p[0..N) = x, rounded to nearest even; or nothing.
template <int N, class T>
DEVICE void store(T* p, const float (&x)[N], bool there = true) {
  if constexpr (N == 1) {
    if (there) p[0] = Store<T>::of(x[0]);
  } else {
    constexpr int BYTES = N * sizeof(T), PIECE = BYTES < 16 ? BYTES : 16, PER = 4 / sizeof(T);
    Words<PIECE>* to = reinterpret_cast<Words<PIECE>*>(p);
    Words<PIECE> words[BYTES / PIECE];
#pragma unroll
    for (int j = 0; j < BYTES / 4; j++)
      words[j * 4 / PIECE].x[j % (PIECE / 4)] = pack(x + j * PER, T{});
    if (there) {
#pragma unroll
      for (int k = 0; k < BYTES / PIECE; k++) to[k] = words[k];
    }
  }
}

// A row spread over `team` threads: piece k of thread `lane` begins at column
// (k·team + lane)·WIDTH. `c` is the row's length, a multiple of WIDTH, or zero for no row.
template <int K, class T>
DEVICE void load_row(float (&x)[K][WIDTH], const T* row, int lane, int team, int c) {
#pragma unroll
  for (int k = 0; k < K; k++) {
    int at = (k * team + lane) * WIDTH;
    load(x[k], row + at, at < c);
  }
}
template <int K, class T>
DEVICE void store_row(T* row, const float (&x)[K][WIDTH], int lane, int team, int c) {
#pragma unroll
  for (int k = 0; k < K; k++) {
    int at = (k * team + lane) * WIDTH;
    store(row + at, x[k], at < c);
  }
}

// The sum over a row's threads, lanes of a warp (a power of two) or the whole block; all threads of
// the warp or block take part. `scratch` is shared memory for 32 numbers, of use to a block only.
template <bool BLOCK>
DEVICE float row_sum(float x, int team, float* scratch) {
  if constexpr (BLOCK) {
    return block_sum(x, scratch);
  } else {
    for (int lane = team / 2; lane > 0; lane /= 2) x += __shfl_xor_sync(FULL, x, lane);
    return x;
  }
}

// Calls body(row, column) for every W columns of this block's `rows` rows, of n rows in all.
template <int W, class Body>
DEVICE void each_piece(int n, int c, int rows, Body body) {
  u32 pieces = u32(c) / W;
  u64 first = u64(blockIdx.x) * rows;
  if (first >= u64(n)) return;
  u32 count = u32(min(u64(rows), u64(n) - first)) * pieces;
  for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
    u32 row = i / pieces;
    body(first + row, int(i - row * pieces) * W);
  }
}

// sum += the numbers at row(i) for i = first, first + step, … below last, in this order; four loads
// are on their way at a time.
template <int W, class Row>
DEVICE void add_rows(float (&sum)[W], u32 first, u32 last, u32 step, Row row) {
  for (u32 i = first; i < last; i += 4 * step) {
    float x[4][W];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      bool there = i + k * step < last;
      load(x[k], there ? row(i + k * step) : nullptr, there);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
#pragma unroll
      for (int j = 0; j < W; j++) sum[j] += x[k][j];
    }
  }
}
