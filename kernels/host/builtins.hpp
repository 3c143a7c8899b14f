// What one thread does alone: reinterpreted bits, integer functions, mathematics, atomics.
#pragma once

#define DEVICE inline
#define __forceinline__ inline
#define __device__
#define __align__(BYTES) alignas(BYTES)
#define __grid_constant__
#define INFINITY_F __builtin_inff()

namespace shim {
namespace {
template <class To, class From>
inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace
}  // namespace shim

inline u32 __float_as_uint(float x) { return shim::bits<u32>(x); }
inline int __float_as_int(float x) { return shim::bits<int>(x); }
inline float __uint_as_float(u32 x) { return shim::bits<float>(x); }
inline float __int_as_float(int x) { return shim::bits<float>(x); }
inline i64 __double_as_longlong(double x) { return shim::bits<i64>(x); }
inline double __longlong_as_double(i64 x) { return shim::bits<double>(x); }

inline int __popc(u32 x) { return __builtin_popcount(x); }
inline int __popcll(u64 x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(u32(x)); }
inline int __clzll(i64 x) { return x == 0 ? 64 : __builtin_clzll(u64(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(i64 x) { return __builtin_ffsll(x); }
inline u32 __umulhi(u32 x, u32 y) { return u32(u64(x) * y >> 32); }
template <class Number>
inline Number __ldg(const Number* from) {
  return *from;
}

// expf … floorf and their double forms are <math.h>'s.
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }

inline int min(int x, int y) { return y < x ? y : x; }
inline u32 min(u32 x, u32 y) { return y < x ? y : x; }
inline i64 min(i64 x, i64 y) { return y < x ? y : x; }
inline u64 min(u64 x, u64 y) { return y < x ? y : x; }
inline float min(float x, float y) { return fminf(x, y); }
inline double min(double x, double y) { return fmin(x, y); }
inline int max(int x, int y) { return x < y ? y : x; }
inline u32 max(u32 x, u32 y) { return x < y ? y : x; }
inline i64 max(i64 x, i64 y) { return x < y ? y : x; }
inline u64 max(u64 x, u64 y) { return x < y ? y : x; }
inline float max(float x, float y) { return fmaxf(x, y); }
inline double max(double x, double y) { return fmax(x, y); }

// On integers alone: sums of floats would depend on who comes first. Blocks run on several
// operating system threads at once.
inline int atomicAdd(int* at, int x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
inline u32 atomicAdd(u32* at, u32 x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
inline u64 atomicAdd(u64* at, u64 x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
float atomicAdd(float*, float) = delete;
double atomicAdd(double*, double) = delete;
inline u32 atomicCAS(u32* at, u32 expected, u32 x) {
  __atomic_compare_exchange_n(at, &expected, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
inline int atomicCAS(int* at, int expected, int x) {
  __atomic_compare_exchange_n(at, &expected, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
inline u64 atomicCAS(u64* at, u64 expected, u64 x) {
  __atomic_compare_exchange_n(at, &expected, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
namespace shim {
namespace {
template <class Number>
inline Number atomic_max(Number* at, Number x) {
  Number old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
  while (old < x &&
         !__atomic_compare_exchange_n(at, &old, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return old;
}
}  // namespace
}  // namespace shim
inline int atomicMax(int* at, int x) { return shim::atomic_max(at, x); }
inline u32 atomicMax(u32* at, u32 x) { return shim::atomic_max(at, x); }
inline u64 atomicMax(u64* at, u64 x) { return shim::atomic_max(at, x); }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
