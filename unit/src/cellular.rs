//! SIM, access point and networks, as people give them to a unit, and as the
//! device's service reads them.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::secret::Secret;
use super::values::{Amount, Plain, is_pin};

/// `[cellular]`, with secrets of a kind of its own: the desk has references
/// there, the device the secrets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cellular<S = Secret> {
    /// Access point name; looked up by the SIM when left out.
    pub apn: Option<Plain>,
    /// User there.
    pub user: Option<Plain>,
    /// Password there.
    pub password: Option<S>,
    /// How to authenticate.
    pub auth: Option<Auth>,
    /// The SIM's PIN.
    pub pin: Option<S>,
    /// Whether data may flow abroad.
    pub roaming: Option<Roaming>,
    /// Networks to use.
    pub modes: Option<Modes>,
    /// Most data in a month.
    pub budget: Option<Amount>,
    /// Metric of the default route.
    pub metric: Option<u32>,
}

// Not derived: that would want a default of the secrets' kind.
impl<S> Default for Cellular<S> {
    fn default() -> Self {
        Self {
            apn: None,
            user: None,
            password: None,
            auth: None,
            pin: None,
            roaming: None,
            modes: None,
            budget: None,
            metric: None,
        }
    }
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Auth {
    Auto,
    None,
    Pap,
    Chap,
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Roaming {
    Deny,
    Allow,
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Modes {
    Auto,
    Lte,
    Gsm,
}

impl<S> Cellular<S> {
    /// What no value shows by itself; the error says in which field.
    ///
    /// # Errors
    /// A user or password without an access point, or a way to authenticate
    /// without a user.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let needs_apn = if self.user.is_some() {
            Some("cellular.user")
        } else {
            self.password.as_ref().map(|_| "cellular.password")
        };
        if let Some(field) = needs_apn.filter(|_| self.apn.is_none()) {
            return Err((field, "it has a user or password but no cellular.apn: set that too"));
        }
        if matches!(self.auth, Some(Auth::Pap | Auth::Chap)) && self.user.is_none() {
            let message = "its cellular.auth needs cellular.user: set that too";
            return Err(("cellular.auth", message));
        }
        Ok(())
    }
}

impl Cellular {
    /// The secrets' own rules; the error says in which field.
    ///
    /// # Errors
    /// The PIN is none, or the password cannot be said to a modem.
    pub fn check_secrets(&self) -> Result<(), (&'static str, &'static str)> {
        if self.pin.as_ref().is_some_and(|pin| !is_pin(pin.reveal())) {
            return Err(("cellular.pin", "must be four to eight digits"));
        }
        let plain = |it: &Secret| Plain::try_from(it.reveal().to_owned()).is_ok();
        if self.password.as_ref().is_some_and(|password| !plain(password)) {
            return Err(("cellular.password", "must be plain ASCII without a quote"));
        }
        Ok(())
    }

    /// The same in the form of `docs/a7670e.example.toml`; a table that would be
    /// empty is left out.
    #[must_use]
    pub fn service_table(&self) -> Table {
        let secret = |it: &Secret| {
            Value::Table(Table::from_iter([("secret".to_owned(), it.reveal().into())]))
        };
        let text = |it: &Plain| Value::from(it.as_str());
        let fields = [
            ("modem", "pin", self.pin.as_ref().map(secret)),
            ("cellular", "apn", self.apn.as_ref().map(text)),
            ("cellular", "user", self.user.as_ref().map(text)),
            ("cellular", "password", self.password.as_ref().map(secret)),
            ("cellular", "auth", word(self.auth)),
            ("cellular", "roaming", word(self.roaming)),
            ("cellular", "modes", word(self.modes)),
            ("network", "metric", self.metric.map(|it| i64::from(it).into())),
            ("data", "cap", self.budget.as_ref().map(|it| it.as_str().into())),
        ];
        let mut whole = Table::new();
        for (table, name, value) in fields {
            let Some(value) = value else { continue };
            let inner = whole.entry(table).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                inner.insert(name.to_owned(), value);
            }
        }
        whole
    }
}

/// As it is read.
fn word(it: Option<impl Serialize>) -> Option<Value> {
    // Without fields it is a text, which TOML can say.
    it.and_then(|it| Value::try_from(it).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_are_read() {
        for text in [
            "auth = \"auto\"\nmodes = \"auto\"\nroaming = \"deny\"\n",
            "auth = \"none\"\nmodes = \"lte\"\nroaming = \"allow\"\n",
            "auth = \"pap\"\nmodes = \"gsm\"\n",
            "auth = \"chap\"\n",
        ] {
            let cellular: Cellular = toml::from_str(text).unwrap();
            let written = cellular.service_table();
            assert_eq!(toml::to_string(&written["cellular"]).unwrap(), text);
        }
    }

    #[test]
    fn the_services_form_leaves_out_what_is_not_said() {
        assert!(Cellular::<Secret>::default().service_table().is_empty());
        let text = "apn = 'm2m'\npin = { secret = '1234' }\nbudget = '2 GB'\nmetric = 300\n";
        let cellular: Cellular = toml::from_str(text).unwrap();
        let want = "[cellular]\napn = \"m2m\"\n\n[data]\ncap = \"2 GB\"\n\n[modem.pin]\n\
                    secret = \"1234\"\n\n[network]\nmetric = 300\n";
        assert_eq!(toml::to_string(&cellular.service_table()).unwrap(), want);
    }

    #[test]
    fn what_belongs_together_must_be_there() {
        let parse = |text: &str| toml::from_str::<Cellular>(text).unwrap();
        assert_eq!(parse("user = 'u'").check().unwrap_err().0, "cellular.user");
        assert_eq!(parse("password = 'p'").check().unwrap_err().0, "cellular.password");
        assert_eq!(parse("apn = 'a'\nauth = 'pap'").check().unwrap_err().0, "cellular.auth");
        assert_eq!(parse("pin = '12'").check_secrets().unwrap_err().0, "cellular.pin");
        assert_eq!(parse("password = 'a\"'").check_secrets().unwrap_err().0, "cellular.password");
        let good = parse("apn = 'a'\nuser = 'u'\npassword = 'p'\nauth = 'chap'\npin = '1234'");
        assert!(good.check().is_ok() && good.check_secrets().is_ok());
    }
}
