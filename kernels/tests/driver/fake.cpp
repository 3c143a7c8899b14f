// A libcuda for one GPU that is host memory, as late as the real one may be: what a stream is asked
// to do waits until somebody waits for the stream or for an event. Host memory that is freed or
// overwritten too early therefore shows. It knows one kernel, `scale` of tests/suite/compile.rs.
//
// Its file is libcuda.so, not the libcuda.so.1 whose unnamed functions NVRTC would ask for.
//
// Calls without a current context, on unknown memory, or out of order abort with the call's name.
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

typedef int Code;
typedef uint64_t Address;
enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500 };

// Addresses of the device are no pointers of the host.
const Address DEVICE = Address(1) << 60;
const size_t ALL = size_t(1) << 32;

static std::recursive_mutex lock;
static std::map<Address, size_t> held;
static size_t used = 0;
static std::deque<std::function<void()>> stream;
static thread_local bool bound = false;

struct Event {
  bool recorded = false, passed = false;
  int64_t tick = 0;
};
static int64_t ticks = 0;

static void require(bool holds, const char* call, const char* what) {
  if (holds) return;
  fprintf(stderr, "fake driver: %s: %s\n", call, what);
  abort();
}
static void run_until(const bool* passed) {
  while (!stream.empty() && !(passed && *passed)) {
    auto work = stream.front();
    stream.pop_front();
    work();
  }
}
static char* host(Address address, size_t bytes, const char* call) {
  auto above = held.upper_bound(address);
  require(above != held.begin(), call, "unknown memory");
  auto piece = std::prev(above);
  require(address + bytes <= piece->first + piece->second, call, "beyond the end of the memory");
  return reinterpret_cast<char*>(address - DEVICE);
}

#define ENTER(CALL)                                                          \
  std::lock_guard<std::recursive_mutex> guard(lock);                         \
  require(bound, CALL, "no current context")
#define API extern "C" __attribute__((visibility("default"))) Code

API cuInit(unsigned) { return OK; }
API cuDriverGetVersion(int* version) { return *version = 13000, OK; }
API cuDeviceGetCount(int* count) { return *count = 1, OK; }
API cuDeviceGet(int* device, int ordinal) { return *device = ordinal, OK; }
API cuDeviceGetName(char* name, int size, int) { return snprintf(name, size, "fake"), OK; }
API cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = ALL, OK; }
API cuDeviceGetAttribute(int* value, int which, int) {
  static const std::map<int, int> values = {
      {75, 9}, {76, 0}, {16, 132}, {115, 1}, {38, 1 << 20}};
  require(values.count(which), "cuDeviceGetAttribute", "another attribute");
  return *value = values.at(which), OK;
}
API cuDevicePrimaryCtxRetain(void** context, int) { return *context = &held, OK; }
API cuCtxSetCurrent(void* context) { return bound = context == &held, OK; }
API cuStreamCreate(void** made, unsigned flags) {
  ENTER("cuStreamCreate");
  require(flags == 1, "cuStreamCreate", "a stream that waits for others");
  return *made = &stream, OK;
}
API cuStreamSynchronize(void*) {
  ENTER("cuStreamSynchronize");
  return run_until(nullptr), OK;
}

API cuDeviceGetDefaultMemPool(void** pool, int) { return *pool = &used, OK; }
API cuMemPoolSetAttribute(void*, int which, void* value) {
  require(which == 4 && *static_cast<uint64_t*>(value) == UINT64_MAX, "cuMemPoolSetAttribute", "");
  return OK;
}
API cuMemPoolGetAttribute(void*, int, void* value) {
  return *static_cast<uint64_t*>(value) = used, OK;
}
API cuMemPoolTrimTo(void*, size_t) { return OK; }
API cuMemGetInfo_v2(size_t* free, size_t* total) {
  ENTER("cuMemGetInfo");
  return *free = ALL - used, *total = ALL, OK;
}
API cuMemAllocAsync(Address* address, size_t bytes, void*) {
  ENTER("cuMemAllocAsync");
  if (used + bytes > ALL) return OUT_OF_MEMORY;
  void* memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  memset(memory, 0xff, bytes);
  *address = reinterpret_cast<Address>(memory) + DEVICE;
  held[*address] = bytes;
  used += bytes;
  return OK;
}
API cuMemFreeAsync(Address address, void*) {
  ENTER("cuMemFreeAsync");
  stream.push_back([address] {
    auto piece = held.find(address);
    require(piece != held.end(), "cuMemFreeAsync", "unknown memory");
    used -= piece->second;
    held.erase(piece);
    free(reinterpret_cast<void*>(address - DEVICE));
  });
  return OK;
}
API cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void*) {
  ENTER("cuMemsetD8Async");
  stream.push_back([=] { memset(host(to, bytes, "cuMemsetD8Async"), value, bytes); });
  return OK;
}
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void*) {
  ENTER("cuMemcpyHtoDAsync");
  stream.push_back([=] { memcpy(host(to, bytes, "cuMemcpyHtoDAsync"), from, bytes); });
  return OK;
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void*) {
  ENTER("cuMemcpyDtoHAsync");
  stream.push_back([=] { memcpy(to, host(from, bytes, "cuMemcpyDtoHAsync"), bytes); });
  return OK;
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void*) {
  ENTER("cuMemcpyDtoDAsync");
  const char* call = "cuMemcpyDtoDAsync";
  stream.push_back([=] { memcpy(host(to, bytes, call), host(from, bytes, call), bytes); });
  return OK;
}
API cuMemAllocHost_v2(void** memory, size_t bytes) {
  ENTER("cuMemAllocHost");
  return *memory = malloc(bytes), OK;
}

