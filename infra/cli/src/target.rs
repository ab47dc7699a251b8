//! Where requests go: options and variables before the profile, the profile before the local stack.

use shared_schema::printable::printable;
use url::{Host, Url};

use crate::error::Error;
use crate::options::{Options, given};
use crate::output;
use crate::profile::{ApiKey, Profile};

/// The front door of the local stack.
const LOCAL_STACK: &str = "http://127.0.0.1:8080";

/// A front door, and what else is set for it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Url,
    pub(crate) api_key: Option<ApiKey>,
    pub(crate) profile: Profile,
}

impl Target {
    pub(crate) fn of(options: &Options) -> Result<Self, Error> {
        let profile = Profile::of(options)?;
        let own = parse(profile.endpoint.as_deref().unwrap_or(LOCAL_STACK))?;
        let endpoint =
            given(options.endpoint.as_deref()).map(parse).transpose()?.unwrap_or_else(|| own.clone());
        // A key goes only where its profile says, or where its option or variable was given for.
        let is_own = endpoint.origin() == own.origin();
        let api_key = given(options.api_key.as_deref())
            .map(|key| ApiKey(key.to_owned()))
            .or_else(|| profile.api_key.clone().filter(|_| is_own));
        if endpoint.scheme() == "http" && api_key.is_some() && !is_loopback(&endpoint) {
            output::note(&format!(
                "warning: the API key is sent to {} without encryption",
                endpoint.authority()
            ));
        }
        Ok(Self { endpoint, api_key, profile })
    }
}

fn parse(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let is_plain = |url: &Url| {
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.has_host()
    };
    url.filter(is_plain).ok_or_else(|| {
        Error::Usage(format!("`{}` is no address of a front door, as in {LOCAL_STACK}", printable(text)))
    })
}

/// Whether an address is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
