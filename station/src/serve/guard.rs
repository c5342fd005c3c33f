//! Who may ask the desk what: a function of the request's head.
//!
//! The page can overwrite disks, and any web site can make a browser send
//! requests to this computer. So: no cookies, nothing but our own page's origin,
//! no host name that somebody's name server could point here, and, when others
//! than this computer can reach us, a token.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

/// What of a request's head matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// Whether something may be changed by it (anything but GET).
    pub changes: bool,
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`, which browsers alone set (W3C, Fetch Metadata).
    pub site: Option<&'a str>,
    /// `Content-Type`.
    pub kind: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Some name that was pointed here.
    #[error("this name is not the desk's: use its address, or start it with --name")]
    Host,
    /// Another site's page.
    #[error("another site's page asks: only the desk's own may")]
    Origin,
    /// A form could have sent it.
    #[error("what changes something must be application/json")]
    Kind,
    /// No token, or not the right one.
    #[error("the token is missing or wrong: it was printed when the desk was opened")]
    Token,
}

/// Who is let in.
#[derive(Clone, Default)]
pub struct Guard {
    /// Names besides addresses and `localhost`.
    pub names: Vec<String>,
    /// What everybody has to know, when it is needed.
    pub token: Option<String>,
}

impl Guard {
    /// Judges a request for the page itself, which has no secret.
    ///
    /// # Errors
    /// Why it is turned away.
    pub fn page(&self, head: &Head<'_>) -> Result<(), Denied> {
        let host = head.host.filter(|host| self.is_ours(host)).ok_or(Denied::Host)?;
        if head.origin.is_some_and(|origin| origin != format!("http://{host}")) {
            return Err(Denied::Origin);
        }
        Ok(())
    }

    /// Judges a request for what is behind the page.
    ///
    /// # Errors
    /// Why it is turned away.
    pub fn inside(&self, head: &Head<'_>) -> Result<(), Denied> {
        self.program(head)?;
        if self.has_token(head) { Ok(()) } else { Err(Denied::Token) }
    }

    /// Judges a request that a program may send which proves by what it says that
    /// it may.
    ///
    /// # Errors
    /// Why it is turned away.
    pub fn program(&self, head: &Head<'_>) -> Result<(), Denied> {
        self.page(head)?;
        if head.site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return Err(Denied::Origin);
        }
        // No form has this kind, and a script of another origin must ask first
        // (Fetch Standard, "CORS-safelisted request-header").
        let kind = head.kind.and_then(|it| it.split(';').next()).map(str::trim);
        if head.changes && !kind.is_some_and(|it| it.eq_ignore_ascii_case("application/json")) {
            return Err(Denied::Kind);
        }
        Ok(())
    }

    /// Whether who asks knows the token, where one is needed.
    #[must_use]
    pub fn has_token(&self, head: &Head<'_>) -> bool {
        let Some(token) = &self.token else { return true };
        let given = head.authorization.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or("");
        // Tokens of all lengths but one differ at once, which tells nothing.
        bool::from(given.as_bytes().ct_eq(token.as_bytes()))
    }

    /// Whether the host can only mean us: an address cannot be pointed anywhere
    /// by a name server.
    fn is_ours(&self, host: &str) -> bool {
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|it| it.is_ascii_digit()) => bare,
            _ => host,
        };
        let address = bare.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(bare);
        address.parse::<IpAddr>().is_ok()
            || bare.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|name| bare.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Head<'_> = Head {
        changes: false,
        host: Some("127.0.0.1:7670"),
        origin: None,
        site: None,
        kind: None,
        authorization: None,
    };

    #[test]
    fn names_that_somebody_else_may_point_here_are_refused() {
        let guard = Guard { names: vec!["desk.example".into()], token: None };
        for host in [
            "127.0.0.1",
            "[::1]:7670",
            "[::1]",
            "localhost:7670",
            "192.0.2.7:1",
            "Desk.example:7670",
        ] {
            assert_eq!(guard.inside(&Head { host: Some(host), ..GET }), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "evil.example:7670", "127.0.0.1.evil.example", "", "localhost.x"]
        {
            let head = Head { host: Some(host), ..GET };
            assert_eq!(
                (guard.page(&head), guard.inside(&head)),
                (Err(Denied::Host), Err(Denied::Host))
            );
        }
        assert_eq!(guard.page(&Head { host: None, ..GET }), Err(Denied::Host));
    }

    #[test]
    fn other_sites_pages_are_refused() {
        let guard = Guard::default();
        let post = Head { changes: true, kind: Some("application/json"), ..GET };
        let own = Head { origin: Some("http://127.0.0.1:7670"), site: Some("same-origin"), ..post };
        assert_eq!(guard.inside(&own), Ok(()));
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:7670", "http://127.0.0.1:7671"]
        {
            let head = Head { origin: Some(origin), ..post };
            assert_eq!(guard.inside(&head), Err(Denied::Origin), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(guard.inside(&Head { site: Some(site), ..GET }), Err(Denied::Origin));
            // The page may be led to by a link.
            assert_eq!(guard.page(&Head { site: Some(site), ..GET }), Ok(()));
        }
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(guard.inside(&Head { kind, ..post }), Err(Denied::Kind));
        }
    }

    #[test]
    fn a_token_must_be_right_where_there_is_one() {
        let guard = Guard { names: Vec::new(), token: Some("abc".into()) };
        assert_eq!(guard.page(&GET), Ok(()));
        for given in [None, Some("abc"), Some("Bearer "), Some("Bearer ab"), Some("Bearer abd")] {
            let head = Head { authorization: given, ..GET };
            assert_eq!(guard.inside(&head), Err(Denied::Token), "{given:?}");
        }
        let right = Head { authorization: Some("Bearer abc"), ..GET };
        assert_eq!(guard.inside(&right), Ok(()));
        // Who proves itself otherwise is held to the rest all the same.
        assert_eq!(guard.program(&GET), Ok(()));
        assert!(!guard.has_token(&GET) && guard.has_token(&right));
        let post = Head { changes: true, ..right };
        assert_eq!(guard.program(&post), Err(Denied::Kind));
        assert_eq!(guard.program(&Head { host: Some("evil.example"), ..GET }), Err(Denied::Host));
    }
}
