// AdamW with decoupled decay and bias correction on f32 master parameters:
//     g ← g·scale,  m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,
//     p ← p·(1 − ηλ) − η/(1 − β₁ᵏ) · m / (√v/√(1 − β₂ᵏ) + ε)
// and the same parameters rounded to bf16 where they are wanted.
//
//     adamw_step      p, m, v
//     adamw_narrow    parameters rounded to bf16
#include "vector.cuh"

struct Step {
  float shrink, rate, root_correct2, beta1, beta2, one_minus1, one_minus2, epsilon, scale;
};

DEVICE void step(float& p, float& m, float& v, float g, const Step& s) {
  g *= s.scale;
  m = s.beta1 * m + s.one_minus1 * g;
  v = s.beta2 * v + s.one_minus2 * g * g;
  p = p * s.shrink - s.rate * m / (sqrtf(v) * s.root_correct2 + s.epsilon);
}

DEVICE void step_one(float* params, bf16* narrow, float* m, float* v, const float* g,
                     const Step& s, u64 i) {
  float p = params[i], first = m[i], second = v[i];
  step(p, first, second, g[i], s);
  params[i] = p;
  m[i] = first;
  v[i] = second;
  if (narrow) narrow[i] = to_bf16(p);
}

// Four numbers a thread; one at a time where they are not all there, or not aligned.
KERNEL(256, adamw_step)
(float* params, bf16* narrow, float* m, float* v, const float* g, float shrink, float rate,
 float root_correct2, float beta1, float beta2, float one_minus1, float one_minus2, float epsilon,
 float scale, u64 len) {
  Step s{shrink, rate, root_correct2, beta1, beta2, one_minus1, one_minus2, epsilon, scale};
  u64 start = u64(blockIdx.x) * blockDim.x * 4, end = start + blockDim.x * 4;
  bool whole = end <= len && aligned(params) && aligned(narrow, 8) && aligned(m) && aligned(v);
  if (!whole || !aligned(g)) {
    end = min(end, len);
    for (u64 i = start + threadIdx.x; i < end; i += blockDim.x)
      step_one(params, narrow, m, v, g, s, i);
    return;
  }
  u64 i = start + threadIdx.x * 4;
  float p[4], first[4], second[4], gradient[4];
  load(p, params + i);
  load(first, m + i);
  load(second, v + i);
  load(gradient, g + i);
#pragma unroll
  for (int j = 0; j < 4; j++) step(p[j], first[j], second[j], gradient[j], s);
  store(params + i, p);
  store(m + i, first);
  store(v + i, second);
  if (narrow) store(narrow + i, p);
}
EXPORT(adamw_step)

// Eight numbers a thread.
KERNEL(256, adamw_narrow)(bf16* narrow, const float* params, u64 len) {
  u64 start = u64(blockIdx.x) * blockDim.x * 8, end = start + blockDim.x * 8;
  if (end <= len && aligned(narrow) && aligned(params)) {
    float p[8];
    load(p, params + start + threadIdx.x * 8);
    store(narrow + start + threadIdx.x * 8, p);
    return;
  }
  end = min(end, len);
  for (u64 i = start + threadIdx.x; i < end; i += blockDim.x) narrow[i] = to_bf16(params[i]);
}
EXPORT(adamw_narrow)

// One thread per number.
KERNEL(256, adamw_step_naive)
(float* params, bf16* narrow, float* m, float* v, const float* g, float shrink, float rate,
 float root_correct2, float beta1, float beta2, float one_minus1, float one_minus2, float epsilon,
 float scale, u64 len) {
  Step s{shrink, rate, root_correct2, beta1, beta2, one_minus1, one_minus2, epsilon, scale};
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < len) step_one(params, narrow, m, v, g, s, i);
}
EXPORT(adamw_step_naive)

KERNEL(256, adamw_narrow_naive)(bf16* narrow, const float* params, u64 len) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < len) narrow[i] = to_bf16(params[i]);
}
EXPORT(adamw_narrow_naive)
