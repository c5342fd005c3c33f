//! The network drivers, on the same emulated machine and bus.

use anyhow::Result;

use super::table::Table;
use crate::context::Context;
use crate::test;

/// Measures how fast each driver loads a page.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    for (driver, bytes) in test::throughput(ctx)? {
        let megabits = bytes * 8e-6;
        table.row(&format!("{driver}: download"), "", &format!("{megabits:.1} Mbit/s"));
    }
    Ok(())
}
