// What a block keeps of Hopper's asynchronous units: copies and products that have been asked for and
// are not done. bulk.hpp and wgmma.hpp do them as late as they may.
#pragma once

namespace shim {
namespace {

// A box on its way to shared memory.
struct BoxCopy {
  u8* to;
  size_t bytes;
  u64 map[9];
  int column, row, layer;
  u64* barrier;
};

// A product m64nNk16 of a warpgroup, and the registers of its threads.
struct Wgmma {
  u64 a, b;  // descriptors
  int n;
  bool a_mn, b_mn;  // MN-major
  bool add, a_here;  // or overwrites; a comes from registers
  float* sums[128];
  u32 registers[128][4];
  u64 group;
};

struct Asynchronous {
  static const int COPIES = 64, PRODUCTS = 32, GROUPS = 8;
  BoxCopy copies[COPIES];
  int copy_count;
  struct Warpgroup {
    Wgmma products[PRODUCTS];
    int count;
    u64 committed;  // groups of products
    bool fenced;    // since none was under way
  };
  Warpgroup warpgroups[GROUPS];

  SHIM_QUIET void reset() {
    copy_count = 0;
    for (Warpgroup& group : warpgroups) {
      group.count = 0;
      group.committed = 0;
      group.fenced = false;
    }
  }
};

}  // namespace
}  // namespace shim
