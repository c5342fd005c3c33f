//! The DHCP client on a real link, in a network namespace of its own, against a
//! small server at the other end of a veth pair; with ARP, and without it as
//! simcom_wwan has it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use a7670e::net::dhcp::client::{Action, Client, Lease, Phase};
use a7670e::net::dhcp::socket::Socket;
use a7670e::net::model::{Desired, Ipv4, Ipv6};
use a7670e::net::netlink::Netlink;
use a7670e::net::plan::plan;
use common::namespace::{beyond, ip, outside};
use tokio::time::{Instant, sleep_until, timeout};

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 100);

/// Serves 192.168.0.100 on the link `modem` for as long as the process lives,
/// silent to the first `deaf` queries.
fn server(deaf: usize) {
    let open = || {
        ip("address add 192.168.0.1/24 dev modem");
        ip("link set modem up");
        let socket = UdpSocket::bind("0.0.0.0:67").unwrap();
        socket.set_broadcast(true).unwrap();
        socket
    };
    beyond("modem", open, move |socket| serve(&socket, deaf));
}

fn serve(socket: &UdpSocket, deaf: usize) {
    let mut buffer = [0; 1500];
    for number in 0.. {
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        let query = &buffer[..length];
        if number < deaf {
            continue;
        }
        // Offers to who asks around, grants to who asks for an address.
        let kind = if query[242] == 1 { 2 } else { 5 };
        let mut reply = vec![0; 240];
        reply[0] = 2;
        reply[4..8].copy_from_slice(&query[4..8]);
        reply[16..20].copy_from_slice(&HOST.octets());
        reply[28..34].copy_from_slice(&query[28..34]);
        reply[236..].copy_from_slice(&query[236..240]);
        reply.extend([53, 1, kind, 1, 4, 255, 255, 255, 0, 3, 4, 192, 168, 0, 1]);
        reply.extend([6, 4, 192, 168, 0, 1, 51, 4, 0, 0, 0, 60, 54, 4, 192, 168, 0, 1, 255]);
        socket.send_to(&reply, "192.168.0.255:68").unwrap();
    }
}

/// Carries messages until the client is bound (again).
async fn bind(client: &mut Client, socket: &Socket, start: Instant) -> Lease {
    loop {
        for action in client.take() {
            match action {
                Action::Broadcast { from, bytes } => {
                    socket.send(from, Ipv4Addr::BROADCAST, &bytes).unwrap();
                }
                Action::Unicast { from, to, bytes } => socket.send(from, to, &bytes).unwrap(),
                Action::Bound(lease) => return lease,
                Action::Lost => panic!("the lease was lost"),
            }
        }
        let next = start + client.next_event().unwrap();
        tokio::select! {
            message = socket.receive() => client.receive(start.elapsed(), &message.unwrap()),
            () = sleep_until(next) => client.advance(start.elapsed()),
        }
    }
}

fn online(deaf: usize, arp: &str) -> Duration {
    ip("link add wwan0 type veth peer name modem");
    ip(&format!("link set wwan0 arp {arp}"));
    server(deaf);
    ip("link set wwan0 up");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut netlink = Netlink::open().unwrap();
        let observed = netlink.observe("wwan0").unwrap();
        let link = observed.link_named("wwan0").unwrap();
        let socket = Socket::open(link.index).unwrap();
        let start = Instant::now();
        let mut client = Client::new(link.mac.unwrap(), 7);
        client.start(Duration::ZERO, None);
        let patience = Duration::from_secs(20);
        let lease = timeout(patience, bind(&mut client, &socket, start)).await.expect("no lease");
        assert_eq!((lease.address, lease.prefix), (HOST, 24));

        let desired = Desired {
            link: "wwan0".into(),
            index: link.index,
            mtu: None,
            ipv4: Some(Ipv4 {
                address: lease.address,
                prefix: lease.prefix,
                gateway: lease.gateway,
            }),
            metric: 700,
            default_route: Some(700),
            dns: None,
            ipv6: Ipv6::Leave,
        };
        let steps = plan(&desired, &observed).unwrap();
        steps.steps.iter().for_each(|step| netlink.apply(&steps, step).unwrap());
        let taken = start.elapsed();
        assert_eq!(plan(&desired, &netlink.observe("wwan0").unwrap()).unwrap().steps, &[]);

        // Half of the 60 s later, in the client's time: a renewal to the
        // server's own address, now that we have one.
        let renewal = client.next_event().unwrap();
        client.advance(renewal);
        assert_eq!(client.phase(), Phase::Renewing);
        let long_ago = start.checked_sub(renewal).unwrap_or(start);
        let again = timeout(patience, bind(&mut client, &socket, long_ago)).await;
        assert_eq!(again.expect("not renewed"), lease);
        taken
    })
}

#[test]
fn a_lease_becomes_a_route_within_milliseconds() {
    if outside("a_lease_becomes_a_route_within_milliseconds") {
        return;
    }
    let taken = online(0, "on");
    println!("from the first query to the route: {taken:?}");
    assert!(taken < Duration::from_millis(1000), "{taken:?}");
}

#[test]
fn a_lost_query_costs_a_quarter_of_a_second() {
    if outside("a_lost_query_costs_a_quarter_of_a_second") {
        return;
    }
    let taken = online(1, "on");
    assert!(taken >= Duration::from_millis(250) && taken < Duration::from_secs(2), "{taken:?}");
}

#[test]
fn a_link_without_arp_is_no_different() {
    if outside("a_link_without_arp_is_no_different") {
        return;
    }
    online(0, "off");
}
