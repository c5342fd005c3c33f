//! A faulty C file, to see that faults are reported at all.

use anyhow::{Result, ensure};

/// No prototype (gcc with `W=1`), and a number in the wrong byte order
/// (sparse).
pub const SOURCE: &str = "\
#include <linux/module.h>
#include <linux/types.h>
__be16 canary(void)
{
	return 5;
}
MODULE_DESCRIPTION(\"canary\");
MODULE_LICENSE(\"GPL\");
";

/// Whether both faults are in what make `said`.
pub fn noticed(said: &str) -> Result<()> {
    for (tool, words) in [("gcc W=1", "no previous prototype"), ("sparse", "restricted __be16")] {
        ensure!(said.contains(words), "{tool} did not report {words:?}; make said:\n{said}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_both_tools() {
        let gcc = "canary.c:3:8: warning: no previous prototype for 'canary'\n";
        let sparse = "canary.c:5:16: warning: incorrect type\n expected restricted __be16\n";
        assert!(noticed(&format!("{gcc}{sparse}")).is_ok());
        assert!(noticed(gcc).is_err() && noticed(sparse).is_err() && noticed("").is_err());
    }
}
