//! The `ringmaster` binary. It decides the exit code and nothing else.

fn main() -> std::process::ExitCode {
    ringmaster::run()
}
