//! Hosts that pods name and that do not answer.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use crate::Fault;

pub(crate) const HOSTS: usize = 70;
/// A volume may name eight hosts.
const HOSTS_OF_A_VOLUME: usize = 8;
/// It takes as many to name them all.
pub(crate) const VOLUMES: usize = HOSTS.div_ceil(HOSTS_OF_A_VOLUME);
const OBJECTS: usize = 210;

/// What each of the volumes asks for.
pub(crate) fn objects(volume: usize) -> String {
    let object = |n| {
        let host = (volume * HOSTS_OF_A_VOLUME + n % HOSTS_OF_A_VOLUME) % HOSTS;
        format!(
            "- {{objectName: greedy/dead-{n}, kmsEndpoint: kst-dead{host}.cryptoservice.kms.aliyuncs.com}}\n"
        )
    };
    (0..OBJECTS).map(object).collect()
}

/// An address that drops what connects to it: its queue is full, and nobody empties it.
pub(crate) struct Dead {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<AbortOnDropHandle<()>>,
}

impl Dead {
    pub(crate) async fn listen() -> Result<Self, Fault> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let connect = |_| {
            AbortOnDropHandle::new(tokio::spawn(async move {
                let held = TcpStream::connect(address).await;
                std::future::pending::<()>().await;
                drop(held);
            }))
        };
        let waiting = (0..4).map(connect).collect();
        sleep(Duration::from_millis(100)).await;
        Ok(Self { address, _listener: listener, _waiting: waiting })
    }

    /// An entry of `--resolve` for the hosts that are named.
    pub(crate) fn resolve(&self) -> String {
        format!("kst-dead*.cryptoservice.kms.aliyuncs.com={}", self.address)
    }
}
