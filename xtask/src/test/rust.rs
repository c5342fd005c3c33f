//! The workspace's own tests, its formatting and its lints.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::Checks;
use crate::context::Context;
use crate::definition::Definition;
use crate::{elder, process, rootfs};

/// Names the folder with Debian's ModemManager to its tests.
const ROOT: &str = "A7670E_MODEMMANAGER_ROOT";

/// Runs rustfmt, clippy and every Rust test of the workspace.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    checks.check("formatted (cargo fmt)", quiet(ctx, &["fmt", "--all", "--check"]));
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    checks.check("no lint (cargo clippy)", quiet(ctx, &lints));

    let tests = cargo(ctx, &["test", "--workspace", "--locked", "--no-fail-fast"]);
    count(tests, checks)
}

/// Runs the tests of the udev rules under the image's own version of udev.
pub fn udev(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let definition = Definition::load(ctx, "pi4b")?;
    let mut tests = cargo(
        ctx,
        &["test", "--package=a7670e", "--locked", "--test=udev", "--test=udevd", "--", "--ignored"],
    );
    tests.env("A7670E_UDEV_ROOT", rootfs::native_twin(ctx, &definition)?);
    count(tests, checks)
}

/// Runs the image's own version of ModemManager on the emulated modem, by itself and
/// beside the service; then the one of Debian before, in the same ways.
pub fn modemmanager(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let definition = Definition::load(ctx, "pi4b")?;
    let (ours, elder) = (rootfs::native_twin(ctx, &definition)?, elder::root(ctx)?);
    for (name, root) in [("the image's", &ours), ("bookworm's", &elder)] {
        println!("-- {name} ModemManager");
        let emulator = ignored(ctx, "a7670e-emulator", "modemmanager");
        count(with(emulator, ROOT, root), checks)?;
        // The bus is the image's.
        let service = with(ignored(ctx, "a7670e", "modemmanager"), ROOT, &ours);
        count(with(service, "A7670E_MODEMMANAGER_OTHER", root), checks)?;
    }
    Ok(())
}

/// Runs the service beside the image's own version of systemd-resolved. It is
/// killed some 20 times; `A7670E_KILLS=200` in the environment makes it more.
pub fn resolved(ctx: &Context, checks: &mut Checks) -> Result<()> {
    debians(ctx, checks, "a7670e", "resolved")
}

/// Runs the service beside the image's own version of NetworkManager.
pub fn networkmanager(ctx: &Context, checks: &mut Checks) -> Result<()> {
    debians(ctx, checks, "a7670e", "networkmanager")
}

/// Runs the ignored tests of `package` in tests/`name`.rs, which want the image's
/// packages for this machine in `A7670E_NAME_ROOT`.
fn debians(ctx: &Context, checks: &mut Checks, package: &str, name: &str) -> Result<()> {
    let definition = Definition::load(ctx, "pi4b")?;
    let mut tests = ignored(ctx, package, name);
    // One root has all of them, of which a test may want two.
    let root = rootfs::native_twin(ctx, &definition)?;
    for one in ["modemmanager", "resolved", "networkmanager"] {
        tests.env(format!("A7670E_{}_ROOT", one.to_uppercase()), &root);
    }
    count(tests, checks)
}

/// The ignored tests of `package` in tests/`name`.rs.
fn ignored(ctx: &Context, package: &str, name: &str) -> Command {
    let (package, test) = (format!("--package={package}"), format!("--test={name}"));
    cargo(ctx, &["test", &package, "--locked", &test, "--", "--ignored"])
}

/// The same with this folder in the environment.
fn with(mut command: Command, variable: &str, folder: &Path) -> Command {
    command.env(variable, folder);
    command
}

/// Runs `cargo test` and counts what it prints.
fn count(mut command: Command, checks: &mut Checks) -> Result<()> {
    let output = process::any_output(&mut command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let results = Results::read(&text);
    if results.passed + results.failed.len() == 0
        || (!output.status.success() && results.failed.is_empty())
    {
        bail!("{}", process::failure(&command, &output));
    }
    if !results.failed.is_empty() {
        println!("{text}");
    }
    println!("ok      {} tests of cargo", results.passed);
    checks.add(results.passed, results.failed);
    Ok(())
}

/// `cargo` with these arguments on this workspace.
pub fn cargo(ctx: &Context, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(&ctx.repo);
    // Set by the cargo that runs us; they are ours, not the tests'.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    command
}

fn quiet(ctx: &Context, arguments: &[&str]) -> Result<()> {
    process::output(&mut cargo(ctx, arguments))?;
    Ok(())
}

/// What `cargo test` printed, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    passed: usize,
    failed: Vec<String>,
}

impl Results {
    fn read(text: &str) -> Self {
        let mut results = Self::default();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("test ") else {
                continue;
            };
            if rest.ends_with(" ... ok") {
                results.passed += 1;
            } else if let Some(name) = rest.strip_suffix(" ... FAILED") {
                results.failed.push(name.to_owned());
            }
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_prints() {
        let text =
            "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\n---- a::c stdout ----\n";
        assert_eq!(Results::read(text), Results { passed: 1, failed: vec!["a::c".into()] });
    }
}
