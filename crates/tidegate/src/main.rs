//! The program: `tidegate up`, `check`, `publish`, `listen`, `completion`.

use std::process::ExitCode;

/// Many small allocations on several threads: the gateway costs 10 to 15 % less with it.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counts, and costs more: for the load driver, which asks how many there are for an event.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    tidegate::run()
}
