//! The `ringmaster` binary. It decides the allocator, the exit code and nothing else.

/// jemalloc gives the memory of a burst of clients back to the kernel. That of the C library kept
/// five times as much of it (src/proxy/README.md, "Memory"). Its settings are in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    ringmaster::run()
}
