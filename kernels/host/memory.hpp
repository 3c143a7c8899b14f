// Shared memory: pieces of exact size that live as long as a block and start as NaN.
//
// AddressSanitizer sees what reads or writes beyond a piece, except into the few bytes that spoil its
// alignment. Those, and without it bands of NaN around each piece, are looked at when the block ends.
#pragma once

namespace shim {
namespace {

#ifdef SHIM_ASAN
const size_t BAND = 0;
#else
const size_t BAND = 64;
#endif

// A piece is aligned as its type asks and deliberately no better, up to 16 bytes.
SHIM_QUIET SharedMemory::Piece* new_piece(SharedMemory& shared, const char* name, size_t bytes,
                                          size_t alignment) {
  if (shared.count == SharedMemory::MOST) fail("more than %d pieces of shared memory", shared.count);
  size_t odd = alignment < 16 ? alignment : 0, wide = alignment < 64 ? 64 : alignment;
  size_t before = BAND == 0 ? odd : wide + odd;
  SharedMemory::Piece& piece = shared.pieces[shared.count];
#ifdef SHIM_TSAN
  uintptr_t start = (uintptr_t(shared.arena) + shared.used + wide - 1) & ~(wide - 1);
  piece.memory = reinterpret_cast<void*>(start);
  shared.used = size_t(start - uintptr_t(shared.arena)) + before + bytes + BAND;
  bool room = shared.used <= SharedMemory::ARENA;
#else
  bool room = posix_memalign(&piece.memory, wide, before + bytes + BAND) == 0;
  if (room) memset(piece.memory, 0xff, before + bytes + BAND);
#endif
  if (!room) fail("no room for %zu bytes of shared memory", bytes);
  shared.count++;
  piece.name = name;
  piece.start = static_cast<char*>(piece.memory) + before;
  piece.bytes = bytes;
  return &piece;
}

// Ends a block's pieces. Returns one beyond whose ends was written, or null.
SHIM_QUIET const SharedMemory::Piece* free_pieces(SharedMemory& shared) {
  const SharedMemory::Piece* spoilt = nullptr;
  for (int i = 0; i < shared.count; i++) {
    SharedMemory::Piece& piece = shared.pieces[i];
    const char *begin = static_cast<char*>(piece.memory), *end = piece.start + piece.bytes;
    for (const char* at = begin; at != piece.start; at++)
      if (u8(*at) != 0xff) spoilt = &piece;
    for (const char* at = end; at != end + BAND; at++)
      if (u8(*at) != 0xff) spoilt = &piece;
#ifndef SHIM_TSAN
    free(piece.memory);
#endif
  }
#ifdef SHIM_TSAN
  memset(shared.arena, 0xff, shared.used);
  shared.used = 0;
#endif
  shared.count = 0;
  memset(shared.of_slot, 0, sizeof shared.of_slot);
  return spoilt;
}

// Every declaration of shared memory has a number, dynamic memory number 0.
int slots = 1;
template <class Holder>
struct Slot {
  static const int number;
};
template <class Holder>
const int Slot<Holder>::number = slots++;

SHIM_QUIET inline char* piece(int slot, const char* name, size_t bytes, size_t alignment) {
  SharedMemory& shared = SHIM_SELF->block->shared;
  SharedMemory::Piece*& found = shared.of_slot[slot];
  if (found == nullptr) found = new_piece(shared, name, bytes, alignment);
  return found->start;
}

template <class Holder>
inline Holder& shared_memory(const char* name) {
  char* start = piece(Slot<Holder>::number, name, sizeof(Holder::value), alignof(Holder));
  return *reinterpret_cast<Holder*>(start);
}
inline void* dynamic_shared_memory(const char* name) {
  return piece(0, name, SHIM_SELF->block->dynamic_bytes, 1024);
}

}  // namespace
}  // namespace shim

// The holder is a type of its own for every declaration, and for every instance of a template.
#define SHARED(TYPE, NAME, DIMS)   \
  struct shim_holder_##NAME {      \
    TYPE value DIMS;               \
  };                               \
  auto& NAME = ::shim::shared_memory<shim_holder_##NAME>(#NAME).value
#define DYNAMIC_SHARED(TYPE, NAME) \
  TYPE* NAME = reinterpret_cast<TYPE*>(::shim::dynamic_shared_memory(#NAME))
