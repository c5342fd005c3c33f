//! Takes something from a modem for a while by writing to files of sysfs, and
//! gives it back whatever happens in between: what is owed is noted before, and
//! made good by the next start of a service that was killed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::state::{Loaded, StateFile};

/// What to write where, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What takes it away.
    pub away: &'static str,
    /// What gives it back.
    pub back: &'static str,
    /// How long it is away.
    pub pause: Duration,
}

/// What must be written if we do not live to do it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owed {
    files: Vec<PathBuf>,
    back: String,
}

fn note(folder: &Path) -> StateFile {
    StateFile::new(folder, "cut", 1)
}

/// Does it; `folder` is where the modem's state is kept.
///
/// # Errors
/// It cannot be noted, and is not done then; or the kernel refused a part, and
/// what was taken is given back.
pub async fn make(cut: Cut, folder: &Path) -> Result<()> {
    let Cut { files, away, back, pause } = cut;
    note(folder).save(&Owed { files: files.clone(), back: back.to_owned() })?;
    let all = files.clone();
    // The kernel's unbinding waits for drivers: not in the loop.
    let took = tokio::task::spawn_blocking(move || {
        all.iter().try_for_each(|file| fs::write(file, away).with_context(|| failure(away, file)))
    });
    let took = took.await?;
    if took.is_ok() {
        sleep(pause).await;
    }
    let folder = folder.to_owned();
    let gave = tokio::task::spawn_blocking(move || give_back(&files, back, &folder)).await?;
    took.and(gave)
}

/// Writes all that can be written, and forgets the note if that was all. What is
/// gone from the bus is owed nothing.
fn give_back(files: &[PathBuf], back: &str, folder: &Path) -> Result<()> {
    let mut first: Result<()> = Ok(());
    for file in files {
        match fs::write(file, back) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                first = first.and(Err(error).with_context(|| failure(back, file)));
            }
            _ => {}
        }
    }
    first?;
    let path = folder.join("cut.json");
    unless_gone(fs::remove_file(&path)).with_context(|| path.display().to_string())
}

/// Makes good what services before this one owed to any modem; `state` has a
/// folder for each.
pub fn settle(state: &Path) {
    for folder in fs::read_dir(state).into_iter().flatten().flatten() {
        let folder = folder.path();
        let done = match note(&folder).load::<Owed>() {
            Ok(Loaded::Kept(owed)) => {
                tracing::info!("giving back what was cut: {:?}", owed.files);
                give_back(&owed.files, &owed.back, &folder)
            }
            Ok(Loaded::Nothing) => Ok(()),
            Ok(Loaded::Damaged { aside, reason }) => {
                tracing::warn!("a damaged file is now {}: {reason}", aside.display());
                Ok(())
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            tracing::error!("{error:#}");
        }
    }
}

fn failure(value: &str, file: &Path) -> String {
    format!("cannot write {value} to {}", file.display())
}

fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(files: &[PathBuf]) -> Cut {
        Cut { files: files.to_vec(), away: "1", back: "0", pause: Duration::from_millis(30) }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(work)
    }

    #[test]
    fn what_is_taken_is_given_back_also_by_the_next_service() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let modem = state.join("1-1");
        fs::create_dir_all(&modem).unwrap();
        let files: Vec<_> = ["a", "b"].map(|name| folder.path().join(name)).to_vec();
        let read =
            || files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<Vec<_>>();
        for file in &files {
            fs::write(file, "0").unwrap();
        }
        run(async {
            let work = make(cut(&files), &modem);
            tokio::pin!(work);
            while read() != ["1", "1"] {
                let step = tokio::time::timeout(Duration::from_millis(1), &mut work).await;
                assert!(step.is_err(), "it was never away");
            }
            work.await.unwrap();
        });
        assert_eq!(read(), ["0", "0"]);
        assert_eq!(fs::read_dir(&modem).unwrap().count(), 0, "nothing is owed");

        // Killed in between: the future is dropped.
        run(async {
            let long = Cut { pause: Duration::from_secs(3600), ..cut(&files) };
            let work = make(long, &modem);
            tokio::pin!(work);
            while read() != ["1", "1"] {
                _ = tokio::time::timeout(Duration::from_millis(1), &mut work).await;
            }
        });
        assert_eq!(read(), ["1", "1"]);
        settle(&state);
        assert_eq!(read(), ["0", "0"]);
        assert_eq!(fs::read_dir(&modem).unwrap().count(), 0, "nothing is owed");
    }

    #[test]
    fn what_is_refused_half_way_is_undone_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good"), folder.path().join("folder"));
        fs::create_dir(&bad).unwrap();
        let error = run(make(cut(&[good.clone(), bad]), folder.path())).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write 1 to "), "{error:#}");
        assert_eq!(fs::read_to_string(&good).unwrap(), "0");
    }
}
