use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, CorsConfiguration, CorsRule};
use local_stack::aws::object_path;

use crate::support::{Aws, http, sdk_config, start};

const BUCKET: &str = "pictures";

async fn with_bucket() -> Aws {
    let aws = start().await;
    aws.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    aws
}

async fn put(aws: &Aws, key: &str, body: &'static str) {
    aws.s3
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from_static(body.as_bytes()))
        .send()
        .await
        .unwrap();
}

async fn get(aws: &Aws, key: &str) -> Vec<u8> {
    let object = aws.s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
    object.body.collect().await.unwrap().to_vec()
}

async fn keys(aws: &Aws, prefix: &str) -> Vec<String> {
    let page = aws.s3.list_objects_v2().bucket(BUCKET).prefix(prefix).send().await.unwrap();
    page.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_object_is_a_file_with_type_and_metadata() {
    let aws = with_bucket().await;
    let body = ByteStream::from_static(b"picture");
    let put = aws.s3.put_object().bucket(BUCKET).key("out/id/id-1.png").body(body).content_type("image/png");
    put.metadata("submission", "7").send().await.unwrap();

    assert_eq!(std::fs::read(aws.data_dir.join("pictures/out/id/id-1.png")).unwrap(), b"picture");
    assert_eq!(get(&aws, "out/id/id-1.png").await, b"picture");
    let head = aws.s3.head_object().bucket(BUCKET).key("out/id/id-1.png").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(head.content_length(), Some(7));
    assert_eq!(head.metadata().unwrap()["submission"], "7");
    assert_eq!(head.e_tag(), Some("\"5456fc54c74a297ce994998c2873b370\""));
}

#[tokio::test]
async fn a_part_of_an_object_can_be_read() {
    let aws = with_bucket().await;
    put(&aws, "a", "0123456789").await;
    let part = aws.s3.get_object().bucket(BUCKET).key("a").range("bytes=2-4").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"234");
}

