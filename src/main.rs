//! Command line of `a7670e`.

fn main() -> std::process::ExitCode {
    a7670e::cli::main(std::env::args_os().skip(1))
}
