//! Which addresses inputs may come from: public ones, and what the deployment allows by name or network. Any port.
//!
//! A URL is judged as the URL parser reads it, and the client connects to what that parser read. So an address is seen
//! in every spelling (decimal, octal, hexadecimal, shortened, full-width, percent-encoded), and user names, backslashes
//! and trailing dots do not bypass it.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address::is_public;

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
                .filter(|url| !item.contains(['@', '#', '?', '\\']) && url.path() == "/");
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
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// How a URL that may be fetched is to be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        let passes = match host {
            // What other names stand for is seen when they are resolved.
            Host::Domain(name) => !is_localhost(name),
            Host::Ipv4(address) => self.allows(address.into()),
            Host::Ipv6(address) => self.allows(address.into()),
        };
        if passes { Ok(Passage::Guarded) } else { Err(Refused::NotPublic) }
    }

    /// Whether a connection may go to that address.
    pub fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.by_address(address)
    }
}

/// Names that are this machine, whatever a resolver says (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(allowed: &str, url: &str) -> Result<Passage, Refused> {
        Guard::new(allowed.parse().unwrap()).judge(&Url::parse(url).unwrap())
    }

    #[test]
    fn public_addresses_pass_on_any_port_and_other_schemes_do_not() {
        assert_eq!(judge("", "https://93.184.216.34/x"), Ok(Passage::Guarded));
        assert_eq!(judge("", "http://93.184.216.34:8188/x"), Ok(Passage::Guarded));
        assert_eq!(judge("", "https://[2606:2800:220:1::1]/x"), Ok(Passage::Guarded));
        assert_eq!(judge("", "http://169.254.169.254/x"), Err(Refused::NotPublic));
        assert_eq!(judge("", "http://x.LocalHost./x"), Err(Refused::NotPublic));
        assert_eq!(judge("", "file:///etc/passwd"), Err(Refused::Scheme));
    }

    #[test]
    fn what_is_allowed_by_name_port_or_network_passes() {
        let allowed = "images.internal, 127.0.0.1:9000, 10.1.0.0/16, localhost:81, [::1]:9000";
        assert_eq!(judge(allowed, "http://IMAGES.internal:81/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://127.0.0.1:9000/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://localhost:81/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://[::1]:9000/x"), Ok(Passage::Allowed));
        assert_eq!(judge(allowed, "http://10.1.2.3/x"), Ok(Passage::Guarded));
        assert_eq!(judge(allowed, "http://[::ffff:10.1.2.3]/x"), Ok(Passage::Guarded));
        for refused in ["127.0.0.1:9001", "localhost", "[::1]", "10.2.2.3", "[::ffff:10.2.2.3]"] {
            assert_eq!(judge(allowed, &format!("http://{refused}/x")), Err(Refused::NotPublic), "{refused}");
        }
    }

    #[test]
    fn what_an_allowed_name_is_part_of_is_not_allowed() {
        let allowed = "127.0.0.1:9000, localhost:9000";
        for url in [
            "http://127.0.0.1:9000@127.0.0.2/",
            "http://127.0.0.2:9000/?http://127.0.0.1:9000",
            "http://x.localhost:9000/",
            "http://127.0.0.1.:9001/",
        ] {
            assert_eq!(judge(allowed, url), Err(Refused::NotPublic), "{url}");
        }
    }

    #[test]
    fn nonsense_in_the_list_is_an_error() {
        for item in ["http://x/", "a b", "user@x", "x#y", "x?y", "x\\y", "x:port", "10.0.0.0/33"] {
            assert!(item.parse::<AllowedHosts>().is_err(), "{item}");
        }
    }
}
