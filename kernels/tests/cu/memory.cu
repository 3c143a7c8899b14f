// Shared memory: fresh in every block, of exact size, one for each declaration.
#include "common.cuh"

// out [blocks, 2, threads]: what static and dynamic memory hold at first; then they are filled.
KERNEL(64, fresh)(float* out) {
  SHARED(float, fixed, [64]);
  DYNAMIC_SHARED(float, dynamic);
  float* mine = out + blockIdx.x * 128 + threadIdx.x;
  mine[0] = fixed[threadIdx.x];
  mine[64] = dynamic[threadIdx.x];
  fixed[threadIdx.x] = dynamic[threadIdx.x] = 1.0f;
}
EXPORT(fresh)

// Writes one number at `at` into memory for 10, either kind.
KERNEL(32, write_at)(int at, int dynamic) {
  SHARED(float, fixed, [10]);
  DYNAMIC_SHARED(float, bytes);
  float* to = dynamic ? bytes : fixed;
  if (threadIdx.x == 0) to[at] = 1.0f;
}
EXPORT(write_at)

// Reads one number, for sanitizers.
KERNEL(32, read_at)(float* out, const float* global, int at, int which) {
  SHARED(float, fixed, [10]);
  DYNAMIC_SHARED(float, bytes);
  const float* from = which == 0 ? fixed : which == 1 ? bytes : global;
  if (threadIdx.x == 0) out[0] = from[at];
}
EXPORT(read_at)

// The same function in two instances has two memories, in two calls one.
template <int N>
DEVICE int* counter() {
  SHARED(int, cell, [N]);
  return cell;
}
KERNEL(32, declarations)(int* out) {
  SHARED(alignas(16) int, cell, [1]);
  if (threadIdx.x == 0) {
    counter<1>()[0] = 10;
    counter<2>()[0] = 20;
    cell[0] = 30;
    counter<1>()[0]++;
    out[0] = counter<1>()[0];
    out[1] = counter<2>()[0];
    out[2] = cell[0];
    DYNAMIC_SHARED(int, all);
    DYNAMIC_SHARED(float, same);
    all[0] = 0x3f800000;
    out[3] = int(same[0]);
    out[4] = int(reinterpret_cast<u64>(all) % 1024);
  }
}
EXPORT(declarations)