API cuEventCreate(Event** event, unsigned) {
  ENTER("cuEventCreate");
  return *event = new Event, OK;
}
API cuEventDestroy_v2(Event* event) {
  ENTER("cuEventDestroy");
  return delete event, OK;
}
API cuEventRecord(Event* event, void*) {
  ENTER("cuEventRecord");
  event->recorded = true;
  event->passed = false;
  stream.push_back([event] { event->passed = true, event->tick = ++ticks; });
  return OK;
}
API cuEventSynchronize(Event* event) {
  ENTER("cuEventSynchronize");
  if (event->recorded) run_until(&event->passed);
  return OK;
}
API cuEventElapsedTime_v2(float* time_ms, Event* from, Event* to) {
  ENTER("cuEventElapsedTime");
  require(from->passed && to->passed, "cuEventElapsedTime", "an event that has not passed");
  return *time_ms = float(to->tick - from->tick), OK;
}

API cuModuleLoadData(void** module, const void* image) {
  ENTER("cuModuleLoadData");
  require(memcmp(image, "\177ELF", 4) == 0, "cuModuleLoadData", "no cubin");
  return *module = &stream, OK;
}
API cuModuleGetFunction(void** function, void*, const char* name) {
  ENTER("cuModuleGetFunction");
  return *function = &held, strcmp(name, "scale") == 0 ? OK : NOT_FOUND;
}
API cuFuncGetAttribute(int* value, int which, void*) {
  ENTER("cuFuncGetAttribute");
  return *value = 64, which == 0 ? OK : INVALID_VALUE;
}
API cuFuncGetParamInfo(void*, size_t index, size_t* offset, size_t* size) {
  ENTER("cuFuncGetParamInfo");
  static const size_t sizes[] = {8, 8, 4, 4};
  if (index >= 4) return INVALID_VALUE;
  return *offset = 0, *size = sizes[index], OK;
}
API cuFuncSetAttribute(void*, int, int) { return OK; }

struct Config {
  unsigned grid[3], block[3], shared_bytes;
  void* stream;
  void* attributes;
  unsigned count;
};
API cuLaunchKernelEx(const Config* config, void*, void** arguments, void** extra) {
  ENTER("cuLaunchKernelEx");
  require(config->stream == &stream && config->count == 0 && !extra, "cuLaunchKernelEx", "config");
  int threads = int(config->grid[0] * config->block[0]);
  Address out = *static_cast<Address*>(arguments[0]), x = *static_cast<Address*>(arguments[1]);
  float factor = *static_cast<float*>(arguments[2]);
  int n = *static_cast<int*>(arguments[3]);
  stream.push_back([=] {
    size_t bytes = sizeof(float) * n;
    float* to = reinterpret_cast<float*>(host(out, bytes, "scale"));
    float* from = reinterpret_cast<float*>(host(x, bytes, "scale"));
    for (int i = 0; i < n && i < threads; i++) to[i] = factor * from[i];
  });
  return OK;
}
API cuTensorMapEncodeTiled(void* map, int type, unsigned rank, void*, const uint64_t* sizes,
                           const uint64_t* strides, const unsigned* box, const unsigned* steps,
                           int interleave, int swizzle, int, int fill) {
  require(reinterpret_cast<uintptr_t>(map) % 64 == 0, "cuTensorMapEncodeTiled", "alignment");
  require(type == 9 && (rank == 2 || (rank == 3 && strides[1] == sizes[1] * strides[0] && box[2] == 1 && steps[2] == 1)) && strides[0] % 16 == 0 && strides[0] >= 2 * sizes[0] && box[0] * 2 <= 128 &&
              steps[0] == 1 && steps[1] == 1 && interleave == 0 && swizzle == 3 && fill == 0,
          "cuTensorMapEncodeTiled", "arguments");
  return OK;
}
