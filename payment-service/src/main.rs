//! The payment service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        payment_service::NAME,
        env!("CARGO_PKG_VERSION"),
        payment_service::run,
    )
}
