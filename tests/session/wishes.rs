//! Settings of the sessions under test.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use a7670e::config::Control;
use a7670e::modem::machine::{Access, Auth, CellularSettings, Providers, Secret, Source};
use a7670e::net::probe;
use a7670e::policy::budget::Rules;
use a7670e::policy::ladder::DEFAULT;
use a7670e::session::{DnsScope, Settings};

/// Access points of every provider.
pub struct Apns(pub &'static [&'static str]);

impl Providers for Apns {
    fn lookup(&self, _: &str, _: &str) -> Vec<Access> {
        let access = |apn: &&str| Access {
            apn: (*apn).into(),
            user: String::new(),
            password: Secret::default(),
            auth: Auth::None,
            source: Source::Database,
        };
        self.0.iter().map(access).collect()
    }
}

/// Settings as from an empty configuration, but for a page that the far end has.
pub fn settings() -> Settings {
    Settings {
        control: Control::Direct,
        cellular: CellularSettings::default(),
        providers: Arc::new(Apns(&["safaricom"])),
        by: a7670e::config::NetworkBy::Netlink,
        ppp: false,
        gsm: None,
        take_dns: true,
        metric: 700,
        dns: DnsScope::Link,
        ipv6: false,
        probe: probe::Settings::default(),
        target: probe::Target {
            host: "www.example.test".into(),
            port: 80,
            path: "/".into(),
            status: 204,
            fallback: vec![SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 99), 53)],
        },
        limits: DEFAULT.to_vec(),
        rules: Rules { cap: None, first_day: 1, reserve: 1_500_000 },
        messages: Some(a7670e::sms::spool::Settings::default()),
    }
}
