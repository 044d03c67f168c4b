//! The process of the order service.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main_with(
        order_service::NAME,
        env!("CARGO_PKG_VERSION"),
        order_service::run,
        vec![order_service::rebuild_tool()],
    )
}
