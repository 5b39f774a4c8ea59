//! Peers of the admin port: how many connections each has, so that one that floods the port displaces
//! its own and leaves kubelet, which comes from another address, its place.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

/// Connections at once, of all peers.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Of one peer: kubelet has two probes at a time, Prometheus one request.
pub(super) const MAX_OF_PEER: usize = 8;
/// New ones of a peer in a second. Those beyond are closed unread.
pub(super) const MAX_NEW: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
/// Beyond these addresses, all others count as one peer.
const MAX_PEERS: usize = 1024;

#[derive(Debug)]
pub(super) struct Peers {
    since: Instant,
    /// In this second.
    new: HashMap<IpAddr, u32>,
    /// The oldest first.
    open: VecDeque<(IpAddr, AbortHandle)>,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), new: HashMap::new(), open: VecDeque::new() }
    }

    /// Whether to serve one more connection of this peer. Called once for each.
    pub(super) fn admits(&mut self, peer: IpAddr) -> bool {
        let now = Instant::now();
        if now.duration_since(self.since) >= SECOND {
            self.since = now;
            self.new.clear();
        }
        let known = self.new.len() < MAX_PEERS || self.new.contains_key(&of(peer));
        let peer = if known { of(peer) } else { Ipv6Addr::UNSPECIFIED.into() };
        let new = self.new.entry(peer).or_default();
        *new = new.saturating_add(1);
        *new <= MAX_NEW
    }

    /// Closes another of the same peer if it has too many, or one of the peer with most.
    pub(super) fn opened(&mut self, peer: IpAddr, connection: AbortHandle) {
        let peer = of(peer);
        self.open.retain(|(_, connection)| !connection.is_finished());
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (of, _) in &self.open {
            *counts.entry(*of).or_default() += 1;
        }
        let gives_way = if counts.get(&peer).is_some_and(|count| *count >= MAX_OF_PEER) {
            Some(peer)
        } else if self.open.len() >= MAX_CONNECTIONS {
            let most = counts.values().max().copied();
            // The oldest of those who have as many.
            self.open.iter().map(|(of, _)| *of).find(|of| counts.get(of).copied() == most)
        } else {
            None
        };
        if let Some(at) = self.open.iter().position(|(of, _)| Some(*of) == gives_way)
            && let Some((_, oldest)) = self.open.remove(at)
        {
            oldest.abort();
        }
        self.open.push_back((peer, connection));
    }
}

/// An IPv6 peer has a whole network of addresses.
fn of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from(u128::from(address) >> 64 << 64).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const KUBELET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[tokio::test(start_paused = true)]
    async fn peer_that_floods_is_not_admitted_and_others_are() {
        let mut peers = Peers::new();
        let admitted = (0..10_000).filter(|_| peers.admits(STRANGER)).count();
        assert_eq!(admitted, 100);
        assert!(peers.admits(KUBELET));
        // Nor is one that has all addresses of a network, or of many.
        let network = |n: u128| IpAddr::V6(Ipv6Addr::from((0xfd00 << 112) + n));
        assert_eq!((0..10_000).filter(|n| peers.admits(network(*n))).count(), 100);
        let many = (0..1_000_000).filter(|n| peers.admits(network(n << 64))).count();
        assert!(many < 103_000, "{many}");
        assert!(peers.new.len() <= MAX_PEERS + 1);
        tokio::time::advance(SECOND).await;
        assert!(peers.admits(STRANGER));
    }

    #[tokio::test]
    async fn connections_of_a_peer_displace_its_own() {
        let mut peers = Peers::new();
        let open = || tokio::spawn(std::future::pending::<()>());
        let kubelet = open();
        peers.opened(KUBELET, kubelet.abort_handle());
        let first = open();
        peers.opened(STRANGER, first.abort_handle());
        for _ in 0..1000 {
            peers.opened(STRANGER, open().abort_handle());
            tokio::task::yield_now().await;
        }
        assert!(first.is_finished() && !kubelet.is_finished());
        assert!(peers.open.len() <= MAX_OF_PEER + 2, "{}", peers.open.len());
        // Many peers displace the peer with most of them, the oldest first.
        for n in 0..200 {
            let peer = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, n));
            peers.opened(peer, open().abort_handle());
            tokio::task::yield_now().await;
        }
        assert!(peers.open.len() <= MAX_CONNECTIONS + 1, "{}", peers.open.len());
    }
}
