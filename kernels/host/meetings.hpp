// Where threads wait for each other: barriers, meetings of a warp or a warpgroup, conditions; and what
// is reported when they cannot go on.
#pragma once

namespace shim {
namespace {

// Nobody can run: says for each place who waits there.
void Block::deadlock() {
  auto together = [this](int one, int other) {
    const Thread &a = threads[one], &b = threads[other];
    return a.state == b.state && (a.state == State::RETURNED || a.site == b.site);
  };
  char list[1024];
  int used = 0, room = int(sizeof list);
  for (int first = 0; first < size && used < room; first++) {
    int last = first, more = 0;
    bool told = false;
    for (int before = 0; before < first; before++) told = told || together(before, first);
    if (told) continue;
    while (last + 1 < size && together(first, last + 1)) last++;
    for (int after = last + 1; after < size; after++) more += together(first, after);
    used += snprintf(list + used, size_t(room - used), "%s threads %d to %d", used ? ";" : "", first, last);
    if (more > 0 && used < room) {
      used += snprintf(list + used, size_t(room - used), " and %d more", more);
    }
    if (used >= room) break;
    const Thread& thread = threads[first];
    used += thread.state == State::RETURNED
                ? snprintf(list + used, size_t(room - used), " have returned")
                : snprintf(list + used, size_t(room - used), " wait at %s (%s:%d)", thread.site.what,
                           thread.site.file, thread.site.line);
  }
  fail("deadlock:%s", list);
}

// Waits until `condition()` holds, which other threads bring about; they say `released(token)`.
template <class Condition>
SHIM_QUIET void yield_until(Condition condition, const char* what, void* token, const char* file,
                            int line) {
  bool (*poll)(void*) = [](void* context) -> bool { return (*static_cast<Condition*>(context))(); };
  if (!looked_at(poll, &condition)) {
    Thread* self = SHIM_SELF;
    Block& block = *self->block;
    self->poll = poll;
    self->poll_context = &condition;
    block.polling[block.polling_count++] = self;
    block.wait(Site{what, file, line});
  }
  acquired(token);
}

// Comes to a meeting of the `SIZE` threads that start at a multiple of `SIZE`.
template <int SIZE, class Request>
SHIM_QUIET void meet(Meeting<SIZE>& meeting, Request& request, Site site) {
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

SHIM_QUIET void block_barrier(Site site) {
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
  void* token = &block.barrier.tokens[SHIM_SELF->barriers++ % 2];
  released(token);
  if (++block.barrier.arrived == block.size) {
    block.barrier.arrived = 0;
    block.release(0, block.size);
    block.give_way(SHIM_SELF);
  } else {
    block.wait(site);
  }
  acquired(token);
}

// All threads of all blocks of the cluster.
SHIM_QUIET void cluster_barrier(const char* file, int line) {
  Cluster& cluster = *SHIM_SELF->block->cluster;
  u64 coming = ++SHIM_SELF->cluster_barriers;
  released(&cluster);
  SHIM_SELF->block->cluster_arrivals++;
  auto all = [&cluster, coming] {
    bool here = true;
    for (int rank = 0; rank < cluster.size; rank++) {
      const Block& block = *cluster.blocks[rank];
      here = here && block.cluster_arrivals >= coming * u64(block.size);
    }
    return here;
  };
  yield_until(all, "cluster_sync", &cluster, file, line);
}

}  // namespace
}  // namespace shim

inline void __syncthreads(SHIM_HERE) {
  shim::block_barrier(shim::Site{"__syncthreads", file, line});
}
inline void cluster_sync(SHIM_HERE) { shim::cluster_barrier(file, line); }
template <class Condition>
inline void shim_yield_until(Condition condition, const char* what, void* token, SHIM_HERE) {
  shim::yield_until(condition, what, token, file, line);
}
