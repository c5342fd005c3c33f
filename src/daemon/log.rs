//! Log lines on standard error, in the form that the journal takes levels from.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, SubscriberBuilder};
use tracing_subscriber::registry::LookupSpan;

/// Sends log lines to standard error, with `<N>` level prefixes (sd-daemon(3))
/// when that goes to the journal. The journal adds the time.
///
/// # Errors
/// Logging was set up before.
pub fn start() -> anyhow::Result<()> {
    // Set by systemd for services whose output it takes (systemd.exec(5)).
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    SubscriberBuilder::default()
        .with_max_level(Level::INFO)
        .with_writer(std::io::stderr)
        .event_format(Line { journal })
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

struct Line {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // syslog(3) severities.
        let severity = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        if self.journal {
            write!(writer, "<{severity}>")?;
        } else if severity <= 4 {
            write!(writer, "{}: ", event.metadata().level())?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
