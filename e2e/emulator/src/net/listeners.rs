//! Listeners of the cloud, started and stopped, for an outage and back.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::net::front::Front;
use crate::net::server::{Port, bind};

pub(crate) struct Listeners {
    root: CancellationToken,
    ports: Vec<(Port<Front>, SocketAddr)>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Listeners {
    pub(crate) fn new(
        root: CancellationToken,
        bound: Vec<(Port<Front>, TcpListener)>,
    ) -> io::Result<Self> {
        let mut ports = Vec::new();
        for (port, listener) in &bound {
            ports.push((port.clone(), listener.local_addr()?));
        }
        let running = Mutex::new(Some(run(&root, bound)));
        Ok(Self { root, ports, running })
    }

    /// Refuses connections and drops those there are.
    pub(crate) async fn stop(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.stop.cancel();
            for task in running.tasks {
                let _ = task.await;
            }
        }
    }

    /// Listens again at the same addresses.
    pub(crate) async fn start(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let mut bound = Vec::new();
            for (port, address) in &self.ports {
                bound.push((port.clone(), bind(*address).await?));
            }
            *running = Some(run(&self.root, bound));
        }
        Ok(())
    }
}

fn run(root: &CancellationToken, bound: Vec<(Port<Front>, TcpListener)>) -> Running {
    let stop = root.child_token();
    let tasks = bound
        .into_iter()
        .map(|(port, listener)| tokio::spawn(port.run(listener, stop.clone())))
        .collect();
    Running { stop, tasks }
}
