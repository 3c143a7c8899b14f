// Threads that meet, and threads that fail to.
#include "common.cuh"

// x becomes its left neighbour's number, if all is well.
KERNEL(256, rotate)(float* out, int barrier) {
  SHARED(float, shared, [256]);
  shared[threadIdx.x] = float(threadIdx.x);
  if (barrier) __syncthreads();
  out[threadIdx.x] = shared[(threadIdx.x + blockDim.x - 1) % blockDim.x];
}
EXPORT(rotate)

// The same within a warp.
KERNEL(256, rotate_in_warp)(float* out, int barrier) {
  SHARED(float, shared, [256]);
  int lane = threadIdx.x % 32, first = threadIdx.x - lane;
  shared[threadIdx.x] = float(threadIdx.x);
  if (barrier) __syncwarp();
  out[threadIdx.x] = shared[first + (lane + 31) % 32];
}
EXPORT(rotate_in_warp)

// Two rounds through one array need a barrier between reading and writing again.
KERNEL(256, two_rounds)(float* out, int barrier) {
  SHARED(float, shared, [256]);
  float sum = 0.0f;
  for (int round = 0; round < 2; round++) {
    shared[threadIdx.x] = float(threadIdx.x + 1000 * round);
    __syncthreads();
    for (u32 i = 0; i < blockDim.x; i++) sum += shared[i];
    if (barrier) __syncthreads();
  }
  out[threadIdx.x] = sum;
}
EXPORT(two_rounds)

KERNEL(256, two_barriers)(float* out, int n) {
  if (int(threadIdx.x) < n) {
    __syncthreads();
    out[threadIdx.x] = 1.0f;
  } else {
    __syncthreads();
    out[threadIdx.x] = 2.0f;
  }
}
EXPORT(two_barriers)

KERNEL(256, returns_early)(float* out, int n) {
  if (int(threadIdx.x) >= n) return;
  __syncthreads();
  out[threadIdx.x] = 1.0f;
}
EXPORT(returns_early)

KERNEL(256, returns_from_warp)(float* out, int n) {
  if (int(threadIdx.x) >= n) return;
  out[threadIdx.x] = warp_sum(1.0f);
}
EXPORT(returns_from_warp)

KERNEL(256, two_shuffles)(float* out, int n) {
  float x = 1.0f;
  if (int(threadIdx.x) < n) {
    x = __shfl_xor_sync(FULL, x, 1);
  } else {
    x = __shfl_xor_sync(FULL, x, 2);
  }
  out[threadIdx.x] = x;
}
EXPORT(two_shuffles)

KERNEL(256, narrow_mask)(float* out, int n) {
  if (int(threadIdx.x) < n) out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 1);
}
EXPORT(narrow_mask)

// Some lanes of each warp wait for the warp, the others for the block.
KERNEL(256, crossed)(float* out, int n) {
  if (int(threadIdx.x % 32) < n) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1.0f;
}
EXPORT(crossed)

// Who runs when.
KERNEL(256, order)(int* out, int* counter) { out[threadIdx.x] = atomicAdd(counter, 1); }
EXPORT(order)

#ifdef FORTIFAI_HOST
// Threads hand a token on by polling; without the first, nobody moves.
KERNEL(256, relay)(float* out, int first) {
  SHARED(int, token, [1]);
  if (threadIdx.x == 0) token[0] = -1;
  __syncthreads();
  if (threadIdx.x == 0 && first) token[0] = 0;
  shim::released(token);
  int mine = threadIdx.x, *at = token;
  shim_yield_until([=] { return at[0] == mine; }, "the token", at);
  out[threadIdx.x] = float(token[0]++);
  shim::released(at);
}
EXPORT(relay)
#endif
