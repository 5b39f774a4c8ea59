//! A road to the cloud that can go silent: connections stay open and nothing arrives any more, as
//! when a firewall has forgotten them.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

pub struct Proxy {
    pub address: SocketAddr,
    silent: Arc<watch::Sender<u32>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new(watch::channel(0).0);
        let silence = silent.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, silence.subscribe()));
                tokio::spawn(carry(far_in, near_out, silence.subscribe()));
            }
        });
        Self { address, silent, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// All connections that there are; new ones work.
    pub fn silence(&self) {
        self.silent.send_modify(|times| *times += 1);
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut silent: watch::Receiver<u32>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            _ = silent.changed() => break,
            read = from.read(&mut buffer) => match read {
                Ok(read @ 1..) => {
                    if to.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
    // Neither end hears that the other is gone.
    std::future::pending::<()>().await;
}
