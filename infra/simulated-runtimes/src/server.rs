//! Starts and stops a simulation.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::OwnedRwLockWriteGuard,
    task::JoinHandle,
};

use crate::{
    Error,
    call_faults::{self, CallFaults},
    connection::{CuttableListener, Cutter},
    faults::Faults,
    job_slot::BusyInterval,
    machine::Machine,
    requests::{self, RecordedRequest},
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Runs are paused while this exists.
#[must_use = "runs continue when it is dropped"]
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held, not used")] OwnedRwLockWriteGuard<()>);

/// A running simulation. Dropping it stops it as a killed process stops: connections are cut, jobs are lost.
pub struct Simulation {
    address: SocketAddr,
    machine: Arc<Machine>,
    serving: JoinHandle<()>,
}

impl Simulation {
    /// Serves the interface of a runtime. Port 0 selects a free one. Connections are refused until the start-up delay is over.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn start(
        listen: SocketAddr,
        machine: Arc<Machine>,
        router: Router,
        startup_delay: Duration,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: listen, source };
        // A bound socket that does not listen yet reserves the port and refuses connections.
        let (socket, address) = bind(listen).map_err(failed)?;
        let shared = Arc::clone(&machine);
        let serving = if startup_delay.is_zero() {
            let listener = socket.listen(BACKLOG).map_err(failed)?;
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

    /// The finished jobs in order, at most the last 10,000.
    pub fn busy(&self) -> Vec<BusyInterval> {
        self.machine.gpu.intervals()
    }

    /// The running job: its label, as in [`BusyInterval`], and its start.
    pub fn running(&self) -> Option<(String, Instant)> {
        self.machine.gpu.running()
    }

    /// The requests in order, at most the last 2,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.machine.requests.all()
    }

    /// The planned faults of runs. They may be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.machine.faults
    }

    /// The planned faults of calls. They may be changed at any time.
    pub fn call_faults(&self) -> &CallFaults {
        &self.machine.call_faults
    }

    /// Pauses runs between two steps until the returned value is dropped: what a test does meanwhile happens in the middle of a
    /// run, on a slow machine too.
    pub async fn hold(&self) -> Hold {
        Hold(Arc::clone(&self.machine.held).write_owned().await)
    }

    /// Stops it and waits until its port is free again.
    pub async fn stop(mut self) {
        self.kill();
        // The error is that it was aborted.
        let _ = (&mut self.serving).await;
    }

    fn kill(&self) {
        self.machine.stopped.cancel();
        self.serving.abort();
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.kill();
    }
}

fn bind(listen: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As tokio's own listener does: a port whose last connections still linger can be bound again.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

async fn serve(listener: TcpListener, router: Router, machine: Arc<Machine>) {
    let listener = CuttableListener { listener, stopped: machine.stopped.clone() };
    let router = router
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&machine), call_faults::inject))
        .layer(middleware::from_fn_with_state(machine, requests::record));
    if let Err(error) = axum::serve(listener, router.into_make_service_with_connect_info::<Cutter>()).await {
        tracing::error!(%error, "the simulated runtime stopped serving");
    }
}