#[tokio::test]
async fn web_pages_may_do_what_the_rules_of_the_bucket_allow() {
    let aws = with_bucket().await;
    let url = format!("{}/{BUCKET}/new.png", aws.endpoints.url());
    let preflight = async |method: &str, headers: &str| {
        let request =
            http().request(reqwest::Method::OPTIONS, &url).header("origin", "http://localhost:8080");
        let request = request.header("access-control-request-method", method);
        request.header("access-control-request-headers", headers).send().await.unwrap()
    };
    assert_eq!(preflight("PUT", "content-type").await.status(), 403);

    let rule = CorsRule::builder().allowed_origins("http://localhost:*").allowed_methods("PUT");
    let rule = rule.allowed_headers("Content-*").max_age_seconds(60).build().unwrap();
    let rules = CorsConfiguration::builder().cors_rules(rule).build().unwrap();
    aws.s3.put_bucket_cors().bucket(BUCKET).cors_configuration(rules).send().await.unwrap();
    let allowed = preflight("PUT", "content-type").await;
    assert_eq!(allowed.status(), 200);
    let header = |name: &str| allowed.headers()[name].to_str().unwrap();
    assert_eq!(header("access-control-allow-origin"), "http://localhost:8080");
    assert_eq!(header("access-control-allow-methods"), "PUT");
    assert_eq!(header("access-control-allow-headers"), "content-type");
    assert_eq!(header("access-control-max-age"), "60");
    assert_eq!(preflight("GET", "content-type").await.status(), 403);
    assert_eq!(preflight("PUT", "content-type, x-other").await.status(), 403);

    let put = |origin: &'static str| http().put(&url).header("origin", origin).body("x").send();
    let stored = put("http://localhost:8080").await.unwrap();
    assert_eq!(stored.headers()["access-control-allow-origin"], "http://localhost:8080");
    // S3 stores it all the same; the browser does not show the response to the page.
    let stored = put("http://127.0.0.1:8080").await.unwrap();
    assert!(stored.status() == 200 && !stored.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_missing_object_or_bucket_is_reported() {
    let aws = with_bucket().await;
    let error = aws.s3.get_object().bucket(BUCKET).key("none").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_key());
    let error =
        aws.s3.head_object().bucket(BUCKET).key("none").send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found());
    let put =
        aws.s3.put_object().bucket("elsewhere").key("a").body(ByteStream::from_static(b"")).send().await;
    assert_eq!(put.unwrap_err().into_service_error().meta().code(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn every_key_that_s3_allows_can_be_read_and_listed() {
    let aws = with_bucket().await;
    let long = format!("out/{}/x.png", "ü".repeat(480));
    let keys =
        ["/output/id/id-1.png", "out/my id/日本 語.png", "a//b", "a%2Fb+c&d=e?f#g.png", "x/../y", &long];
    for key in keys {
        put(&aws, key, "x").await;
        assert_eq!(get(&aws, key).await, b"x", "{key}");
        assert!(object_path(&aws.data_dir, BUCKET, key).is_file(), "{key}");
        assert_eq!(self::keys(&aws, key).await, [key]);
        aws.s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    assert!(self::keys(&aws, "").await.is_empty());
    let left: Vec<_> = std::fs::read_dir(aws.data_dir.join(BUCKET)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_key_that_is_a_folder_of_another_is_refused() {
    let aws = with_bucket().await;
    put(&aws, "a/b", "x").await;
    for key in ["a", "a/b/c"] {
        let put =
            aws.s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"y")).send().await;
        assert_eq!(put.unwrap_err().into_service_error().meta().code(), Some("InvalidArgument"), "{key}");
    }
    assert_eq!(get(&aws, "a/b").await, b"x");
}

#[tokio::test]
async fn keys_are_listed_in_order_by_page_and_by_folder() {
    let aws = with_bucket().await;
    for key in ["b/2", "a", "b/1", "c", "b.x"] {
        put(&aws, key, "x").await;
    }
    let mut listed = Vec::new();
    let mut pages = aws.s3.list_objects_v2().bucket(BUCKET).max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        listed.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(listed, ["a", "b.x", "b/1", "b/2", "c"]);

    let top = aws.s3.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    let folders: Vec<_> = top.common_prefixes().iter().filter_map(|folder| folder.prefix()).collect();
    let files: Vec<_> = top.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!((folders, files), (vec!["b/"], vec!["a", "b.x", "c"]));
}

#[tokio::test]
async fn one_of_several_concurrent_conditional_puts_succeeds() {
    let aws = with_bucket().await;
    let race = (0..16).map(|number: i32| {
        let put = aws.s3.put_object().bucket(BUCKET).key("claim").if_none_match("*");
        put.body(ByteStream::from(number.to_string().into_bytes())).send()
    });
    let outcomes = futures_util::future::join_all(race).await;
    let winners: Vec<usize> = (0..16).filter(|number| outcomes[*number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(get(&aws, "claim").await, winners[0].to_string().as_bytes());
    for outcome in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(outcome.raw_response().unwrap().status().as_u16(), 412);
    }
}

#[tokio::test]
async fn if_match_replaces_only_what_was_read() {
    let aws = with_bucket().await;
    put(&aws, "journal", "1").await;
    let read = aws.s3.head_object().bucket(BUCKET).key("journal").send().await.unwrap();
    let replace = |body: &'static str| {
        let put = aws.s3.put_object().bucket(BUCKET).key("journal").if_match(read.e_tag().unwrap());
        put.body(ByteStream::from_static(body.as_bytes())).send()
    };
    replace("2").await.unwrap();
    assert_eq!(replace("3").await.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(get(&aws, "journal").await, b"2");
}

#[tokio::test]
async fn presigned_urls_work_until_they_expire_or_are_changed() {
    let aws = with_bucket().await;
    let key = "/out/my id/ü.png";
    let valid = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let put = aws.s3.put_object().bucket(BUCKET).key(key).content_type("image/png").presigned(valid.clone());
    let put = put.await.unwrap();
    let mut upload = http().put(put.uri()).body("picture");
    for (name, value) in put.headers() {
        upload = upload.header(name, value);
    }
    assert_eq!(upload.send().await.unwrap().status(), 200);

    let get = aws.s3.get_object().bucket(BUCKET).key(key).presigned(valid).await.unwrap();
    let answer = http().get(get.uri()).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.text().await.unwrap(), "picture");

    let changed = get.uri().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(http().get(changed).send().await.unwrap().status(), 403);
    let for_another_method = http().delete(get.uri()).send().await.unwrap();
    assert_eq!(for_another_method.status(), 403);

    let expired = expired_url(&aws.s3, key).await;
    assert_eq!(http().get(expired).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn any_credentials_are_accepted_and_their_presigned_urls_expire() {
    let aws = with_bucket().await;
    put(&aws, "a", "x").await;
    let other = aws_sdk_s3::Client::new(&sdk_config(&aws.endpoints, "AKIDEXAMPLE", "another secret"));
    other.put_object().bucket(BUCKET).key("b").body(ByteStream::from_static(b"y")).send().await.unwrap();

    let valid = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = other.get_object().bucket(BUCKET).key("a").presigned(valid).await.unwrap();
    assert_eq!(http().get(url.uri()).send().await.unwrap().text().await.unwrap(), "x");
    let expired = expired_url(&other, "a").await;
    assert_eq!(http().get(expired).send().await.unwrap().status(), 403);
}

async fn expired_url(client: &aws_sdk_s3::Client, key: &str) -> String {
    let two_minutes_ago = SystemTime::now() - Duration::from_secs(120);
    let expired = PresigningConfig::builder().start_time(two_minutes_ago).expires_in(Duration::from_secs(60));
    let presigned =
        client.get_object().bucket(BUCKET).key(key).presigned(expired.build().unwrap()).await.unwrap();
    presigned.uri().to_owned()
}

#[tokio::test]
async fn streamed_bodies_are_stored_completely() {
    let aws = with_bucket().await;
    let file = aws.data_dir.join("source");
    let content: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    std::fs::write(&file, &content).unwrap();
    let body = ByteStream::from_path(&file).await.unwrap();
    aws.s3.put_object().bucket(BUCKET).key("big").body(body).send().await.unwrap();
    assert_eq!(get(&aws, "big").await, content);
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_not_stored() {
    let aws = with_bucket().await;
    let put = aws.s3.put_object().bucket(BUCKET).key("a").body(ByteStream::from_static(b"x"));
    let error = put.checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("BadDigest"));
    assert!(keys(&aws, "").await.is_empty());
}

#[tokio::test]
async fn an_object_can_be_uploaded_in_parts() {
    let aws = with_bucket().await;
    let upload =
        aws.s3.create_multipart_upload().bucket(BUCKET).key("m").content_type("text/plain").send().await;
    let upload_id = upload.unwrap().upload_id.unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in [(1, "first "), (2, "second")] {
        let part = aws.s3.upload_part().bucket(BUCKET).key("m").upload_id(&upload_id).part_number(number);
        let part = part.body(ByteStream::from_static(body.as_bytes())).send().await.unwrap();
        parts =
            parts.parts(CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap()).build());
    }
    let complete = aws.s3.complete_multipart_upload().bucket(BUCKET).key("m").upload_id(&upload_id);
    let completed = complete.multipart_upload(parts.build()).send().await.unwrap();
    assert!(completed.e_tag().unwrap().ends_with("-2\""));
    assert_eq!(get(&aws, "m").await, b"first second");
}
