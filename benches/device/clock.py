"""Times as `fortifai bench` takes them: between events, the second-level cache overwritten before
each call, medians of at least twenty calls."""

RUNS = (20, 100)
TIME_MS = 300.0
WARM_UP = 3


def percentile(times_ms, share):
    """Between the two times around the place, as kernels/src/bench/entry.rs does it."""
    times_ms = sorted(times_ms)
    place = share * (len(times_ms) - 1)
    low = int(place)
    high = min(low + 1, len(times_ms) - 1)
    return times_ms[low] + (place - low) * (times_ms[high] - times_ms[low])


class Clock:
    def __init__(self, torch, device="cuda"):
        self.torch = torch
        properties = torch.cuda.get_device_properties(device)
        l2 = getattr(properties, "L2_cache_size", 0) or 64 << 20
        self.flood = torch.empty(2 * l2, dtype=torch.uint8, device=device)

    def times_ms(self, work, runs):
        events = []
        for _ in range(runs):
            self.flood.zero_()
            pair = [self.torch.cuda.Event(enable_timing=True) for _ in range(2)]
            pair[0].record()
            work()
            pair[1].record()
            events.append(pair)
        self.torch.cuda.synchronize()
        return [start.elapsed_time(stop) for start, stop in events]

    def replayed(self, work):
        """The call as a captured graph, so that a compiled function's checks on the host, which can take
        longer than its kernels, are not counted; the call itself where it cannot be captured."""
        torch = self.torch
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    work()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                kept = work()
            graph.replay()
            torch.cuda.synchronize()
            return lambda: (graph.replay(), kept)[1]
        except Exception:
            torch.cuda.synchronize()
            return work

    def measure(self, work, runs=RUNS, replay=False):
        """Median, percentiles, and the memory that a call needs beside what is there before it."""
        torch = self.torch
        first = self.times_ms(work, WARM_UP)
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        kept = work()
        torch.cuda.synchronize()
        extra = torch.cuda.max_memory_allocated() - before
        del kept
        if replay:
            work = self.replayed(work)
            first = self.times_ms(work, WARM_UP)
        count = int(TIME_MS / max(percentile(first, 0.5), 1e-4))
        times = self.times_ms(work, min(max(count, runs[0]), runs[1]))
        return {
            "time_ms": percentile(times, 0.5),
            "time_p5_ms": percentile(times, 0.05),
            "time_p95_ms": percentile(times, 0.95),
            "runs": len(times),
            "extra_memory_bytes": extra,
        }
