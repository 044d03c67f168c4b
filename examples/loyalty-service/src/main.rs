//! The loyalty service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        loyalty_service::NAME,
        env!("CARGO_PKG_VERSION"),
        loyalty_service::run,
    )
}
