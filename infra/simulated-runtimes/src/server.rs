//! Starting and stopping a simulation.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::OwnedRwLockWriteGuard,
    task::JoinHandle,
};

use crate::{
    call_faults::{self, CallFaults},
    connection::{CuttableListener, Cutter},
    faults::Faults,
    job_slot::BusyInterval,
    machine::Machine,
    requests::{self, RecordedRequest},
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Runs stand still while this lives.
#[must_use = "runs go on when it is dropped"]
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held, not used")] OwnedRwLockWriteGuard<()>);

/// A running simulation. Dropping it stops it as a killed process stops: connections are cut, jobs are lost.
pub struct Simulation {
    address: SocketAddr,
    machine: Arc<Machine>,
    serving: JoinHandle<()>,
}

impl Simulation {
    /// Serves the interface of a runtime. Port 0 picks a free one. Connections are refused until the start-up delay is over.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn start(
        listen: SocketAddr,
        machine: Arc<Machine>,
        router: Router,
        startup_delay: Duration,
    ) -> anyhow::Result<Self> {
        // A bound socket that does not listen yet keeps the port and refuses connections.
        let (socket, address) = bind(listen)?;
        let shared = Arc::clone(&machine);
        let serving = if startup_delay.is_zero() {
            let listener = socket.listen(BACKLOG).context("listening")?;
            tokio::spawn(serve(listener, router, shared))
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(startup_delay).await;
                match socket.listen(BACKLOG) {
                    Ok(listener) => serve(listener, router, shared).await,
                    Err(error) => tracing::error!(%error, "cannot listen"),
                }
            })
        };
        Ok(Self { address, machine, serving })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of its HTTP interface, such as `http://127.0.0.1:7860`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// When it worked, and on what: the finished jobs in order, at most the last 10,000.
    pub fn busy(&self) -> Vec<BusyInterval> {
        self.machine.gpu.intervals()
    }

    /// The job that it works on now: what [`BusyInterval`] calls its label, and when it began.
    pub fn running(&self) -> Option<(String, Instant)> {
        self.machine.gpu.running()
    }

    /// What it was asked, in order: at most the last 2,000 requests.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.machine.requests.all()
    }

    /// What is planned to go wrong. May be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.machine.faults
    }

    /// Which calls shall fail, whatever they are about. May be changed at any time.
    pub fn call_faults(&self) -> &CallFaults {
        &self.machine.call_faults
    }

    /// Makes runs stand still between two steps until the returned value is dropped: what a test does meanwhile happens in the
    /// middle of a run, on a slow machine too.
    pub async fn hold(&self) -> Hold {
        Hold(Arc::clone(&self.machine.held).write_owned().await)
    }

    /// Stops it and waits until its port is free again.
    pub async fn stop(mut self) {
        self.kill();
        // Ends with an error only because it was aborted.
        let _ = (&mut self.serving).await;
    }

    fn kill(&self) {
        self.machine.died.cancel();
        self.serving.abort();
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.kill();
    }
}

fn bind(listen: SocketAddr) -> anyhow::Result<(TcpSocket, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
        .context("making a socket")?;
    // As tokio's own listener does: a port whose last connections still linger can be bound again.
    socket.set_reuseaddr(true).context("preparing the socket")?;
    socket.bind(listen).with_context(|| format!("binding {listen}"))?;
    let address = socket.local_addr().context("reading the bound address")?;
    Ok((socket, address))
}

async fn serve(listener: TcpListener, router: Router, machine: Arc<Machine>) {
    let listener = CuttableListener { listener, died: machine.died.clone() };
    let router = router
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&machine), call_faults::strike))
        .layer(middleware::from_fn_with_state(machine, requests::record));
    if let Err(error) = axum::serve(listener, router.into_make_service_with_connect_info::<Cutter>()).await {
        tracing::error!(%error, "the simulated runtime stopped serving");
    }
}
