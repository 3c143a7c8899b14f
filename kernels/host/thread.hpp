// A CUDA thread as the shim keeps it, and what threads have in common.
#pragma once

namespace shim {
namespace {

struct Index {
  unsigned x, y, z;
};

// A place in the source where threads wait for each other.
struct Site {
  const char* what;
  const char* file;
  int line;
  bool operator==(const Site& other) const {
    return line == other.line && (what == other.what || strcmp(what, other.what) == 0) &&
           (file == other.file || strcmp(file, other.file) == 0);
  }
};
#define SHIM_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

enum class State { READY, WAITING, RETURNED };

// An asynchronous copy that has not been waited for (ptx.hpp).
struct Copy {
  void* to;
  u64 bytes[2];
  u64 group;
};
struct Copies {
  Copy* pending = nullptr;
  int count = 0, room = 0;
  u64 committed = 0;  // groups
  ~Copies() { free(pending); }
};

struct Block;

struct alignas(64) Thread {  // the first line of the cache holds what a switch needs
  Index index;
  Block* block;
  Fiber* fiber;  // null before it starts
  State state;
  Site site;            // where it waits
  bool (*poll)(void*);  // what it waits for, where that is no meeting
  void* poll_context;
  Copies copies;
  unsigned barriers, warp_barriers, cluster_barriers;  // how many it has come to
};

// What `SIZE` threads do together: each leaves a request, the last to come answers all of them.
template <int SIZE>
struct Meeting {
  void* requests[SIZE];
  Site site;
  int first;  // who came first, for reports
  int arrived;
  char tokens[2];  // of every other barrier: who is slow to leave one knows nothing of the next
};

struct SharedMemory {  // memory.hpp
  static const int MOST = 256;
  static const size_t ARENA = 1 << 20;
  struct Piece {
    const char* name;
    void* memory;
    char* start;
    size_t bytes;
  };
  Piece pieces[MOST];
  Piece* of_slot[MOST];
  int count;
  char* arena;  // under ThreadSanitizer, which takes an allocation for an access
  size_t used;
};

}  // namespace
}  // namespace shim
