// Rows of a matrix taken out by index, and put back by addition.
//
//     rows_gather        out[i] = x[rows[i]]
//     rows_scatter_add   x[rows[i]] += y[i]
//
// Both may get a count in device memory: then only the first `*count` of the `m` rows are moved, so
// that whoever made the list need not tell the host how long it is. A row beyond `x` reads as NaN
// and is not written to.
//
// One warp moves one row, in pieces of 16 bytes where both rows begin on such a boundary.
#include "common.cuh"

#define WARPS 8
#define WIDTH int(16 / sizeof(act))

struct alignas(16) Piece {
  act values[WIDTH];
};
struct alignas(16) Four {
  float values[4];
};

DEVICE bool on_sixteen(const void* pointer) { return (reinterpret_cast<u64>(pointer) & 15) == 0; }

DEVICE u32 moved(const u32* count, int m) { return count ? min(*count, u32(m)) : u32(m); }

KERNEL(256, rows_gather)
(act* out, const act* x, const u32* rows, const u32* count, int m, int n, int c) {
  u32 i = blockIdx.x * WARPS + threadIdx.x / 32;
  if (i >= moved(count, m)) return;
  int lane = threadIdx.x % 32;
  u32 row = rows[i];
  act* to = out + u64(i) * c;
  if (row >= u32(n)) {
    for (int k = lane; k < c; k += 32) to[k] = to_act(__uint_as_float(0x7fffffffu));
    return;
  }
  const act* from = x + u64(row) * c;
  int pieces = on_sixteen(to) && on_sixteen(from) ? c / WIDTH : 0;
  for (int k = lane; k < pieces; k += 32) {
    reinterpret_cast<Piece*>(to)[k] = reinterpret_cast<const Piece*>(from)[k];
  }
  for (int k = pieces * WIDTH + lane; k < c; k += 32) to[k] = from[k];
}
EXPORT(rows_gather)

KERNEL(256, rows_gather_naive)
(act* out, const act* x, const u32* rows, const u32* count, int m, int n, int c) {
  u64 entry = u64(blockIdx.x) * 256 + threadIdx.x;
  u64 i = entry / c, k = entry % c;
  if (i >= moved(count, m)) return;
  bool known = rows[i] < u32(n);
  out[entry] = known ? x[u64(rows[i]) * c + k] : to_act(__uint_as_float(0x7fffffffu));
}
EXPORT(rows_gather_naive)

// The rows of a list are distinct, so no two warps add to the same number.
KERNEL(256, rows_scatter_add)
(act* x, const float* y, const u32* rows, const u32* count, int m, int n, int c) {
  u32 i = blockIdx.x * WARPS + threadIdx.x / 32;
  if (i >= moved(count, m) || rows[i] >= u32(n)) return;
  int lane = threadIdx.x % 32;
  act* to = x + u64(rows[i]) * c;
  const float* from = y + u64(i) * c;
  int pieces = on_sixteen(to) && on_sixteen(from) ? c / WIDTH : 0;
  for (int k = lane; k < pieces; k += 32) {
    Piece sum = reinterpret_cast<Piece*>(to)[k];
#pragma unroll
    for (int j = 0; j < WIDTH; j += 4) {
      Four added = reinterpret_cast<const Four*>(from)[(k * WIDTH + j) / 4];
#pragma unroll
      for (int l = 0; l < 4; l++) {
        sum.values[j + l] = to_act(to_float(sum.values[j + l]) + added.values[l]);
      }
    }
    reinterpret_cast<Piece*>(to)[k] = sum;
  }
  for (int k = pieces * WIDTH + lane; k < c; k += 32) to[k] = to_act(to_float(to[k]) + from[k]);
}
EXPORT(rows_scatter_add)

KERNEL(256, rows_scatter_add_naive)
(act* x, const float* y, const u32* rows, const u32* count, int m, int n, int c) {
  u64 entry = u64(blockIdx.x) * 256 + threadIdx.x;
  u64 i = entry / c, k = entry % c;
  if (i >= moved(count, m) || rows[i] >= u32(n)) return;
  act* to = x + u64(rows[i]) * c + k;
  *to = to_act(to_float(*to) + y[entry]);
}
EXPORT(rows_scatter_add_naive)
