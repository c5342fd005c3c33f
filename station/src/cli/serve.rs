//! `station serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use clap::Args;

use super::flash::Image;
use super::hot::Hot;
use super::provision::records_of;
use super::show;
use crate::boot::places;
use crate::desk::units::Units;
use crate::desk::{Desk, Work};
use crate::fleet::{Fleet, render};
use crate::provision::token;
use crate::records::Records;
use crate::serve::guard::Guard;
use crate::serve::{is_open, serve};

/// What the desk is for, and who may come near.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    image: Image,
    /// The units [default: all cards become the same].
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Where it is recorded which unit is on which card [default: beside the
    /// fleet's file].
    #[arg(long, value_name = "FILE", requires = "fleet")]
    records: Option<PathBuf>,
    /// Who is at the desk, for the records.
    #[arg(long, value_name = "NAME", env = "SUDO_USER")]
    operator: Option<String>,
    /// Offer this too, which is no card in a reader: a file or a fixed disk.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Offer named disks of more than 512 GB too.
    #[arg(long)]
    yes_really: bool,
    /// Where to listen. Other computers can reach the desk only by another
    /// address than this one, and then need a token that is printed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7670")]
    listen: SocketAddr,
    /// Ask for a token on this computer too, when it has other users.
    #[arg(long)]
    token: bool,
    /// A name by which browsers reach the desk, besides its address.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    hot: Hot,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let source = arguments.image.open()?;
    show::source(&source);
    let (mut inputs, mut units) = (Vec::new(), None);
    if let Some(path) = &arguments.fleet {
        let fleet = Fleet::load(path)?;
        inputs = fleet.files;
        inputs.push(path.clone());
        let records = arguments.records.clone().unwrap_or_else(|| records_of(path));
        units = Some(Units {
            units: fleet.units,
            places: places(&source, &render::NAMES)?,
            records: Arc::new(Mutex::new(Records::open(&records)?)),
            path: records,
            operator: arguments.operator.clone(),
        });
    }
    let desk = Desk::new(Work {
        source,
        inputs,
        units,
        named: arguments.targets.clone(),
        yes_really: arguments.yes_really,
        hot_add: arguments.hot.slots(),
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("cannot listen on {}", arguments.listen))?;
        let address = listener.local_addr()?;
        let token = if arguments.token || is_open(&address) {
            Some(token().context("no token for the page")?)
        } else {
            None
        };
        // Behind the #, so that it is in no log of what lies between.
        let behind = token.as_ref().map(|it| format!("#{it}")).unwrap_or_default();
        say!("the desk is at http://{address}/{behind}");
        if is_open(&address) {
            say!("note: what it says can be heard in this network; see docs/station.md");
        }
        serve(desk, listener, Guard { names: arguments.names.clone(), token }).await?;
        Ok(true)
    })
}
