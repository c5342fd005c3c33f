//! `cargo xtask fuzz`: feeds the parsers what no modem, file or network would
//! be so bad as to say.
//!
//! The targets are in `fuzz/`, a workspace of their own; libFuzzer drives them.
//! The coverage that it steers by comes from LLVM's own pass, which the stable
//! compiler can run, so neither a nightly compiler nor cargo-fuzz is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::context::Context;
use crate::process;
use crate::test::Checks;

/// What cargo-fuzz gives the compiler, but for the address sanitizer, which
/// needs a nightly one.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Longest input, bytes.
const LONGEST: usize = 4096;

/// Seconds after which an input counts as one that never ends. Most take some
/// microseconds; but a busy machine may leave the fuzzer waiting for a while.
const ENDLESS: u64 = 60;

/// How long the tests fuzz each target, seconds.
const SHORT: u64 = 4;

/// Fuzzes one target, or each, for so many seconds. The corpus in
/// `fuzz/corpus/TARGET` is run first and left as it is; an input that breaks a
/// target is kept in the build folder and named.
///
/// # Errors
/// There is no such target, it does not build, or an input breaks it.
pub fn run(ctx: &Context, target: Option<&str>, seconds: u64) -> Result<()> {
    let folder = ctx.path("fuzz");
    let all = targets(&folder)?;
    let chosen: Vec<&String> =
        all.iter().filter(|name| target.is_none_or(|wanted| wanted == *name)).collect();
    if let (Some(wanted), []) = (target, &chosen[..]) {
        bail!("there is no fuzz target `{wanted}`; there are {}", all.join(", "));
    }
    let programs = build(ctx, &folder)?;
    for name in chosen {
        let inputs = fuzz(&folder, &programs, name, seconds)?;
        println!("{name}: {inputs} inputs in {seconds} s, none broke it");
    }
    Ok(())
}

/// The part of the tests: each target for a few seconds.
pub fn test(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let folder = ctx.path("fuzz");
    let programs = build(ctx, &folder)?;
    let names = targets(&folder)?;
    for (name, result) in
        side_by_side(ctx.jobs, &names, |name| fuzz(&folder, &programs, name, SHORT))
    {
        let about = match &result {
            Ok(inputs) => format!("{name} takes the corpus and more, {inputs} inputs"),
            Err(_) => format!("{name} takes the corpus and more"),
        };
        checks.check(&about, result.map(|_| ()));
    }
    Ok(())
}

/// Does `work` for each name, so many at once; gives the results in the order of
/// the names.
fn side_by_side<T: Send>(
    jobs: usize,
    names: &[String],
    work: impl Fn(&str) -> T + Sync,
) -> Vec<(&String, T)> {
    let share = names.len().div_ceil(jobs.max(1)).max(1);
    std::thread::scope(|scope| {
        let work = &work;
        let shares: Vec<_> = names
            .chunks(share)
            .map(|names| {
                scope.spawn(move || names.iter().map(|name| (name, work(name))).collect::<Vec<_>>())
            })
            .collect();
        let done = shares.into_iter().map(|share| match share.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    })
}

/// The names of the targets: the files in `fuzz/targets`.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = files(&folder.join("targets"))?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    ensure!(!names.is_empty(), "{} has no targets", folder.display());
    Ok(names)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("cannot list {}", folder.display()))
}

/// Builds all targets; gives the folder of the programs. The compilation
/// target is named, as cargo then keeps the flags from build scripts.
fn build(ctx: &Context, folder: &Path) -> Result<PathBuf> {
    let version = process::text(Command::new("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` does not tell the host")?;
    let output = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder).join("fuzz"),
        None => folder.join("target"),
    };
    let jobs = format!("--jobs={}", ctx.jobs);
    process::output(
        Command::new("cargo")
            .args(["build", "--release", "--locked", &jobs, "--target", host, "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", &output)
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")),
    )?;
    Ok(output.join(host).join("release"))
}

/// Runs the corpus of a target and then new inputs; gives how many it ran.
fn fuzz(folder: &Path, programs: &Path, name: &str, seconds: u64) -> Result<u64> {
    // libFuzzer writes what it finds into the first folder and only reads the
    // others; the repository's corpus grows on purpose only.
    let found = programs.join("found").join(name);
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let corpus = folder.join("corpus").join(name);
    let kept = files(&corpus)?.len() as u64;
    let mut command = Command::new(programs.join(name));
    command
        .args([&found, &corpus])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-artifact_prefix={}/broken-{name}-", programs.display()))
        .arg(format!("-timeout={ENDLESS}"))
        .arg("-print_final_stats=1");
    let said = process::any_output(&mut command)?;
    let text = String::from_utf8_lossy(&said.stderr);
    ensure!(
        said.status.success(),
        "fuzzing {name} found an input that breaks it:\n{}",
        verdict(&text)
    );
    let inputs = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse().ok())
        .context("the fuzzer did not tell how much it ran")?;
    ensure!(inputs >= kept, "of {kept} inputs in {} it ran {inputs}", corpus.display());
    Ok(inputs)
}

/// What counts of a broken run: the panic and where the input is. Before are
/// the signs of progress, between the stack.
fn verdict(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.contains("panicked at"));
    let panic: Vec<&str> = lines.by_ref().take_while(|line| *line != "stack backtrace:").collect();
    if panic.is_empty() {
        let lines: Vec<&str> = text.lines().collect();
        return lines[lines.len().saturating_sub(30)..].join("\n");
    }
    let input = text.lines().filter(|line| line.contains("Test unit written to"));
    panic.into_iter().chain(input).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_run_shows_panic_and_input() {
        let text = "#1 NEW\nthread 'x' panicked at a.rs:1:2:\nwhy\nstack backtrace:\n 0: f\n\
                    artifact_prefix='b/'; Test unit written to b/crash-1\nstat::x: 1\n";
        assert_eq!(
            verdict(text),
            "thread 'x' panicked at a.rs:1:2:\nwhy\n\
             artifact_prefix='b/'; Test unit written to b/crash-1"
        );
        assert_eq!(verdict("ERROR: timeout\nmore"), "ERROR: timeout\nmore");
    }

    #[test]
    fn work_that_is_shared_out_is_all_done_in_order() {
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        for jobs in [0, 1, 2, 3, 20] {
            let done = side_by_side(jobs, &names, str::to_owned);
            assert!(done.iter().map(|(name, _)| *name).eq(&names), "{jobs}");
            assert!(done.iter().all(|(name, result)| *name == result), "{jobs}");
        }
    }

    #[test]
    fn every_target_is_a_program_and_has_a_corpus() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for name in targets(&folder).unwrap() {
            assert!(manifest.contains(&format!("\npath = \"targets/{name}.rs\"\n")), "{name}");
            assert!(!files(&folder.join("corpus").join(&name)).unwrap().is_empty(), "{name}");
        }
    }
}
