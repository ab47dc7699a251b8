//! Where the interface is: `API_BASE_URL` in any of the spellings that people use.

use url::Url;

/// Where the container image listens.
pub const DEFAULT_ADDRESS: &str = "http://localhost:8080/sdcpp/v1/";

/// The path of the interface below the server's root.
const INTERFACE: &str = "/sdcpp/v1";

/// The root of all endpoints, ending in `/`: `host:port`, `http://host:port` and either with `/sdcpp/v1` name the same.
pub(super) fn parse(configured: Option<&str>) -> Result<Url, String> {
    let text = match configured.map(str::trim) {
        None | Some("") => DEFAULT_ADDRESS.to_owned(),
        Some(text) if text.contains("://") => text.to_owned(),
        Some(text) => format!("http://{text}"),
    };
    // The value itself is not repeated: it may hold a password.
    let mut url = Url::parse(&text).map_err(|error| format!("API_BASE_URL is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err("API_BASE_URL must be an http or https URL without a query, or host:port".to_owned());
    }
    let root = url.path().trim_end_matches('/');
    let path = format!("{}{INTERFACE}/", root.strip_suffix(INTERFACE).unwrap_or(root));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_leads_to_the_interface() {
        for spelling in ["gpu:1234", "http://gpu:1234/", "gpu:1234/sdcpp/v1", " http://gpu:1234/sdcpp/v1/ "] {
            assert_eq!(parse(Some(spelling)).unwrap().as_str(), "http://gpu:1234/sdcpp/v1/", "{spelling}");
        }
        assert_eq!(parse(None).unwrap().as_str(), DEFAULT_ADDRESS);
        assert_eq!(parse(Some("https://gpu/x")).unwrap().as_str(), "https://gpu/x/sdcpp/v1/");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for wrong in ["ftp://me:secret@gpu", "http://me:secret@", "http://me:secret@gpu/?a=b"] {
            let message = parse(Some(wrong)).unwrap_err();
            assert!(message.starts_with("API_BASE_URL") && !message.contains("secret"), "{message}");
        }
    }
}
