//! The stock service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        stock_service::NAME,
        env!("CARGO_PKG_VERSION"),
        stock_service::run,
    )
}
