use crate::support::{http, start};

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let aws = start().await;
    let status = |name: &'static str, value: &'static str| {
        let request = http().get(aws.endpoints.url()).header(name, value).send();
        async { request.await.unwrap().status().as_u16() }
    };
    assert_eq!(status("host", "rebound.example.com").await, 403);
    assert_eq!(status("host", "localhost.example.com:4566").await, 403);
    assert_eq!(status("origin", "https://example.com").await, 403);
    assert_eq!(status("origin", "null").await, 403);
    assert_eq!(status("origin", "http://localhost:8080").await, 200);
    // It is accepted; the first version of listing is not emulated.
    assert_eq!(status("host", "pictures.localhost").await, 501);
    assert_eq!(status("host", "127.0.0.1").await, 200);
}
