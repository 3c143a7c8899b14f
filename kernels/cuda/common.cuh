// What every kernel file includes: number types, storage precision, kernel declaration, shared
// memory, and reductions over warps and blocks. Needs no header of the CUDA toolkit.
//
// One source, two compilers. NVRTC compiles it for a device; a host C++17 compiler compiles it with
// -DFORTIFAI_HOST against host/shim.hpp, which models everything that is marked "shim" below.
// -DFORTIFAI_BF16 stores activations and the parameters that forward reads in bf16; arithmetic,
// gradients of parameters, statistics and optimiser state are f32 in both.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#ifdef FORTIFAI_HOST
#include "shim.hpp"
#else

// A kernel of at most THREADS threads per block:
//     KERNEL(256, layernorm_forward)(float* out, int n) { … }
//     EXPORT(layernorm_forward)
// Parameters are pointers, int, u32, u64, float, double, or a `const __grid_constant__ TensorMap`.
#define KERNEL(THREADS, NAME) extern "C" __global__ void __launch_bounds__(THREADS) NAME
#define EXPORT(NAME)
#define DEVICE __device__ __forceinline__

// Statically sized shared memory: SHARED(float, tile, [64][65]);
#define SHARED(TYPE, NAME, DIMS) __shared__ TYPE NAME DIMS
// Dynamically sized shared memory, aligned to 1024 bytes, undefined content at the block's start.
extern __shared__ __align__(1024) u8 fortifai_dynamic_shared[];
#define DYNAMIC_SHARED(TYPE, NAME) TYPE* NAME = reinterpret_cast<TYPE*>(fortifai_dynamic_shared)

#define FULL 0xffffffffu
#define INFINITY_F __int_as_float(0x7f800000)

#endif

// How the bulk copy engine finds a matrix: the driver's encoding, or the shim's (`Device::tensor_map`).
struct alignas(64) TensorMap {
  u64 words[16];
};

// 16 bits of a float, rounded to nearest even.
struct bf16 {
  u16 bits;
};

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }

// The device's own instruction turns every NaN into 0x7fff; the shim keeps a NaN's upper bits.
DEVICE bf16 to_bf16(float x) {
#ifndef FORTIFAI_HOST
  u16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
  return bf16{rounded};
#else
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bf16{u16((bits >> 16) | 0x40u)};
  return bf16{u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
#endif
}

// Two numbers rounded, the first in the low half.
DEVICE u32 pair_bf16(float low, float high) {
#ifndef FORTIFAI_HOST
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return u32(to_bf16(low).bits) | u32(to_bf16(high).bits) << 16;
#endif
}

template <class T>
struct Store;
template <>
struct Store<float> {
  DEVICE static float of(float x) { return x; }
};
template <>
struct Store<bf16> {
  DEVICE static bf16 of(float x) { return to_bf16(x); }
};

// The storage type of activations and of parameters as forward reads them.
#ifdef FORTIFAI_BF16
typedef bf16 act;
#else
typedef float act;
#endif
DEVICE act to_act(float x) { return Store<act>::of(x); }

// Reductions whose order depends on the block's size alone. All threads of the warp or block take
// part and all receive the result.
DEVICE float warp_sum(float x) {
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(FULL, x, lane);
  return x;
}
DEVICE float warp_max(float x) {
  for (int lane = 16; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(FULL, x, lane));
  return x;
}

// `scratch` is shared memory for 32 numbers. blockDim.x is a multiple of 32, the block is flat.
DEVICE float block_sum(float x, float* scratch) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) scratch[warp] = x;
  __syncthreads();
  return warp_sum(lane < warps ? scratch[lane] : 0.0f);
}
DEVICE float block_max(float x, float* scratch) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  x = warp_max(x);
  __syncthreads();
  if (lane == 0) scratch[warp] = x;
  __syncthreads();
  return warp_max(lane < warps ? scratch[lane] : -INFINITY_F);
}
