// Asynchronous copies and tensor cores, as inline PTX for sm_80 and later. The shim's ptx.hpp models
// the same functions on the host, so this file defines nothing there.
#pragma once
#include "common.cuh"

#ifdef FORTIFAI_HOST
// Modelled by the shim.
#else

// The address of shared memory within its window, which the instructions below want.
DEVICE u32 shared_address(const void* shared) { return u32(__cvta_generic_to_shared(shared)); }

// 16 bytes from global to shared memory without passing through registers: the first `bytes` of
// them, zeros for the rest. Both addresses are multiples of 16. Lands some time after cp_async_commit.
DEVICE void cp_async_16(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)),
               "l"(global), "r"(bytes)
               : "memory");
}

// Closes this thread's group of copies.
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }

// Waits until at most the N newest of this thread's groups are under way. Other threads' copies are
// seen after a barrier behind their own wait.
template <int N>
DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

// Four 8×8 matrices of 16-bit numbers. Lane l names row l % 8 of matrix l / 8, 16 aligned bytes in
// shared memory; r[i] receives of matrix i the entries (l / 4, 2 (l % 4)) and its right neighbour.
DEVICE void ldmatrix_x4(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same of the transposed matrices: the entries (2 (l % 4), l / 4) and the one below.
DEVICE void ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// d [16, 8] += a [16, 16] b [16, 8] by one warp, bf16 with f32 sums. With g = lane / 4, t = 2 (lane % 4):
// a[0..4] hold rows g, g + 8, g, g + 8 and columns t, t, t + 8, t + 8 with their right neighbours,
// b[0..2] column g and rows t, t + 8 with those below, d[0..4] rows g, g, g + 8, g + 8 and columns
// t, t + 1, t, t + 1.
DEVICE void mma_bf16_16816(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// 2^x with a relative error of 2^-22 and zero below 2^-126: for numbers that are rounded to bf16 next.
DEVICE float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#endif
