//! The page: one file without anything from elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page's text.
pub const PAGE: &str = include_str!("page.html");

/// What the page may do (W3C, Content Security Policy Level 3): run its own
/// script, look as its own style says, and ask us. Nothing may frame it.
#[must_use]
pub fn policy() -> String {
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sum(inner("script")),
        sum(inner("style")),
    )
}

/// What stands within the page's only element of this name.
fn inner(element: &str) -> &'static str {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let from = PAGE.find(&start).map_or(PAGE.len(), |at| at + start.len());
    let rest = &PAGE[from..];
    &rest[..rest.find(&end).unwrap_or(rest.len())]
}

fn sum(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_that_it_needs() {
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1);
            assert!(inner(element).len() > 100);
        }
        // Handlers and styles in attributes would not run, nor would anything
        // from elsewhere.
        for foreign in ["src=", "http://", "https://", "style=", "onclick", "innerHTML"] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        assert!(!policy().contains("unsafe"));
    }
}
