// The kernels of a file, and the two functions through which the host calls them.
#pragma once

extern "C" {
struct fortifai_kernel_info {
  const char* name;
  int threads;     // at most, per block
  int parameters;  // how many
  const int* sizes;  // of each, in bytes
};
}

namespace shim {
namespace {

struct Registry {
  static const int MOST = 256;
  fortifai_kernel_info infos[MOST];
  void (*invokers[MOST])(void**);
  int count;
};
Registry registry;

template <class Parameter>
inline Parameter load(const void* argument) {  // which may be aligned worse than its type
  std::remove_cv_t<Parameter> value;
  memcpy(&value, argument, sizeof value);
  return value;
}

template <auto KERNEL_FUNCTION, class Function>
struct Signature;
template <auto KERNEL_FUNCTION, class... Parameters>
struct Signature<KERNEL_FUNCTION, void (*)(Parameters...)> {
  static constexpr int COUNT = sizeof...(Parameters);
  static constexpr int sizes[COUNT + 1] = {int(sizeof(Parameters))..., 0};

  template <size_t... I>
  static void unpack(void** arguments, std::index_sequence<I...>) {
    (void)arguments;
    KERNEL_FUNCTION(load<Parameters>(arguments[I])...);
  }
  static void invoke(void** arguments) {
    unpack(arguments, std::make_index_sequence<sizeof...(Parameters)>());
  }
};

template <auto KERNEL_FUNCTION>
bool export_kernel(const char* name, int threads) {
  using S = Signature<KERNEL_FUNCTION, decltype(KERNEL_FUNCTION)>;
  if (registry.count == Registry::MOST) abort();
  registry.infos[registry.count] = {name, threads, S::COUNT, S::sizes};
  registry.invokers[registry.count++] = S::invoke;
  return true;
}

// The machine of this operating system thread: the blocks of a cluster, made when they are first needed.
// The first is kept until the thread ends, the others as long as the launch.
struct Owner {
  Cluster cluster{};
  ~Owner() {
    for (Block* block : cluster.blocks) delete block;
  }
};
thread_local Owner owner;

// Blocks of one cluster in turn until all have ended or one has failed. Returns whether none has.
inline bool run_cluster(Cluster& cluster) {
  cluster.stuck = 0;
  for (bool running = true; running;) {
    running = false;
    for (int i = 0; i < cluster.size; i++) {
      bool reverse = cluster.blocks[0]->schedule == Schedule::REVERSE;
      Block& block = *cluster.blocks[reverse ? cluster.size - 1 - i : i];
      if (block.ended()) continue;
      block.resume();
      if (block.failed) return false;
      running = running || !block.ended();
    }
  }
  return true;
}

// Runs blocks from `first` to before `last`, x fastest, both at the beginning of a cluster.
inline int run_blocks(Cluster& cluster, u64 first, u64 last, u64 seed) {
  for (u64 number = first; number < last; number += u64(cluster.size)) {
    for (int rank = 0; rank < cluster.size; rank++) {
      Block& block = *cluster.blocks[rank];
      u64 own = number + u64(rank), row = own / block.grid_dim.x;
      block.index = {unsigned(own % block.grid_dim.x), unsigned(row % block.grid_dim.y),
                     unsigned(row / block.grid_dim.y)};
      block.begin(seed ^ (own * 0x9e3779b97f4a7c15ull));
    }
    bool good = run_cluster(cluster);
    for (int rank = 0; rank < cluster.size; rank++) {
      Block& block = *cluster.blocks[rank];
      if (!good) block.clear_up();
      const SharedMemory::Piece* spoilt = free_pieces(block.shared);
      if (spoilt == nullptr || !good) continue;
      snprintf(block.message, block.message_size,
               "block (%u, %u, %u): written beyond the ends of shared %s", block.index.x,
               block.index.y, block.index.z, spoilt->name);
      good = false;
    }
    if (!good) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace shim

#define KERNEL(THREADS, NAME)                      \
  constexpr int fortifai_threads_##NAME = THREADS; \
  static void NAME
#define EXPORT(NAME)                                       \
  __attribute__((unused)) static const bool fortifai_export_##NAME = \
      ::shim::export_kernel<&NAME>(#NAME, fortifai_threads_##NAME);

#define FORTIFAI_ENTRY extern "C" __attribute__((visibility("default"), used))

// The kernels, in the order of their EXPORTs.
FORTIFAI_ENTRY inline const fortifai_kernel_info* fortifai_kernels(int* count) {
  *count = shim::registry.count;
  return shim::registry.infos;
}

// Runs the blocks from `first_block` to before `last_block`, x fastest, on the calling thread.
// `schedule` is 0 forward, 1 reverse, 2 random. Returns 0, or 1 and a sentence in `message`.
FORTIFAI_ENTRY inline int fortifai_run(int kernel, const unsigned grid[3], unsigned block_threads,
                                       unsigned cluster, unsigned long long shared_bytes,
                                       void** arguments, unsigned long long first_block,
                                       unsigned long long last_block, int schedule,
                                       unsigned long long seed, char* message, int message_size) {
  if (kernel < 0 || kernel >= shim::registry.count) {
    snprintf(message, message_size, "no kernel number %d", kernel);
    return 1;
  }
  const fortifai_kernel_info& info = shim::registry.infos[kernel];
  if (block_threads == 0 || block_threads % 32 != 0 || block_threads > unsigned(info.threads) ||
      block_threads > unsigned(shim::Block::MOST)) {
    snprintf(message, message_size, "a block of %u threads is no multiple of 32 up to %d",
             block_threads, info.threads);
    return 1;
  }
  if (cluster == 0 || cluster > unsigned(shim::Cluster::MOST)) {
    snprintf(message, message_size, "clusters of %u blocks, where 1 to %d are modelled", cluster,
             shim::Cluster::MOST);
    return 1;
  }
  shim::Cluster& blocks = shim::owner.cluster;
  blocks.size = int(cluster);
  for (int rank = 0; rank < blocks.size; rank++) {
    if (blocks.blocks[rank] == nullptr) blocks.blocks[rank] = new shim::Block();
    shim::Block& block = *blocks.blocks[rank];
    block.cluster = &blocks;
    block.invoke = shim::registry.invokers[kernel];
    block.arguments = arguments;
    block.size = int(block_threads);
    block.block_dim = {block_threads, 1, 1};
    block.grid_dim = {grid[0], grid[1], grid[2]};
    block.dynamic_bytes = size_t(shared_bytes);
    block.schedule = shim::Schedule(schedule);
    block.message = message;
    block.message_size = message_size;
  }
  shim::acquired(shim::launch_token());
  int result = shim::run_blocks(blocks, first_block, last_block, seed);
  shim::released(shim::launch_token());
  for (int rank = 0; rank < blocks.size; rank++) blocks.blocks[rank]->fibers.forget_contexts();
  // Stacks take two mappings each, of which a process has some ten thousands; few kernels have clusters.
  for (int rank = 1; rank < blocks.size; rank++) {
    delete blocks.blocks[rank];
    blocks.blocks[rank] = nullptr;
  }
  return result;
}
