//! The web console: its files, and the headers that restrict them. What it does is tested in a browser (`tests/console`).

use reqwest::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use reqwest::{Method, StatusCode};

use crate::door::{Answer, Door};
use crate::sns::Mood;

/// The most bytes of all files: they are part of the function's zip.
const MAX_BYTES: usize = 100_000;

async fn door() -> Door {
    Door::with(Mood::Well, &[("RECORD_TABLE", "records")]).await
}

async fn get(door: &Door, path: &str) -> Answer {
    door.send(Method::GET, path, "").await
}

/// The texts in quotes that are files of the console.
fn files(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').filter(|quoted| [".js", ".css", ".svg"].iter().any(|end| quoted.ends_with(end)))
}

#[tokio::test]
async fn the_page_and_all_its_files_are_served_below_any_stage() {
    let door = door().await;
    for stage in ["", "/prod"] {
        let page = get(&door, &format!("{stage}/console")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header(CACHE_CONTROL), "no-cache");
        let mut wanted: Vec<String> = files(&page.text).map(|path| format!("{stage}/{path}")).collect();
        assert_eq!(wanted.len(), 3, "{wanted:?}");
        let folder = wanted[0].rsplit_once('/').unwrap().0.to_owned();
        let mut bytes = page.text.len();
        let mut next = 0;
        while let Some(path) = wanted.get(next).cloned() {
            let file = get(&door, &path).await;
            assert_eq!(file.status, StatusCode::OK, "{path}");
            assert_eq!(file.header(CACHE_CONTROL), "public, max-age=31536000, immutable");
            assert_eq!(file.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
            let media_type = match path.rsplit_once('.').unwrap().1 {
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                _ => "image/svg+xml",
            };
            assert_eq!(file.header(CONTENT_TYPE), media_type);
            let imports = file.text.lines().filter(|line| line.contains(" from \"./"));
            let imports = imports.flat_map(files).map(|name| format!("{folder}/{}", &name[2..]));
            let new: Vec<String> = imports.filter(|path| !wanted.contains(path)).collect();
            wanted.extend(new);
            bytes += file.text.len();
            next += 1;
        }
        assert!(wanted.len() > 15 && bytes < MAX_BYTES, "{} files, {bytes} bytes", wanted.len());
    }
}

#[tokio::test]
async fn the_policy_allows_the_bucket_and_no_other_origin() {
    let page = get(&door().await, "/console").await;
    let policy = page.header(CONTENT_SECURITY_POLICY);
    for directive in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|part| part == directive), "{directive}: {policy}");
    }
    let sources = policy.split([' ', ';']).filter(|source| source.contains("://"));
    let buckets = sources.filter(|source| source.ends_with("/outbucket/")).count();
    assert_eq!((buckets, policy.matches("://").count()), (3, 3), "{policy}");
}

#[tokio::test]
async fn the_page_of_another_version_gets_files_that_it_does_not_keep() {
    let door = door().await;
    let file = get(&door, "/console/0000000000000000/app.js").await;
    assert_eq!((file.status, file.header(CACHE_CONTROL)), (StatusCode::OK, "no-cache"));
    for path in ["/console/0/none.js", "/console/0/..%2Findex.html"] {
        get(&door, path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_page() {
    let door = door().await;
    for path in ["/console/", "/prod/console/"] {
        let answer = get(&door, path).await;
        assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::TEMPORARY_REDIRECT, "../console"));
    }
}
