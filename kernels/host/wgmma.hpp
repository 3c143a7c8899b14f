// Products of a warpgroup from shared memory, the left operand also from registers, done when they are waited for.
#pragma once

namespace shim {
namespace {

// One operand as its descriptor says: SIZE of m or n, or a step of 16 terms.
struct Operand {
  u32 start, leading, stride;
  bool mn;
  int size;

  SHIM_QUIET static Operand of(u64 descriptor, bool mn, int size, const Site& site) {
    return of(descriptor, mn, size, site, *SHIM_SELF->block);
  }
  SHIM_QUIET static Operand of(u64 descriptor, bool mn, int size, const Site& site, Block& block) {
    auto field = [=](int from) { return u32(descriptor >> from & 0x3fff) << 4; };
    Operand operand{field(0), field(16), field(32), mn, size};
    const char* wrong = nullptr;
    if (descriptor >> 62 != 1) wrong = "only the 128-byte swizzle is modelled";
    if ((descriptor >> 49 & 7) != 0) wrong = "only a base offset of 0 is modelled";
    if (operand.start % 1024 >= (mn ? 1u : 128u)) wrong = "misaligned: the pattern starts at 1024 bytes";
    if (operand.stride % 1024 != 0) wrong = "misaligned: 8 rows are 1024 bytes";
    if (mn && operand.leading % 1024 != 0) wrong = "misaligned: the leading offset is no multiple of 1024";
    SharedMemory::Piece& piece = dynamic_piece(site.what, block);
    if (wrong == nullptr && (operand.start < WINDOW || operand.end() > WINDOW + piece.bytes)) {
      wrong = "it goes beyond the ends of dynamic shared memory";
    }
    if (wrong != nullptr) {
      fail("%s (%s:%d): descriptor %016llx: %s", site.what, site.file, site.line, descriptor, wrong);
    }
    return operand;
  }
  u32 begin() const { return start / 1024 * 1024; }
  u32 end() const {
    return mn ? start + u32(size / 64 - 1) * leading + stride + 1024 : begin() + u32(size / 8 - 1) * stride + 1024;
  }

