// One block: its threads, who runs next, where they wait, and what is reported when they cannot go on.
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

struct Thread {
  Index index;
  Block* block;
  Fiber* fiber;  // null before it starts
  State state;
  Site site;            // where it waits
  bool (*poll)(void*);  // what it waits for, where that is no meeting
  void* poll_context;
  Copies copies;
};

// What `SIZE` threads do together: each leaves a request, the last to come answers all of them.
template <int SIZE>
struct Meeting {
  void* requests[SIZE];
  Site site;
  int first;  // who came first, for reports
  int arrived;
};

struct SharedMemory {  // memory.hpp
  static const int MOST = 256;
  struct Piece {
    const char* name;
    void* memory;
    char* start;
    size_t bytes;
  };
  Piece pieces[MOST];
  Piece* of_slot[MOST];
  int count;
};

enum class Schedule { FORWARD, REVERSE, RANDOM };

struct Block {
  static const int MOST = Fibers::MOST;

  void (*invoke)(void**);
  void** arguments;
  Index index, block_dim, grid_dim;
  size_t dynamic_bytes;

  Thread threads[MOST];
  int size, started, returned;
  Thread* ready[MOST];  // a stack: its top runs next, and under it lie those that never ran
  int ready_count;
  Thread* polling[MOST];
  int polling_count;
  Schedule schedule;
  u64 random_state;

  Meeting<1> barrier{};
  Meeting<32> warps[MOST / 32]{};
  Meeting<128> warpgroups[MOST / 128]{};
  SharedMemory shared{};
  Fibers fibers;

  bool failed;
  char* message;
  int message_size;

  Block();
  void run(u64 seed);
  void start(Thread*, Fiber& from);
  void enter(Thread*);
  void release(int first, int count);
  void wait(Site);
  void give_way(Thread*);
  void on_return(Thread*);
  bool has_returned(int number) const;
  Thread* pick();
  Thread* fresh();
  void poll();
  u64 random();
  void deadlock();
  [[noreturn]] void abandon();
};

// Stops the block with a report: the block, then the sentence.
template <class... Values>
[[noreturn]] void fail(const char* format, Values... values) {
  Block& block = *SHIM_SELF->block;
  int used = snprintf(block.message, block.message_size, "block (%u, %u, %u): ", block.index.x,
                      block.index.y, block.index.z);
  if (used < block.message_size) {
    snprintf(block.message + used, block.message_size - used, format, values...);
  }
  block.abandon();
}

void Block::abandon() {
  failed = true;
  fibers.jump(*SHIM_SELF->fiber, fibers.main);
  abort();  // nobody comes back
}

