//! Which addresses inputs may come from: public ones, and what the deployment allows by name or network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// `INPUT_ALLOW_HOSTS`: host names, `host:port` pairs and networks that are allowed although they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    hosts: Vec<(String, Option<u16>)>,
    networks: Vec<IpNet>,
}

impl FromStr for AllowedHosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Ok(network) = item.parse::<IpNet>() {
                allowed.networks.push(network);
                continue;
            }
            // A URL parser knows host names, addresses and ports better than a split at the colon (IPv6).
            let url = Url::parse(&format!("http://{item}/"))
                .ok()
                .filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
            let host = url.as_ref().and_then(Url::host_str);
            let Some(host) = host else {
                return Err(format!(
                    "`{item}` is neither a host, nor host:port, nor a network like 10.0.0.0/8"
                ));
            };
            let port = item.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            allowed.hosts.push((host.to_ascii_lowercase(), port));
        }
        Ok(allowed)
    }
}

impl AllowedHosts {
    fn by_name(&self, host: &str, port: Option<u16>) -> bool {
        self.hosts.iter().any(|(own, own_port)| own == host && (own_port.is_none() || *own_port == port))
    }

    fn by_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// How a URL that may be fetched is to be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The name may resolve to public addresses and allowed networks only.
    Guarded,
    /// The deployment allows this very host: whatever it resolves to.
    Allowed,
}

/// Why a URL may not be fetched. Says nothing that the URL's author does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another scheme than `http` or `https`.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// No host.
    #[error("it has no host")]
    NoHost,
    /// An address that is not public.
    #[error("its address is not public")]
    NotPublic,
}

/// Judges URLs before they are fetched, and again each address that a name resolves to.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: AllowedHosts,
}

impl Guard {
    /// A guard that lets public addresses through, and what is allowed beyond.
    pub fn new(allowed: AllowedHosts) -> Self {
        Self { allowed }
    }

    /// Whether, and how, a URL may be fetched. Each redirect is a new URL and judged again.
    pub fn judge(&self, url: &Url) -> Result<Passage, Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        let host = url.host().ok_or(Refused::NoHost)?;
        if self.allowed.by_name(&host.to_string().to_ascii_lowercase(), url.port_or_known_default()) {
            return Ok(Passage::Allowed);
        }
        match host {
            Host::Domain(_) => Ok(Passage::Guarded),
            Host::Ipv4(address) => self.judge_address(address.into()),
            Host::Ipv6(address) => self.judge_address(address.into()),
        }
    }

    fn judge_address(&self, address: IpAddr) -> Result<Passage, Refused> {
        if is_public(address) || self.allowed.by_address(address) {
            Ok(Passage::Guarded)
        } else {
            Err(Refused::NotPublic)
        }
    }
}

/// Resolves a name once and hands out only addresses that may be connected to: what was checked is what is connected.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let passed: Vec<SocketAddr> =
                found.into_iter().filter(|address| guard.judge_address(address.ip()).is_ok()).collect();
            if passed.is_empty() {
                return Err(Box::from(Refused::NotPublic));
            }
            Ok(Box::new(passed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet (IANA special-purpose address registries).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local() // 169.254.0.0/16: instance metadata, pod identity
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space, pods of some clusters
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global_unicast = (0x2000..0x4000).contains(&a);
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) // protocol assignments, Teredo; documentation
        || a == 0x2002 // 6to4: an IPv4 address in disguise
        || (a == 0x3fff && b < 0x1000); // documentation
    global_unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(allowed: &str, url: &str) -> Result<Passage, Refused> {
        Guard::new(allowed.parse().unwrap()).judge(&Url::parse(url).unwrap())
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/x",
            "http://2130706433/x",
            "http://0x7f.1/x",
            "http://[::1]/x",
            "http://[::ffff:169.254.169.254]/x",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/x",
            "http://192.168.1.1/x",
            "http://172.20.0.1/x",
            "http://100.64.0.1/x",
            "http://[fd00:ec2::254]/x",
            "http://[fe80::1]/x",
            "http://[64:ff9b::7f00:1]/x",
            "http://[2002:7f00:1::]/x",
            "http://0.0.0.0/x",
            "http://224.0.0.1/x",
        ] {
            assert_eq!(judge("", url), Err(Refused::NotPublic), "{url}");
        }
        assert_eq!(judge("", "file:///etc/passwd"), Err(Refused::Scheme));
        assert_eq!(judge("", "https://93.184.216.34/x"), Ok(Passage::Guarded));
        assert_eq!(judge("", "https://[2606:2800:220:1::1]/x"), Ok(Passage::Guarded));
    }

    #[test]
    fn what_is_allowed_by_name_port_or_network_passes() {
        let allowed = "images.internal, 127.0.0.1:9000, 10.1.0.0/16";
        assert_eq!(judge(allowed, "http://IMAGES.internal:81/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://127.0.0.1:9000/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://127.0.0.1:9001/x"), Err(Refused::NotPublic));
        assert_eq!(judge(allowed, "http://10.1.2.3/x"), Ok(Passage::Guarded));
        assert_eq!(judge(allowed, "http://10.2.2.3/x"), Err(Refused::NotPublic));
    }

    #[test]
    fn nonsense_in_the_list_is_an_error() {
        assert!("http://x/".parse::<AllowedHosts>().is_err());
        assert!("a b".parse::<AllowedHosts>().is_err());
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused() {
        let guard = Guard::new(AllowedHosts::default());
        let name: Name = "localhost".parse().unwrap();
        assert!(guard.resolve(name).await.is_err());
    }
}
