//! The webhook service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        webhook_service::NAME,
        env!("CARGO_PKG_VERSION"),
        webhook_service::run,
    )
}