u64 Block::random() {  // splitmix64
  u64 z = random_state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// The `count` threads from `first` on can run. Forward, the lowest comes out first, so that one warp
// goes ahead of all others as far as it can; in reverse, the highest.
void Block::release(int first, int count) {
  for (int i = 0; i < count; i++) {
    Thread& thread = threads[schedule == Schedule::REVERSE ? first + i : first + count - 1 - i];
    thread.state = State::READY;
    ready[ready_count++] = &thread;
  }
}

Thread* Block::pick() {
  if (polling_count > 0) {
    bool now = ready_count == 0 || (schedule == Schedule::RANDOM && random() % 4 == 0);
    if (now) poll();
  }
  if (ready_count == 0) {
    if (started < size) return fresh();
    deadlock();
  }
  if (schedule == Schedule::RANDOM) {
    // The high half of 32 random bits times the count is below the count, and no division.
    Thread*& chosen = ready[(random() >> 32) * u64(ready_count) >> 32];
    Thread* top = ready[ready_count - 1];
    ready[ready_count - 1] = chosen;
    chosen = top;
  }
  return ready[--ready_count];
}

// The next thread that has not started. The random schedule mixes them with those that wait.
Thread* Block::fresh() {
  int place = started++;
  Thread& thread = threads[schedule == Schedule::REVERSE ? size - 1 - place : place];
  thread.fiber = nullptr;
  thread.state = State::READY;
  thread.copies.count = 0;
  thread.copies.committed = 0;
  return &thread;
}

// Releases the threads whose condition has come true.
void Block::poll() {
  int kept = 0;
  for (int i = 0; i < polling_count; i++) {
    Thread* thread = polling[i];
    if (thread->poll(thread->poll_context)) {
      release(int(thread - threads), 1);
    } else {
      polling[kept++] = thread;
    }
  }
  polling_count = kept;
}

// Lets another thread run until this one is picked again.
void Block::give_way(Thread* thread) {
  Thread* next = pick();
  if (next != thread) start(next, *thread->fiber);
}
void Block::wait(Site site) {
  Thread* thread = SHIM_SELF;
  thread->state = State::WAITING;
  thread->site = site;
  give_way(thread);
}

void Block::start(Thread* next, Fiber& from) {
  if (next->fiber == nullptr) next->fiber = fibers.take();
  next->fiber->thread = next;
  fibers.jump(from, *next->fiber);
}

bool Block::has_returned(int number) const {
  int place = schedule == Schedule::REVERSE ? size - 1 - number : number;
  return place < started && threads[number].state == State::RETURNED;
}

void Block::on_return(Thread* thread) {
  thread->state = State::RETURNED;
  returned++;
  int number = int(thread - threads);
  if (barrier.arrived > 0) {
    fail("divergent barrier: thread %d waits at %s (%s:%d), thread %d has returned", barrier.first,
         barrier.site.what, barrier.site.file, barrier.site.line, number);
  }
  Meeting<32>& warp = warps[number / 32];
  if (warp.arrived > 0) {
    fail("divergent warp: thread %d waits at %s (%s:%d), thread %d has returned", warp.first,
         warp.site.what, warp.site.file, warp.site.line, number);
  }
}

// What every fiber does: run the thread it was entered for; then, on the same stack, threads that
// have not started, so that a kernel without barriers never switches.
void fiber_main() {
  Block& block = *SHIM_SELF->block;
  block.fibers.arrive(nullptr);
  for (;;) {
    Thread* thread = SHIM_SELF;
    Fiber* fiber = thread->fiber;
    block.invoke(block.arguments);
    block.on_return(thread);
    if (block.returned == block.size) {
      block.fibers.give(fiber);
      block.fibers.jump(*fiber, block.fibers.main);
      continue;
    }
    Thread* next = block.pick();
    if (next->fiber == nullptr) {
      next->fiber = fiber;
      fiber->thread = next;
    } else {
      block.fibers.give(fiber);
      block.start(next, *fiber);
    }
  }
}

// From the operating system thread's own stack.
void Block::run(u64 seed) {
  random_state = seed;
  started = returned = ready_count = polling_count = 0;
  failed = false;
  if (schedule == Schedule::RANDOM) {
    while (started < size) ready[ready_count++] = fresh();
  }
  start(pick(), fibers.main);
  if (!failed) return;
  // Those who were waiting will not come back.
  fibers.reset();
  barrier.arrived = 0;
  for (Meeting<32>& warp : warps) warp.arrived = 0;
  for (Meeting<128>& group : warpgroups) group.arrived = 0;
}

Block::Block() {
  for (int i = 0; i < MOST; i++) {
    threads[i].index = Index{unsigned(i), 0, 0};
    threads[i].block = this;
  }
}

// Nobody can run: says who waits where, a line for each run of threads at one place.
void Block::deadlock() {
  char list[1024] = "";
  int used = 0;
  for (int first = 0; first < size && used < int(sizeof list); first++) {
    Thread& thread = threads[first];
    int last = first;
    bool gone = thread.state == State::RETURNED;
    while (last + 1 < size && threads[last + 1].state == thread.state &&
           (gone || threads[last + 1].site == thread.site)) {
      last++;
    }
    used += snprintf(list + used, sizeof list - used, "%s threads %d to %d ", used ? ";" : "", first,
                     last);
    if (used >= int(sizeof list)) break;
    if (gone) {
      used += snprintf(list + used, sizeof list - used, "have returned");
    } else {
      used += snprintf(list + used, sizeof list - used, "wait at %s (%s:%d)", thread.site.what,
                       thread.site.file, thread.site.line);
    }
    first = last;
  }
  fail("deadlock:%s", list);
}

// Waits until `condition()` holds, which other threads bring about.
template <class Condition>
void yield_until(Condition condition, const char* what, SHIM_HERE) {
  if (condition()) return;
  Block& block = *SHIM_SELF->block;
  SHIM_SELF->poll = [](void* context) -> bool { return (*static_cast<Condition*>(context))(); };
  SHIM_SELF->poll_context = &condition;
  block.polling[block.polling_count++] = SHIM_SELF;
  block.wait(Site{what, file, line});
}

// Comes to a meeting of the `SIZE` threads that start at a multiple of `SIZE`.
template <int SIZE, class Request>
void meet(Meeting<SIZE>& meeting, Request& request, Site site) {
  Block& block = *SHIM_SELF->block;
  int number = int(SHIM_SELF->index.x), first = number / SIZE * SIZE;
  if (meeting.arrived == 0) {
    meeting.site = site;
    meeting.first = number;
    if (block.returned > 0) {
      for (int other = first; other < first + SIZE; other++) {
        if (!block.has_returned(other)) continue;
        fail("divergent warp: thread %d waits at %s (%s:%d), thread %d has returned", number,
             site.what, site.file, site.line, other);
      }
    }
  } else if (!(meeting.site == site)) {
    fail("divergent warp: thread %d waits at %s (%s:%d), thread %d at %s (%s:%d)", meeting.first,
         meeting.site.what, meeting.site.file, meeting.site.line, number, site.what, site.file,
         site.line);
  }
  meeting.requests[number - first] = &request;
  if (++meeting.arrived == SIZE) {
    meeting.arrived = 0;
    Request::answer(reinterpret_cast<Request* const*>(meeting.requests));
    block.release(first, SIZE);
    block.give_way(SHIM_SELF);
  } else {
    block.wait(site);
  }
}
template <class Request>
void warp_meet(Request& request, Site site) {
  meet(SHIM_SELF->block->warps[SHIM_SELF->index.x / 32], request, site);
}
// The block is a multiple of 128 threads.
template <class Request>
void warpgroup_meet(Request& request, Site site) {
  meet(SHIM_SELF->block->warpgroups[SHIM_SELF->index.x / 128], request, site);
}

void block_barrier(Site site) {
  Block& block = *SHIM_SELF->block;
  int number = int(SHIM_SELF->index.x);
  if (block.returned > 0) {
    int other = 0;
    while (!block.has_returned(other)) other++;
    fail("divergent barrier: thread %d waits at %s (%s:%d), thread %d has returned", number,
         site.what, site.file, site.line, other);
  }
  if (block.barrier.arrived == 0) {
    block.barrier.site = site;
    block.barrier.first = number;
  } else if (!(block.barrier.site == site)) {
    const Site& there = block.barrier.site;
    fail("divergent barrier: thread %d waits at %s (%s:%d), thread %d at %s (%s:%d)",
         block.barrier.first, there.what, there.file, there.line, number, site.what, site.file,
         site.line);
  }
  if (++block.barrier.arrived == block.size) {
    block.barrier.arrived = 0;
    block.release(0, block.size);
    block.give_way(SHIM_SELF);
  } else {
    block.wait(site);
  }
}

}  // namespace
}  // namespace shim

#define threadIdx (SHIM_SELF->index)
#define blockIdx (SHIM_SELF->block->index)
#define blockDim (SHIM_SELF->block->block_dim)
#define gridDim (SHIM_SELF->block->grid_dim)

inline void __syncthreads(SHIM_HERE) {
  shim::block_barrier(shim::Site{"__syncthreads", file, line});
}
template <class Condition>
inline void shim_yield_until(Condition condition, const char* what, SHIM_HERE) {
  shim::yield_until(condition, what, file, line);
}
