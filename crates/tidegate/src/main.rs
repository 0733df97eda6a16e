//! The program: `tidegate up`, `check`, `publish`, `listen`, `completion`.

use std::process::ExitCode;

/// Gives back what a burst took, and costs less than the C library's where many threads free.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Counts, and costs more: for the load driver, which asks how many there are for an event.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    tidegate::run()
}
