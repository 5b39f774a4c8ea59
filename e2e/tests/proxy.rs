//! A road to the cloud that can go silent: connections stay open and nothing arrives any more, as
//! when a firewall has forgotten them; or that can be closed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

pub struct Proxy {
    pub address: SocketAddr,
    target: SocketAddr,
    fate: Arc<watch::Sender<Fate>>,
    accepting: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// What becomes of connections that were there when it was last said.
#[derive(Clone, Copy)]
enum Fate {
    Silence,
    End,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fate = Arc::new(watch::channel(Fate::Silence).0);
        let accepting = Mutex::new(Some(accept(listener, target, fate.clone())));
        Self { address, target, fate, accepting }
    }

    /// All connections that there are; new ones work.
    pub fn silence(&self) {
        self.fate.send_replace(Fate::Silence);
    }

    /// Ends all connections, and refuses new ones.
    pub async fn refuse(&self) {
        let accepting = self.accepting.lock().unwrap().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            let _ = accepting.await;
        }
        self.fate.send_replace(Fate::End);
    }

    pub async fn admit(&self) {
        if self.accepting.lock().unwrap().is_none() {
            let listener = TcpListener::bind(self.address).await.unwrap();
            let accepting = accept(listener, self.target, self.fate.clone());
            *self.accepting.lock().unwrap() = Some(accepting);
        }
    }
}

fn accept(
    listener: TcpListener,
    target: SocketAddr,
    fate: Arc<watch::Sender<Fate>>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(target).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, fate.subscribe()));
            tokio::spawn(carry(far_in, near_out, fate.subscribe()));
        }
    }))
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut fate: watch::Receiver<Fate>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            _ = fate.changed() => break,
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
    let fate = *fate.borrow();
    if matches!(fate, Fate::Silence) {
        // Neither end hears that the other is gone.
        std::future::pending::<()>().await;
    }
}
