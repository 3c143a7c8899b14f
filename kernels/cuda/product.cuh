// What all rungs of the matrix product share: the problem as a block sees it, the order of the
// tiles, and the last step from a sum to the entry of the output.
#pragma once
#include "common.cuh"

// KERNEL, with registers for BLOCKS blocks at a time on a multiprocessor.
#ifdef FORTIFAI_HOST
#define DENSE_KERNEL(THREADS, BLOCKS, NAME) KERNEL(THREADS, NAME)
#else
#define DENSE_KERNEL(THREADS, BLOCKS, NAME) \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME
#endif

// out[m, n] = a b of row-major matrices: NN a[m, k] b[k, n]; NT a[m, k] b[n, k]; TN a[k, m] b[k, n].
enum Layout { NN, NT, TN };

// The parameters of every rung, in order: the output in `act` or, where it is f32 beside bf16, in
// `wide`, the other of the two null; bias [n] or null; one number that bounds the rows (or, if
// `inner`, the terms) that take part, or null; the elements from one row of a matrix to the next.
#define PRODUCT_PARAMETERS                                                                        \
  act *out, float *wide, const act *a, const act *b, const act *bias, const u32 *limit, int inner, \
      int m, int n, int k, int out_stride, int a_stride, int b_stride, float alpha, int accumulate
#define PRODUCT_ARGUMENTS                                                                          \
  out, wide, a, b, bias, limit, inner, m, n, k, out_stride, a_stride, b_stride, alpha, accumulate

// The problem of this block: rows below row_end of m, terms from k_begin to k_end.
struct Product {
  act* out;
  float* wide;
  const act *a, *b, *bias;
  int m, n, k, row_end, k_begin, k_end, out_stride, a_stride, b_stride;
  float alpha;
  bool accumulate;
};

// A split begins at a multiple of this many terms, so that its rows stay aligned.
constexpr int SPLIT_UNIT = 64;

// Applies the limit, then gives split blockIdx.z of gridDim.z its share of the terms.
DEVICE Product product_of(PRODUCT_PARAMETERS) {
  Product p = {out, wide,       a,        b,        bias,  m,              n, k, m, 0,
               k,   out_stride, a_stride, b_stride, alpha, accumulate != 0};
  if (limit) {
    int most = int(min(*limit, u32(inner ? k : m)));
    (inner ? p.k_end : p.row_end) = most;
  }
  if (gridDim.z > 1) {
    int units = (p.k_end + SPLIT_UNIT - 1) / SPLIT_UNIT, splits = int(gridDim.z);
    int share = (units + splits - 1) / splits * SPLIT_UNIT;
    p.k_begin = min(p.k_end, int(blockIdx.z) * share);
    p.k_end = min(p.k_end, p.k_begin + share);
  }
  return p;
}

struct Tile {
  int row, column;
};

// The first row and column of tile `number` of BM × BN. Blocks that run at the same time work on
// 8 rows of tiles, so that what they read of `a` stays in the cache while they walk through `b`.
template <int BM, int BN>
DEVICE Tile tile_of(const Product& p, int number) {
  const int GROUP = 8;
  int rows = (p.m + BM - 1) / BM, columns = (p.n + BN - 1) / BN;
  int first = number / (GROUP * columns) * GROUP, within = number - first * columns;
  int height = min(GROUP, rows - first);
  return Tile{(first + within % height) * BM, within / height * BN};
}

// This block's, where each has one.
template <int BM, int BN>
DEVICE Tile tile_of(const Product& p) {
  return tile_of<BM, BN>(p, int(blockIdx.x));
}

// Four neighbours, read or written at once where they are aligned.
template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T v[4];
};

template <class T>
DEVICE bool quad_aligned(const T* at) {
  return (reinterpret_cast<u64>(at) & (sizeof(Quad<T>) - 1)) == 0;
}

// The first `count` of four neighbours, zeros for the rest.
template <class T>
DEVICE Quad<T> load_quad(const T* from, int count) {
  if (count >= 4 && quad_aligned(from)) return *reinterpret_cast<const Quad<T>*>(from);
  Quad<T> quad;
  for (int i = 0; i < 4; i++) quad.v[i] = i < count ? from[i] : Store<T>::of(0.0f);
  return quad;
}

// Of a row that is all inside and aligned, without a branch, so that loads do not wait for each other.
template <class T>
DEVICE Quad<T> load_quad_if(const T* from, bool there) {
  Quad<T> quad = {};
  if (there) quad = *reinterpret_cast<const Quad<T>*>(from);
  return quad;
}

