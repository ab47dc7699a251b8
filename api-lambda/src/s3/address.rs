//! The address of a bucket.

use aws_sdk_sns::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

/// What stands before the key: `https://<bucket>.s3.<region>.<suffix>`; by path where the bucket's name is no host name, or
/// the host is not AWS's.
pub(super) async fn base(endpoint: Option<&str>, region: &str, bucket: &str) -> Option<String> {
    if let Some(endpoint) = endpoint {
        return Some(format!("{}/{bucket}", endpoint.trim_end_matches('/')));
    }
    let host = host("s3", region).await?;
    // A dot would be a subdomain, which the certificate does not cover.
    let is_host_name = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    Some(if is_host_name { format!("https://{bucket}.{host}") } else { format!("https://{host}/{bucket}") })
}

/// The host of a service in a region: that of SNS, whose rules of endpoints are linked, under the service's name. All have the
/// partition's suffix.
pub(crate) async fn host(service: &str, region: &str) -> Option<String> {
    let params = Params::builder().region(region).build().ok()?;
    let resolver = DefaultResolver::new();
    let sns = ResolveEndpoint::resolve_endpoint(&resolver, &params).await.ok()?;
    Some(format!("{service}.{}", sns.url().strip_prefix("https://sns.")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn buckets_are_called_by_host_and_where_that_cannot_be_by_path() {
        for (endpoint, bucket, expected) in [
            (None, "out-1", "https://out-1.s3.eu-west-1.amazonaws.com"),
            (None, "out.1", "https://s3.eu-west-1.amazonaws.com/out.1"),
            (Some("http://h:1/"), "out-1", "http://h:1/out-1"),
        ] {
            assert_eq!(base(endpoint, "eu-west-1", bucket).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn every_partition_has_its_own_suffix() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("eu-central-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-gov-west-1", "amazonaws.com"),
            ("us-gov-east-1", "amazonaws.com"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            let expected = format!("https://out-1.s3.{region}.{suffix}");
            assert_eq!(base(None, region, "out-1").await, Some(expected));
        }
    }
}
