// Where the numbers of one head lie in qkv [b, t, 3, nh, hs] and in out [b, t, nh, hs]. A head's number
// is batch · nh + head.
//
// Attention reaches queries, keys and values through here alone: with grouped queries several heads
// would find the same keys and values, and rotary positions turn a query or key, and its gradient,
// where rows are loaded and added.
#pragma once
#include "common.cuh"

// Part 0 (queries), 1 (keys) or 2 (values) of a head, at position 0; the next position is 3·nh·hs on.
template <class T>
DEVICE T* part_of(T* qkv, int part, int head, int t, int nh, int hs) {
  return qkv + ((u64(head / nh) * t * 3 + part) * nh + head % nh) * hs;
}
// A head of out, at position 0; the next position is nh·hs on.
template <class T>
DEVICE T* head_of(T* out, int head, int t, int nh, int hs) {
  return out + (u64(head / nh) * t * nh + head % nh) * hs;
}
// Scores are q·k times this.
DEVICE float scale_of(int hs) { return 1.0f / sqrtf(float(hs)); }
