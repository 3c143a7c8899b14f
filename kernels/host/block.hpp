// One block: its threads, who runs next, and how it ends; and the cluster that it runs in.
#pragma once

namespace shim {
namespace {

enum class Schedule { FORWARD, REVERSE, RANDOM };

// Blocks that run at the same time and reach each other's shared memory. One of them runs as far as it
// can, then another: each has stacks of its own, and stands aside in `pick`.
struct Cluster {
  static const int MOST = 8;
  Block* blocks[MOST];
  int size;
  int stuck;  // looks in a row that found nobody who could run
};

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
  Asynchronous async;
  Fibers fibers;

  Cluster* cluster;
  bool entered;      // some thread has run
  Fiber* aside;      // who goes on when the cluster comes back to this block
  u64 cluster_arrivals;

  bool failed;
  char* message;
  int message_size;

  char start_token, end_token;

  Block();
  ~Block();
  void begin(u64 seed);
  void resume();
  void clear_up();
  bool ended() const { return returned == size; }
  void start(Thread*, Fiber& from);
  void enter(Thread*);
  void release(int first, int count);
  void wait(Site);
  void give_way(Thread*);
  void on_return(Thread*);
  bool has_returned(int number) const;
  Thread* pick();
  Thread* fresh();
  void stand_aside();
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

SHIM_QUIET void Block::abandon() {
  failed = true;
  released(&end_token);
  fibers.jump(*SHIM_SELF->fiber, fibers.main);
  abort();  // nobody comes back
}

SHIM_QUIET u64 Block::random() {  // splitmix64
  u64 z = random_state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// The `count` threads from `first` on can run. Forward, the lowest comes out first, so that one warp
// goes ahead of all others as far as it can; in reverse, the highest.
SHIM_QUIET void Block::release(int first, int count) {
  for (int i = 0; i < count; i++) {
    Thread& thread = threads[schedule == Schedule::REVERSE ? first + i : first + count - 1 - i];
    thread.state = State::READY;
    ready[ready_count++] = &thread;
  }
}

SHIM_QUIET Thread* Block::pick() {
  for (;;) {
    if (polling_count > 0) {
      bool now = ready_count == 0 || (schedule == Schedule::RANDOM && random() % 4 == 0);
      if (now) poll();
    }
    if (ready_count == 0 && started < size) return fresh();
    bool alone = cluster->size == 1;
    if (ready_count == 0) {
      if (alone || ++cluster->stuck > cluster->size) deadlock();
    } else if (alone || !entered || schedule != Schedule::RANDOM || random() % 64 != 0) {
      break;
    }
    stand_aside();
  }
  cluster->stuck = 0;
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
SHIM_QUIET Thread* Block::fresh() {
  int place = started++;
  Thread& thread = threads[schedule == Schedule::REVERSE ? size - 1 - place : place];
  thread.fiber = nullptr;
  thread.state = State::READY;
  thread.barriers = thread.warp_barriers = thread.cluster_barriers = 0;
  thread.copies.count = 0;
  thread.copies.committed = 0;
  return &thread;
}

// Lets the other blocks of the cluster run.
SHIM_QUIET void Block::stand_aside() {
  aside = SHIM_SELF->fiber;
  fibers.jump(*aside, fibers.main);
}

// Releases the threads whose condition has come true.
SHIM_QUIET void Block::poll() {
  int kept = 0;
  for (int i = 0; i < polling_count; i++) {
    Thread* thread = polling[i];
    if (looked_at(thread->poll, thread->poll_context)) {
      release(int(thread - threads), 1);
    } else {
      polling[kept++] = thread;
    }
  }
  polling_count = kept;
}

// Lets another thread run until this one is picked again.
SHIM_QUIET void Block::give_way(Thread* thread) {
  Thread* next = pick();
  if (next != thread) start(next, *thread->fiber);
}
SHIM_QUIET void Block::wait(Site site) {
  Thread* thread = SHIM_SELF;
  thread->state = State::WAITING;
  thread->site = site;
  give_way(thread);
}

SHIM_QUIET void Block::start(Thread* next, Fiber& from) {
#ifdef SHIM_TSAN
  if (next->fiber == nullptr) next->fiber = fibers.of(int(next - threads));
#else
  if (next->fiber == nullptr) next->fiber = fibers.take();
#endif
  next->fiber->thread = next;
  fibers.jump(from, *next->fiber);
}

bool Block::has_returned(int number) const {
  int place = schedule == Schedule::REVERSE ? size - 1 - number : number;
  return place < started && threads[number].state == State::RETURNED;
}

SHIM_QUIET void Block::on_return(Thread* thread) {
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
SHIM_QUIET void fiber_main() {
  Block& block = *SHIM_SELF->block;
  block.fibers.arrive(nullptr);
  for (;;) {
    Thread* thread = SHIM_SELF;
    Fiber* fiber = thread->fiber;
    acquired(&block.start_token);
    block.invoke(block.arguments);
    released(&block.end_token);
    block.on_return(thread);
    if (block.returned == block.size) {
      block.fibers.give(fiber);
      block.fibers.jump(*fiber, block.fibers.main);
      continue;
    }
    Thread* next = block.pick();
#ifndef SHIM_TSAN
    if (next->fiber == nullptr) {
      next->fiber = fiber;
      fiber->thread = next;
      continue;
    }
#endif
    block.fibers.give(fiber);
    block.start(next, *fiber);
  }
}

SHIM_QUIET void Block::begin(u64 seed) {
  random_state = seed;
  started = returned = ready_count = polling_count = 0;
  failed = entered = false;
  cluster_arrivals = 0;
  async.reset();
#ifdef SHIM_TSAN
  fibers.main.context = __tsan_get_current_fiber();
#endif
  released(&start_token);
  if (schedule == Schedule::RANDOM) {
    while (started < size) ready[ready_count++] = fresh();
  }
}

// From the operating system thread's own stack, until the block has ended or stands aside.
SHIM_QUIET void Block::resume() {
  if (entered) {
    fibers.jump(fibers.main, *aside);
  } else {
    Thread* first = pick();
    entered = true;
    start(first, fibers.main);
  }
  acquired(&end_token);
}

// After a failure, here or in the cluster: those who were waiting will not come back.
SHIM_QUIET void Block::clear_up() {
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
#ifdef SHIM_TSAN
  shared.arena = static_cast<char*>(malloc(SharedMemory::ARENA));
  memset(shared.arena, 0xff, SharedMemory::ARENA);
#endif
}
Block::~Block() { free(shared.arena); }

}  // namespace
}  // namespace shim

#define threadIdx (SHIM_SELF->index)
#define blockIdx (SHIM_SELF->block->index)
#define blockDim (SHIM_SELF->block->block_dim)
#define gridDim (SHIM_SELF->block->grid_dim)