  // Entry `w` of m or n, term `k`.
  SHIM_BARE float at(const char* window, int w, int k) const {
    u32 address = mn ? start + u32(w / 64) * leading + u32(k / 8) * stride + u32(k % 8 * 128 + w % 64 * 2)
                     : start + u32(w / 8) * stride + u32(w % 8 * 128 + k * 2);
    address ^= (address >> 7 & 7) << 4;  // the swizzle
    u32 number = u32(*reinterpret_cast<const u16*>(window + address)) << 16;
    float value;
    memcpy(&value, &number, sizeof value);
    return value;
  }
};

// Entry (i, k) of a left operand in registers: each lane holds pairs of rows g, g + 8, g, g + 8 and
// columns 2t, 2t, 2t + 8, 2t + 8.
SHIM_BARE inline float in_registers(const Wgmma& product, int i, int k) {
  u32 pair = product.registers[i / 16 * 32 + i % 8 * 4 + k % 8 / 2][i % 16 / 8 + k / 8 * 2];
  u32 number = k % 2 ? pair & 0xffff0000u : pair << 16;
  float value;
  memcpy(&value, &number, sizeof value);
  return value;
}

// sums [64, n] += a [64, 16] b [16, n]: rows 16w + g and 16w + g + 8 belong to lanes 4g to 4g + 3 of warp w,
// each with pairs of columns 8 apart.
SHIM_BARE inline void multiply(const Wgmma& product, const Operand& b, const char* window, const Operand* a) {
  int n = product.n;
  float right[16][256], left[16], sums[256];
  for (int k = 0; k < 16; k++) {
    for (int j = 0; j < n; j++) right[k][j] = b.at(window, j, k);
  }
  for (int i = 0; i < 64; i++) {
    float* const* owners = product.sums + i / 16 * 32 + i % 8 * 4;
    int upper = i % 16 / 8 * 2;
    for (int k = 0; k < 16; k++) left[k] = a != nullptr ? a->at(window, i, k) : in_registers(product, i, k);
    for (int j = 0; j < n; j++) sums[j] = product.add ? owners[j % 8 / 2][j / 8 * 4 + upper + j % 2] : 0.0f;
    for (int k = 0; k < 16; k++) {
      for (int j = 0; j < n; j++) sums[j] += left[k] * right[k][j];
    }
    for (int j = 0; j < n; j++) owners[j % 8 / 2][j / 8 * 4 + upper + j % 2] = sums[j];
  }
}

// Fails if a product that is not done reads from this span of the block's memory.
SHIM_QUIET void nobody_reads(u32 begin, u32 end, Block& block) {
  Asynchronous& async = block.async;
  for (int g = 0; g < Asynchronous::GROUPS; g++) {
    for (int i = 0; i < async.warpgroups[g].count; i++) {
      const Wgmma& product = async.warpgroups[g].products[i];
      Site site{"wgmma", "", 0};
      Operand b = Operand::of(product.b, product.b_mn, product.n, site, block);
      bool met = meets(begin, end, b.begin(), b.end());
      if (!product.a_here) {
        Operand a = Operand::of(product.a, product.a_mn, 64, site, block);
        met = met || meets(begin, end, a.begin(), a.end());
      }
      if (met) {
        fail("copy_box: a wgmma of warpgroup %d still reads what lies at %u", g, begin - WINDOW);
      }
    }
  }
}
// Fails if a copy that nobody has waited for brings what this reads.
SHIM_QUIET inline void has_come(const Operand& operand, const Site& site) {
  Asynchronous& async = SHIM_SELF->block->async;
  for (int i = 0; i < async.copy_count; i++) {
    u32 begin = window_address(async.copies[i].to, 0, site.what), end = begin + u32(async.copies[i].bytes);
    if (!meets(begin, end, operand.begin(), operand.end())) continue;
    fail("%s (%s:%d) reads what a copy to %u has yet to bring", site.what, site.file, site.line, begin - WINDOW);
  }
}

// What a thread brings to a meeting of its warpgroup; answered once for all.
struct AskWgmma {
  Site site;
  u64 a, b;
  int n;
  bool a_mn, b_mn, add;
  const u32* registers;  // of the left operand, or none
  float* sums;
  int group;
  SHIM_QUIET static void answer(AskWgmma* const* threads) {
    const AskWgmma& ask = *threads[0];
    Asynchronous::Warpgroup& group = SHIM_SELF->block->async.warpgroups[ask.group];
    if (!group.fenced) fail("%s (%s:%d) without wgmma_fence", ask.site.what, ask.site.file, ask.site.line);
    if (group.count == Asynchronous::PRODUCTS) fail("more than %d products under way", group.count);
    Wgmma& product = group.products[group.count++];
    product.a = ask.a;
    product.b = ask.b;
    product.n = ask.n;
    product.a_mn = ask.a_mn;
    product.b_mn = ask.b_mn;
    product.add = ask.add;
    product.a_here = ask.registers != nullptr;
    product.group = group.committed;
    for (int i = 0; i < 128; i++) {
      product.sums[i] = threads[i]->sums;
      if (product.a_here) memcpy(product.registers[i], threads[i]->registers, 16);
      if (threads[i]->a == product.a && threads[i]->b == product.b) continue;
      fail("%s (%s:%d): thread %d of the warpgroup has another descriptor than the first", ask.site.what,
           ask.site.file, ask.site.line, i);
    }
    if (!product.a_here) has_come(Operand::of(product.a, product.a_mn, 64, ask.site), ask.site);
    has_come(Operand::of(product.b, product.b_mn, product.n, ask.site), ask.site);
  }
};
struct FenceWgmma {
  int group;
  SHIM_QUIET static void answer(FenceWgmma* const* threads) {
    SHIM_SELF->block->async.warpgroups[threads[0]->group].fenced = true;
  }
};
struct CommitWgmma {
  int group;
  SHIM_QUIET static void answer(CommitWgmma* const* threads) {
    SHIM_SELF->block->async.warpgroups[threads[0]->group].committed++;
  }
};
struct WaitWgmma {
  Site site;
  int group, left;
  SHIM_QUIET static void answer(WaitWgmma* const* threads) {
    const WaitWgmma& ask = *threads[0];
    Asynchronous::Warpgroup& group = SHIM_SELF->block->async.warpgroups[ask.group];
    int kept = 0;
    for (int i = 0; i < group.count; i++) {
      Wgmma& product = group.products[i];
      if (product.group + u64(ask.left) < group.committed) {
        const char* window = dynamic_piece(ask.site.what).start - WINDOW;
        Operand b = Operand::of(product.b, product.b_mn, product.n, ask.site);
        if (product.a_here) {
          multiply(product, b, window, nullptr);
        } else {
          Operand a = Operand::of(product.a, product.a_mn, 64, ask.site);
          multiply(product, b, window, &a);
        }
      } else {
        if (kept != i) group.products[kept] = product;
        kept++;
      }
    }
    group.count = kept;
    if (kept == 0) group.fenced = false;
  }
};
inline int warpgroup_number() { return int(SHIM_SELF->index.x / 128); }

}  // namespace
}  // namespace shim

