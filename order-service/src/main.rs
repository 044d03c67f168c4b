//! The process of the order service.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        order_service::NAME,
        env!("CARGO_PKG_VERSION"),
        order_service::run,
    )
}
