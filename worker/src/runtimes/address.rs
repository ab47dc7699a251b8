//! The address of a server's API: `API_BASE_URL` in any of its spellings.

use url::Url;

/// The root of all endpoints, ending in `/`. `default` is the address that counts without a configured one; its path is that of the
/// API.
///
/// `host:port`, `http://host:port` and either with the path of the API are equivalent. User name and password stay in the URL:
/// the HTTP client turns them into Basic authentication.
pub(super) fn parse(configured: Option<&str>, default: &str) -> Result<Url, String> {
    let text = match configured.map(str::trim) {
        None | Some("") => default.to_owned(),
        Some(text) if text.contains("://") => text.to_owned(),
        Some(text) => format!("http://{text}"),
    };
    // The value itself is not repeated: it may contain a password.
    let invalid = |error| format!("API_BASE_URL is not a URL: {error}");
    let mut url = Url::parse(&text).map_err(invalid)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("API_BASE_URL must be an http or https URL, or host:port".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("API_BASE_URL must not have a query or a fragment".to_owned());
    }
    let default = Url::parse(default).map_err(invalid)?;
    let api = default.path().trim_end_matches('/');
    let root = url.path().trim_end_matches('/');
    let path = format!("{}{api}/", root.strip_suffix(api).unwrap_or(root));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "http://localhost:8080/sdapi/v1/";

    #[test]
    fn every_spelling_of_an_address_leads_to_the_interface() {
        for spelling in [
            "gpu:7860",
            "gpu:7860/",
            "http://gpu:7860",
            "http://gpu:7860/",
            "gpu:7860/sdapi/v1",
            "http://gpu:7860/sdapi/v1",
            " http://gpu:7860/sdapi/v1/ ",
        ] {
            assert_eq!(
                parse(Some(spelling), DEFAULT).unwrap().as_str(),
                "http://gpu:7860/sdapi/v1/",
                "{spelling}"
            );
        }
    }

    #[test]
    fn without_an_address_the_default_applies() {
        assert_eq!(parse(None, DEFAULT).unwrap().as_str(), DEFAULT);
        assert_eq!(parse(Some(""), DEFAULT).unwrap().as_str(), DEFAULT);
    }

    #[test]
    fn a_path_before_the_interface_and_a_login_are_kept() {
        let url = parse(Some("https://me:secret@gpu/webui"), DEFAULT).unwrap();
        assert_eq!(url.as_str(), "https://me:secret@gpu/webui/sdapi/v1/");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for wrong in ["ftp://me:secret@gpu", "http://me:secret@", "http://me:secret@gpu/?a=b"] {
            let message = parse(Some(wrong), DEFAULT).unwrap_err();
            assert!(message.starts_with("API_BASE_URL") && !message.contains("secret"), "{message}");
        }
    }
}
