//! The shipping service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        shipping_service::NAME,
        env!("CARGO_PKG_VERSION"),
        shipping_service::run,
    )
}
