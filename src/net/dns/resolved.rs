//! systemd-resolved, by D-Bus: org.freedesktop.resolve1(5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, Error, Result};

use crate::net::model::NameServers;

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
    /// On this bus, which starts resolved where it may do so.
    #[must_use]
    pub fn on(bus: Connection) -> Resolved {
        Resolved { bus }
    }

    /// Sets the link's servers, and whether they are asked for names that no
    /// link claims. Domains are left to others: a link with the domain `~.` would
    /// be asked instead of all others, the owner's VPN included.
    ///
    /// # Errors
    /// Access denied (polkit's org.freedesktop.resolve1.set-dns-servers, unless
    /// root), or the link is gone.
    pub async fn set(&self, index: u32, dns: &NameServers) -> Result<()> {
        let index = index as i32;
        let addresses: Vec<(i32, Vec<u8>)> = dns.servers.iter().map(encode).collect();
        self.call("SetLinkDNS", &(index, addresses)).await?;
        self.call("SetLinkDefaultRoute", &(index, dns.primary)).await
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
    pub async fn current(&self, index: u32) -> Result<Option<NameServers>> {
        let link = (index as i32,);
        let reply =
            match self.bus.call_method(Some(NAME), PATH, Some(MANAGER), "GetLink", &link).await {
                Err(Error::MethodError(name, _, _)) if name.ends_with(".NoSuchLink") => {
                    return Ok(None);
                }
                other => other?,
            };
        let path: OwnedObjectPath = reply.body().deserialize()?;
        let addresses: Vec<(i32, Vec<u8>)> = self.property(&path, "DNS").await?.try_into()?;
        let servers: Vec<IpAddr> =
            addresses.iter().filter_map(|(_, bytes)| decode(bytes)).collect();
        if servers.is_empty() {
            return Ok(None);
        }
        let primary = self.property(&path, "DefaultRoute").await?.try_into()?;
        Ok(Some(NameServers { servers, primary }))
    }

    async fn property(&self, link: &OwnedObjectPath, name: &str) -> Result<OwnedValue> {
        let property = ("org.freedesktop.resolve1.Link", name);
        let reply =
            self.bus.call_method(Some(NAME), link, Some(PROPERTIES), "Get", &property).await?;
        reply.body().deserialize()
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