inline u32 shared_address(const void* shared) { return shim::window_address(shared, 0, "shared_address"); }

template <int COUNT>
inline void wgmma_zero(float (&sums)[COUNT]) {
  for (float& sum : sums) sum = 0.0f;
}
inline void wgmma_fence(SHIM_HERE) {
  shim::FenceWgmma request{shim::warpgroup_number()};
  shim::warpgroup_meet(request, {"wgmma_fence", file, line});
}
inline void wgmma_commit(SHIM_HERE) {
  shim::CommitWgmma request{shim::warpgroup_number()};
  shim::warpgroup_meet(request, {"wgmma_commit", file, line});
}
template <int COUNT>
inline void pin(float (&)[COUNT]) {}
template <int LEFT>
inline void wgmma_wait(SHIM_HERE) {
  shim::Site site{"wgmma_wait", file, line};
  shim::WaitWgmma request{site, shim::warpgroup_number(), LEFT};
  shim::warpgroup_meet(request, site);
}
template <int LEFT, int COUNT>
inline void wgmma_wait(float (&)[COUNT], SHIM_HERE) {
  shim::Site site{"wgmma_wait", file, line};
  shim::WaitWgmma request{site, shim::warpgroup_number(), LEFT};
  shim::warpgroup_meet(request, site);
}
template <int N, bool A_MN, bool B_MN>
inline void wgmma_bf16(float (&sums)[N / 2], u64 a, u64 b, SHIM_HERE) {
  shim::Site site{"wgmma_bf16", file, line};
  shim::AskWgmma request{site, a, b, N, A_MN, B_MN, true, nullptr, sums, shim::warpgroup_number()};
  shim::warpgroup_meet(request, site);
}
template <bool ADD, bool B_MN>
inline void wgmma_bf16_64(float (&sums)[32], u64 a, u64 b, SHIM_HERE) {
  shim::Site site{"wgmma_bf16_64", file, line};
  shim::AskWgmma request{site, a, b, 64, false, B_MN, ADD, nullptr, sums, shim::warpgroup_number()};
  shim::warpgroup_meet(request, site);
}
template <bool ADD, bool B_MN>
inline void wgmma_bf16_64(float (&sums)[32], const u32 (&a)[4], u64 b, SHIM_HERE) {
  shim::Site site{"wgmma_bf16_64", file, line};
  shim::AskWgmma request{site, 0, b, 64, false, B_MN, ADD, a, sums, shim::warpgroup_number()};
  shim::warpgroup_meet(request, site);
}
