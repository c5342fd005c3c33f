//! systemd-resolved, by D-Bus: org.freedesktop.resolve1(5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zbus::zvariant::OwnedValue;
use zbus::{Connection, Error, Result};

const NAME: &str = "org.freedesktop.resolve1";
const PATH: &str = "/org/freedesktop/resolve1";
const MANAGER: &str = "org.freedesktop.resolve1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

// Address families on the bus: those of the kernel.
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

/// A connection to systemd-resolved.
pub struct Resolved {
    bus: Connection,
}

impl Resolved {
    /// Connects to the system's bus and asks resolved for a sign of life, which
    /// starts it where the bus may do so.
    ///
    /// # Errors
    /// No bus, or no resolved on it.
    pub async fn connect() -> Result<Resolved> {
        Resolved::on(Connection::system().await?).await
    }

    /// The same on a bus that is connected already.
    ///
    /// # Errors
    /// No resolved on it.
    pub async fn on(bus: Connection) -> Result<Resolved> {
        bus.call_method(Some(NAME), PATH, Some("org.freedesktop.DBus.Peer"), "Ping", &()).await?;
        Ok(Resolved { bus })
    }

    /// Sets the link's servers; with `default`, for all names.
    ///
    /// # Errors
    /// Access denied (polkit's org.freedesktop.resolve1.set-dns-servers, unless
    /// root), or the link is gone.
    pub async fn set(&self, index: u32, servers: &[IpAddr], default: bool) -> Result<()> {
        let index = index as i32;
        let addresses: Vec<(i32, Vec<u8>)> = servers.iter().map(encode).collect();
        // `~.`: the servers of this link are for names of every domain.
        let domains: &[(&str, bool)] = if default { &[(".", true)] } else { &[] };
        self.call("SetLinkDNS", &(index, addresses)).await?;
        self.call("SetLinkDomains", &(index, domains)).await?;
        self.call("SetLinkDefaultRoute", &(index, default)).await
    }

    /// Forgets all that was set for the link.
    ///
    /// # Errors
    /// As [`Resolved::set`]; that the link is gone is none.
    pub async fn revert(&self, index: u32) -> Result<()> {
        match self.call("RevertLink", &(index as i32)).await {
            Err(Error::MethodError(name, _, _)) if name.ends_with(".NoSuchLink") => Ok(()),
            other => other,
        }
    }

    /// The link's servers; `None` when there are none, or no such link.
    ///
    /// # Errors
    /// The bus broke, or resolved answers with something else than servers.
    pub async fn current(&self, index: u32) -> Result<Option<Vec<IpAddr>>> {
        let link = (index as i32,);
        let reply =
            match self.bus.call_method(Some(NAME), PATH, Some(MANAGER), "GetLink", &link).await {
                Err(Error::MethodError(name, _, _)) if name.ends_with(".NoSuchLink") => {
                    return Ok(None);
                }
                other => other?,
            };
        let path: zbus::zvariant::OwnedObjectPath = reply.body().deserialize()?;
        let property = ("org.freedesktop.resolve1.Link", "DNS");
        let reply =
            self.bus.call_method(Some(NAME), path, Some(PROPERTIES), "Get", &property).await?;
        let value: OwnedValue = reply.body().deserialize()?;
        let addresses: Vec<(i32, Vec<u8>)> = value.try_into()?;
        let addresses: Vec<IpAddr> =
            addresses.iter().filter_map(|(_, bytes)| decode(bytes)).collect();
        Ok((!addresses.is_empty()).then_some(addresses))
    }

    async fn call<B>(&self, method: &str, body: &B) -> Result<()>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.bus.call_method(Some(NAME), PATH, Some(MANAGER), method, body).await.map(|_| ())
    }
}

fn encode(address: &IpAddr) -> (i32, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    }
}

fn decode(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into())
}
