// What the 32 threads of a warp do together. Every lane comes, at the same line.
#pragma once

#define FULL 0xffffffffu

namespace shim {
namespace {

inline int lane_number() { return int(SHIM_SELF->index.x % 32); }

inline void full(u32 mask, const Site& site) {
  if (mask == FULL) return;
  fail("%s (%s:%d) with mask %08x: only FULL is modelled", site.what, site.file, site.line, mask);
}

struct SyncWarp {
  SHIM_QUIET static void answer(SyncWarp* const*) {}
};

// `of[lane]` is the lane whose number `lane` gets.
template <class Number>
struct Shuffle {
  Number value, result;
  int of;
  SHIM_QUIET static void answer(Shuffle* const* lanes) {
    for (int lane = 0; lane < 32; lane++) lanes[lane]->result = lanes[lanes[lane]->of]->value;
  }
};
template <class Number>
Number shuffle(u32 mask, Number value, int of, Site site) {
  static_assert(std::is_arithmetic<Number>::value && sizeof(Number) >= 4, "a number of 4 or 8 bytes");
  full(mask, site);
  Shuffle<Number> request{value, value, of};
  warp_meet(request, site);
  return request.result;
}

struct Ballot {
  bool mine;
  u32 result;
  SHIM_QUIET static void answer(Ballot* const* lanes) {
    u32 all = 0;
    for (int lane = 0; lane < 32; lane++) all |= u32(lanes[lane]->mine) << lane;
    for (int lane = 0; lane < 32; lane++) lanes[lane]->result = all;
  }
};
inline u32 ballot(u32 mask, bool mine, Site site) {
  full(mask, site);
  Ballot request{mine, 0};
  warp_meet(request, site);
  return request.result;
}

}  // namespace
}  // namespace shim

inline void __syncwarp(u32 mask = FULL, SHIM_HERE) {
  shim::Site site{"__syncwarp", file, line};
  shim::full(mask, site);
  shim::SyncWarp request;
  shim::Thread* self = SHIM_SELF;
  void* token = &self->block->warps[self->index.x / 32].tokens[self->warp_barriers++ % 2];
  shim::released(token);
  shim::warp_meet(request, site);
  shim::acquired(token);
}

// Lanes form segments of `width`; a lane whose source lies beyond its segment keeps its own number.
template <class Number>
inline Number __shfl_sync(u32 mask, Number value, int source, int width = 32, SHIM_HERE) {
  int first = shim::lane_number() & ~(width - 1);
  return shim::shuffle(mask, value, first + (source & (width - 1)), {"__shfl_sync", file, line});
}
template <class Number>
inline Number __shfl_xor_sync(u32 mask, Number value, int bits, int width = 32, SHIM_HERE) {
  int lane = shim::lane_number(), of = lane ^ bits, last = (lane & ~(width - 1)) + width - 1;
  return shim::shuffle(mask, value, of <= last ? of : lane, {"__shfl_xor_sync", file, line});
}
template <class Number>
inline Number __shfl_up_sync(u32 mask, Number value, u32 delta, int width = 32, SHIM_HERE) {
  int lane = shim::lane_number(), of = lane - int(delta), first = lane & ~(width - 1);
  return shim::shuffle(mask, value, of >= first ? of : lane, {"__shfl_up_sync", file, line});
}
template <class Number>
inline Number __shfl_down_sync(u32 mask, Number value, u32 delta, int width = 32, SHIM_HERE) {
  int lane = shim::lane_number(), of = lane + int(delta), last = (lane & ~(width - 1)) + width - 1;
  return shim::shuffle(mask, value, of <= last ? of : lane, {"__shfl_down_sync", file, line});
}

inline u32 __ballot_sync(u32 mask, int mine, SHIM_HERE) {
  return shim::ballot(mask, mine != 0, {"__ballot_sync", file, line});
}
inline int __any_sync(u32 mask, int mine, SHIM_HERE) {
  return shim::ballot(mask, mine != 0, {"__any_sync", file, line}) != 0;
}
inline int __all_sync(u32 mask, int mine, SHIM_HERE) {
  return shim::ballot(mask, mine != 0, {"__all_sync", file, line}) == FULL;
}
