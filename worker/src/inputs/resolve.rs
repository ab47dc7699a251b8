//! How names become addresses: once for each connection, and what was judged is what is connected to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Guard, Refused};

/// Looks up names. The worker asks the system; a test may answer what it likes.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of a name; none or an error when it has none.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Every address of a name: for hosts that the deployment allows.
#[derive(Debug, Clone)]
pub(super) struct Plain(pub(super) Arc<dyn Resolver>);

impl Resolve for Plain {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move { Ok(sockets(resolver.addresses(name.as_str()).await?)) })
    }
}

/// Only the addresses of a name that the guard allows. The client connects to these and looks up nothing more,
/// so a name that changes its mind gains nothing. A name with public and other addresses is reached at the public ones.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub(super) guard: Guard,
    pub(super) resolver: Arc<dyn Resolver>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { guard, resolver } = self.clone();
        Box::pin(async move {
            let mut found = resolver.addresses(name.as_str()).await?;
            let any = !found.is_empty();
            found.retain(|address| guard.allows(*address));
            if any && found.is_empty() {
                return Err(Box::from(Refused::NotPublic));
            }
            Ok(sockets(found))
        })
    }
}

/// The client puts the port of its URL where there is none.
fn sockets(addresses: Vec<IpAddr>) -> Addrs {
    Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Answers(Vec<&'static str>);

    #[async_trait]
    impl Resolver for Answers {
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|address| address.parse().unwrap()).collect())
        }
    }

    async fn guarded(answers: Vec<&'static str>) -> Result<Vec<String>, String> {
        let resolver = Arc::new(Answers(answers));
        let guarded = Guarded { guard: Guard::new("10.1.0.0/16".parse().unwrap()), resolver };
        let found = guarded.resolve("name.test".parse().unwrap()).await.map_err(|error| error.to_string())?;
        Ok(found.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn of_a_mixed_answer_only_public_and_allowed_addresses_are_left() {
        let mixed = vec!["127.0.0.1", "93.184.216.34", "::1", "10.1.2.3", "10.2.2.3", "2606:2800:220:1::1"];
        assert_eq!(guarded(mixed).await.unwrap(), ["93.184.216.34", "10.1.2.3", "2606:2800:220:1::1"]);
    }

    #[tokio::test]
    async fn a_name_without_a_public_address_is_refused_and_one_without_any_is_just_unknown() {
        assert_eq!(guarded(vec!["127.0.0.1", "::1"]).await, Err(Refused::NotPublic.to_string()));
        assert_eq!(guarded(Vec::new()).await, Ok(Vec::new()));
    }
}
