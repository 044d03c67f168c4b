//! The command line of the order system; see the library of this crate.

fn main() -> std::process::ExitCode {
    orderctl::main()
}
