//! The list of accepted gaps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;

/// What Debian's kernel drives and ours deliberately does not.
#[derive(Clone, Debug)]
pub struct Gaps(BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    gap: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    compatible: String,
    reason: String,
}

impl Gaps {
    /// Reads the list; an entry needs a reason and stands once.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|error| anyhow!("{error}"))?;
        let mut gaps = BTreeMap::new();
        for Entry { compatible, reason } in file.gap {
            if reason.trim().is_empty() {
                bail!("{compatible} has no reason");
            }
            if gaps.insert(compatible.clone(), reason).is_some() {
                bail!("{compatible} stands twice");
            }
        }
        Ok(Self(gaps))
    }

    /// Whether `key` is on the list.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Why it is.
    pub fn reason(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// An error that names the entries which are not `missing`: the list must
    /// not outlive its reasons.
    pub fn all_open(&self, missing: &BTreeSet<String>) -> Result<()> {
        let closed: Vec<_> = self.0.keys().filter(|key| !missing.contains(*key)).collect();
        if !closed.is_empty() {
            bail!("these are no gaps (any more): {closed:?}; take them off the list");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[gap]]\ncompatible = 'v,gpu'\nreason = 'no display'\n";

    #[test]
    fn an_entry_that_is_no_gap_is_an_error_that_names_it() {
        let gaps = Gaps::parse(ONE).unwrap();
        assert!(gaps.all_open(&["v,gpu".to_owned()].into()).is_ok());
        let error = gaps.all_open(&BTreeSet::new()).unwrap_err().to_string();
        assert!(error.contains("v,gpu"), "{error}");
    }

    #[test]
    fn reasons_are_needed_and_entries_single() {
        assert!(Gaps::parse(&ONE.replace("no display", " ")).is_err());
        assert!(Gaps::parse(&format!("{ONE}{ONE}")).is_err());
        assert!(Gaps::parse("[[gap]]\ncompatible = 'x'\n").is_err());
        assert!(Gaps::parse("[[gaps]]\n").is_err());
    }
}
