//! The email service as a process of its own.

fn main() -> std::process::ExitCode {
    service_runtime::lifecycle::main(
        email_service::NAME,
        env!("CARGO_PKG_VERSION"),
        email_service::run,
    )
}