// alpha · sum (+ bias).
DEVICE float scaled(const Product& p, float sum, act bias) {
  float value = p.alpha * sum;
  if (p.bias) value += to_float(bias);
  return value;
}

// entry ← (entry +) alpha · sum (+ bias), in f32 and rounded once.
template <class T>
DEVICE T finished(const Product& p, float sum, act bias, T old) {
  float value = scaled(p, sum, bias);
  if (p.accumulate) value += to_float(old);
  return Store<T>::of(value);
}

template <class T>
DEVICE void finish_entry(T* out, const Product& p, int row, int column, float sum) {
  if (row >= p.row_end || column >= p.n) return;
  T* entry = out + u64(row) * u64(p.out_stride) + column;
  *entry = finished(p, sum, p.bias ? p.bias[column] : to_act(0.0f), p.accumulate ? *entry : T{});
}

// Each split writes a slice [m, out_stride] of its own.
DEVICE u64 slice(const Product& p) { return u64(blockIdx.z) * u64(p.m) * u64(p.out_stride); }

// One entry, if it lies within the edges.
DEVICE void finish(const Product& p, int row, int column, float sum) {
  if (p.wide) {
    finish_entry(p.wide + slice(p), p, row, column, sum);
  } else {
    finish_entry(p.out + slice(p), p, row, column, sum);
  }
}

// Where a tile's sums wait in shared memory for the last step: the quad of `column`. The turn keeps
// writes free of bank conflicts, by quads along a row and by the pairs of tensor cores alike.
template <int BN>
DEVICE int waiting(int row, int column) {
  return row * (BN / 4) + (column / 4 ^ row % 4 * 2);
}

template <int BM, int BN, int THREADS, class T>
DEVICE void finish_rows(T* out, const Product& p, Tile tile, const Quad<float>* sums, int thread) {
  constexpr int ACROSS = BN / 4, STEP = THREADS / ACROSS, BATCH = 4;
  static_assert(THREADS % ACROSS == 0 && BM % (STEP * BATCH) == 0, "whole batches");
  int column = thread % ACROSS * 4, first = thread / ACROSS;
  T* corner = out + u64(tile.row) * u64(p.out_stride) + tile.column + column;
  const act* bias = p.bias ? p.bias + tile.column : nullptr;
  bool inside = tile.row + BM <= p.row_end && tile.column + BN <= p.n;
  if (inside && p.out_stride % 4 == 0 && quad_aligned(out + tile.column) && quad_aligned(bias)) {
    Quad<act> biases = {};
    if (bias) biases = *reinterpret_cast<const Quad<act>*>(bias + column);
#pragma unroll 1
    for (int start = first; start < BM; start += STEP * BATCH) {
      Quad<T> entries[BATCH] = {};
      auto at = [&](int i) {
        return reinterpret_cast<Quad<T>*>(corner + u64(start + i * STEP) * u64(p.out_stride));
      };
      if (p.accumulate)
        for (int i = 0; i < BATCH; i++) entries[i] = *at(i);
      for (int i = 0; i < BATCH; i++) {
        Quad<float> sum = sums[waiting<BN>(start + i * STEP, column)];
        for (int j = 0; j < 4; j++)
          entries[i].v[j] = finished(p, sum.v[j], biases.v[j], entries[i].v[j]);
        *at(i) = entries[i];
      }
    }
  } else {
#pragma unroll 1
    for (int entry = thread; entry < BM * BN; entry += THREADS) {
      int row = entry / BN, column = entry % BN;
      finish_entry(out, p, tile.row + row, tile.column + column,
                   sums[waiting<BN>(row, column)].v[column % 4]);
    }
  }
}

// BM rows of a tile, once all their sums wait in shared memory, by `thread` of THREADS.
template <int BM, int BN, int THREADS>
DEVICE void finish_tile(const Product& p, Tile tile, const Quad<float>* sums, int thread) {
  if (p.wide) {
    finish_rows<BM, BN, THREADS>(p.wide + slice(p), p, tile, sums, thread);
  } else {
    finish_rows<BM, BN, THREADS>(p.out + slice(p), p, tile, sums, thread);
  }
}

// By the whole block.
template <int BM, int BN, int THREADS>
DEVICE void finish_tile(const Product& p, Tile tile, const Quad<float>* sums) {
  finish_tile<BM, BN, THREADS>(p, tile, sums, int(threadIdx.x));
}
